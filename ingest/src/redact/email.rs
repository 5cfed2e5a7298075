//! E-mail addresses: what stands around an `@`, as far as it can be one.

use std::ops::Range;

use memchr::memmem;

/// The longest local part and the longest domain (RFC 5321), in bytes.
const LOCAL_MAX: usize = 64;
const DOMAIN_MAX: usize = 255;
/// How an `@` is written in a URL or a form.
const ENCODED_AT: &str = "%40";

/// Whether there may be one: an `@` is there.
pub(super) fn may_be_in(text: &str) -> bool {
    text.contains('@') || memmem::find(text.as_bytes(), ENCODED_AT.as_bytes()).is_some()
}

/// Gives every address to `found`. They may overlap and come in no order. Each `@` is looked at with a bounded number
/// of bytes around it: the work is linear.
pub(super) fn find(text: &str, mut found: impl FnMut(Range<usize>)) {
    let plain = memchr::memchr_iter(b'@', text.as_bytes()).map(|at| at..at + 1);
    plain.filter_map(|at| around(text, at)).for_each(&mut found);
    let encoded = memmem::find_iter(text.as_bytes(), ENCODED_AT).map(|at| at..at + ENCODED_AT.len());
    encoded.filter_map(|at| around(text, at)).for_each(found);
}

fn around(text: &str, at: Range<usize>) -> Option<Range<usize>> {
    let (before, after) = (text.get(..at.start)?, text.get(at.end..)?);
    let domain = domain_length(after)?;
    let local = local_length(before)?;
    Some(at.start - local..at.end + domain)
}

/// How long a local part ends here. Letters are those of the Latin script: where no spaces are written, the words around
/// an address are not a part of it.
fn local_length(before: &str) -> Option<usize> {
    let mut length = 0;
    let mut begins = 0;
    for character in before.chars().rev() {
        let width = character.len_utf8();
        if length + width > LOCAL_MAX || !(is_letter_or_digit(character) || "._%+-".contains(character)) {
            break;
        }
        length += width;
        if is_letter_or_digit(character) || character == '_' {
            begins = length;
        }
    }
    let ends = before.chars().next_back().is_some_and(|last| last != '.');
    (ends && begins > 0).then_some(begins)
}

/// How long a domain begins here: labels between dots, the last one of two or more letters.
fn domain_length(after: &str) -> Option<usize> {
    let is_part = |character: char| is_letter_or_digit(character) || matches!(character, '-' | '.');
    let mut run = after.find(|character| !is_part(character)).unwrap_or(after.len()).min(DOMAIN_MAX);
    while !after.is_char_boundary(run) {
        run -= 1;
    }
    let mut end = None;
    let mut start = 0;
    for (index, label) in after.get(..run)?.split('.').enumerate() {
        if label.is_empty() || label.starts_with('-') || (index == 0 && is_scale(label)) {
            break;
        }
        if index > 0 {
            end = top_level_length(label).map(|length| start + length).or(end);
        }
        if label.ends_with('-') {
            break;
        }
        start += label.len() + 1;
    }
    end
}

/// How much of a label may end a domain: the letters that it begins with, or all of it in punycode.
fn top_level_length(label: &str) -> Option<usize> {
    if label.len() > 4 && label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--")) {
        return Some(label.trim_end_matches('-').len());
    }
    let letters = label.find(|character: char| !character.is_alphabetic()).unwrap_or(label.len());
    (label.chars().take_while(|character| character.is_alphabetic()).count() >= 2).then_some(letters)
}

/// `icon@2x.png` is a picture.
fn is_scale(label: &str) -> bool {
    matches!(label.as_bytes(), [b'1'..=b'9', b'x'])
}

const fn is_letter_or_digit(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || matches!(character, '\u{c0}'..='\u{24f}' if !matches!(character, '\u{d7}' | '\u{f7}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let mut found = Vec::new();
        find(text, |range| found.push(&text[range]));
        assert_eq!(found, expected, "{text}");
        assert!(expected.is_empty() || may_be_in(text));
    }

    #[test]
    fn addresses_are_found_in_what_stands_around_them() {
        for address in [
            "a@b.de",
            "alice@example.com",
            "alice.b-c_d+tag%x@mail.example.co.uk",
            "jos\u{e9}@m\u{fc}nchen.de",
            "a@xn--mnchen-3ya.xn--p1ai",
            "bob%40example.com",
            "1@2.io",
        ] {
            check(address, &[address]);
            check(&format!("<{address}>, x"), &[address]);
            check(&format!("Write to {address}."), &[address]);
            check(&format!("\u{8bf7}\u{8054}\u{7cfb}{address}\u{8c22}"), &[address]);
            check(&format!("'{address}' and ({address})"), &[address, address]);
        }
        check("a@b.com,c@d.org;mailto:e@f.net?subject=x", &["a@b.com", "c@d.org", "e@f.net"]);
        check("..x@y.com-", &["x@y.com"]);
        check("x@y.com-z and x@y.com2", &["x@y.com", "x@y.com"]);
        check("https://user:word@host.example.com/", &["word@host.example.com"]);
    }

    #[test]
    fn an_at_alone_makes_no_address() {
        for text in [
            "@Override public void run()",
            "user@localhost",
            "left-pad@1.3.0",
            "@cf/meta/llama-3.1-8b-instruct",
            "claude-3-5-sonnet@20240620",
            "root@10.0.0.1",
            "icon@2x.png",
            "3 apples @ 2.50 each",
            "a@.com",
            "a@b",
            "a@b.c",
            "a@-b.com",
            "a.@b.com",
            "@b.com",
            "-@b.com",
            "@@",
            "",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn a_long_local_part_loses_its_end() {
        let text = format!("{}@example.com", "a".repeat(100));
        check(&text, &[&text[36..]]);
    }
}
