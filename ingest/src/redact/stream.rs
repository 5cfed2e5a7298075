//! What a stream says when its pieces are put together: an address or a key that a model wrote is in several of them.
//!
//! Pieces are told by the names of their members, and those of one name are read as one text, in the order of the stream.
//! Where several answers are streamed at the same time, their pieces mix, and what is in pieces is not found.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::zones::string_end;

/// The members that carry pieces of text, in any provider's streams; in quotes, as they stand in JSON.
const MEMBERS: [&str; 14] = [
    "\"content\"",
    "\"text\"",
    "\"delta\"",
    "\"arguments\"",
    "\"partial_json\"",
    "\"reasoning_content\"",
    "\"reasoning\"",
    "\"thinking\"",
    "\"refusal\"",
    "\"response\"",
    "\"completion\"",
    "\"generation\"",
    "\"transcript\"",
    "\"token\"",
];

static NAMES: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::new(MEMBERS).expect("a few short names are far below the limits of an automaton")
});

/// The pieces of each text that is told in more than one.
pub(super) fn pieces(raw: &str) -> Vec<Vec<Range<usize>>> {
    let bytes = raw.as_bytes();
    let mut texts = vec![Vec::new(); MEMBERS.len()];
    let mut done = 0;
    for member in NAMES.find_iter(bytes) {
        // The word may stand in a text, too.
        if member.start() < done {
            continue;
        }
        if let Some(start) = value_start(bytes, member.end()) {
            done = string_end(bytes, start);
            if start < done {
                texts[member.pattern().as_usize()].push(start..done);
            }
        }
    }
    texts.retain(|pieces: &Vec<_>| pieces.len() > 1);
    texts
}

/// Where the text of a member begins, if it has one.
fn value_start(bytes: &[u8], after_name: usize) -> Option<usize> {
    let colon = after_name + spaces(&bytes[after_name..]);
    let quote = match bytes.get(colon) {
        Some(b':') => colon + 1 + spaces(&bytes[colon + 1..]),
        Some(_) | None => return None,
    };
    (bytes.get(quote) == Some(&b'"')).then_some(quote + 1)
}

fn spaces(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte == b' ').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_one_member_are_one_text() {
        let raw = concat!(
            "data: {\"content\":\"al\",\"text\": \"x\"}\n\n",
            "data: {\"content\" : \"ice\\\"@\",\"id\":\"content\",\"arguments\":\"a \\\"content\\\":\\\"b\\\"\"}\n\n",
            "data: {\"content\":null}\n\ndata: {\"content\":\"\"}\n\ndata: {\"content\":\"x.io",
        );
        let texts: Vec<Vec<_>> =
            pieces(raw).into_iter().map(|text| text.into_iter().map(|piece| &raw[piece]).collect()).collect();
        assert_eq!(texts, [["al", "ice\\\"@", "x.io"]]);
    }
}
