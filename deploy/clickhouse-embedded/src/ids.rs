//! Ids that nobody can guess: query ids and exception tags.
//!
//! The randomness is that of the standard library's hash keys, which come from the operating system; it is enough
//! to keep stored data from forging an exception tag, and is used for nothing secret.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A query id in the form a server gives one: a random UUID.
pub(crate) fn query_id() -> String {
    let (high, low) = (random(), random());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | (low >> 48) & 0x3fff,
        low & 0xffff_ffff_ffff,
    )
}

/// Sixteen lower-case letters, as in `X-ClickHouse-Exception-Tag`.
pub(crate) fn exception_tag() -> String {
    const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
    let mut tag = String::with_capacity(16);
    for mut bits in [random(), random()] {
        for _ in 0..8 {
            let letter = usize::try_from(bits % 26).unwrap_or(0);
            tag.push(char::from(LETTERS[letter]));
            bits /= 26;
        }
    }
    tag
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_shape_a_server_gives_them() {
        let id = query_id();
        assert_eq!(id.len(), 36, "{id}");
        assert_eq!(id.as_bytes()[14], b'4', "{id}");
        assert_ne!(id, query_id());
        let tag = exception_tag();
        assert!(tag.len() == 16 && tag.bytes().all(|b| b.is_ascii_lowercase()), "{tag}");
        assert_ne!(tag, exception_tag());
    }
}
