//! A text as its reader sees it: JSON's escapes decoded, at any depth of quoting, with the way back to where they stand.
//!
//! A run of backslashes and what it escapes is one character, whatever the run's length: `\n`, `\\n` (in a string within
//! a string) and `\\\\n` are a line feed. Where the text meant a backslash and an `n`, the rules see a boundary too many,
//! which does no harm. An escape is replaced as a whole or not at all, so what was well-formed stays so.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memmem};

/// A text, or chosen parts of one as if they were one text.
#[derive(Debug)]
pub(super) struct View<'t> {
    raw: &'t str,
    text: Cow<'t, str>,
    parts: Vec<Part>,
}

/// A part of the text as it came, and where it ends in the view.
#[derive(Debug)]
struct Part {
    raw: Range<usize>,
    view_end: usize,
}

/// An escape: where it stands, and what it means.
#[derive(Clone, Debug)]
struct Escape {
    raw: Range<usize>,
    meaning: char,
}

impl<'t> View<'t> {
    /// All of a text.
    pub(super) fn whole(raw: &'t str) -> Self {
        let text = if memchr(b'\\', raw.as_bytes()).is_some() {
            let mut text = String::with_capacity(raw.len());
            decode(raw, 0..raw.len(), &mut text);
            Cow::Owned(text)
        } else {
            Cow::Borrowed(raw)
        };
        let part = Part { raw: 0..raw.len(), view_end: text.len() };
        Self { raw, text, parts: vec![part] }
    }

    /// Parts of a text, in order, as if nothing were between them.
    pub(super) fn of_parts(raw: &'t str, ranges: Vec<Range<usize>>) -> Self {
        let mut text = String::new();
        let parts = ranges
            .into_iter()
            .map(|range| {
                decode(raw, range.clone(), &mut text);
                Part { raw: range, view_end: text.len() }
            })
            .collect();
        Self { raw, text: Cow::Owned(text), parts }
    }

    /// What the reader sees.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where ranges of the view stand in the text, given in order and without overlaps. `place` is given a range for each
    /// part that one touches, with the number of the range and whether it continues one.
    pub(super) fn locate(
        &self,
        ranges: impl Iterator<Item = Range<usize>>,
        mut place: impl FnMut(usize, Range<usize>, bool),
    ) {
        let mut parts = self.parts.iter();
        let mut walk = Walk::default();
        for (number, range) in ranges.enumerate() {
            let mut at = range.start;
            while at < range.end {
                while walk.view_end <= at {
                    let Some(part) = parts.next() else { return };
                    walk = Walk::of(self.raw, part, walk.view_end);
                }
                let start = walk.seek(self.raw, at, false);
                let stop = range.end.min(walk.view_end);
                place(number, start..walk.seek(self.raw, stop, true), at > range.start);
                at = stop;
            }
        }
    }
}

/// Whether an escape stands for a character that a rule looks for: then the text as it came does not show it.
pub(super) fn hides_something(raw: &str) -> bool {
    let bytes = raw.as_bytes();
    memmem::find_iter(bytes, b"\\u00").any(|at| {
        let code = hex_digits(bytes, at + 2).and_then(char::from_u32);
        code.is_some_and(|meaning| meaning.is_ascii_alphanumeric() || " -._%+@".contains(meaning))
    })
}

/// A walk through a part, forward only.
#[derive(Default)]
struct Walk {
    view: usize,
    raw: usize,
    raw_end: usize,
    view_end: usize,
    /// The next escape; `None` if there is no more.
    next: Option<Escape>,
}

impl Walk {
    fn of(raw: &str, part: &Part, view: usize) -> Self {
        let next = next_escape(raw.as_bytes(), part.raw.clone());
        Self { view, raw: part.raw.start, raw_end: part.raw.end, view_end: part.view_end, next }
    }

    /// Where a place of the view stands. One inside of an escape is at its beginning, or, for an end, at its end.
    fn seek(&mut self, raw: &str, target: usize, is_end: bool) -> usize {
        while let Some(escape) = &self.next {
            let escape_view = self.view + (escape.raw.start - self.raw);
            let inside = target > escape_view && target < escape_view + escape.meaning.len_utf8();
            if target <= escape_view || (inside && !is_end) {
                break;
            }
            self.view = escape_view + escape.meaning.len_utf8();
            self.raw = escape.raw.end;
            self.next = next_escape(raw.as_bytes(), self.raw..self.raw_end);
        }
        (self.raw + target.saturating_sub(self.view)).min(self.raw_end)
    }
}

fn decode(raw: &str, range: Range<usize>, text: &mut String) {
    let mut at = range.start;
    while let Some(escape) = next_escape(raw.as_bytes(), at..range.end) {
        text.push_str(slice(raw, at..escape.raw.start));
        text.push(escape.meaning);
        at = escape.raw.end;
    }
    text.push_str(slice(raw, at..range.end));
}

/// Backslashes and what they escape are ASCII, so the places between them are between characters.
fn slice(raw: &str, range: Range<usize>) -> &str {
    raw.get(range).expect("a part begins and ends between characters")
}

fn next_escape(raw: &[u8], range: Range<usize>) -> Option<Escape> {
    let bytes = &raw[..range.end];
    let start = range.start + memchr(b'\\', &bytes[range.start..])?;
    let after = start + bytes[start..].iter().take_while(|byte| **byte == b'\\').count();
    let (meaning, length) = match bytes.get(after) {
        Some(b'n') => ('\n', 1),
        Some(b't') => ('\t', 1),
        Some(b'r') => ('\r', 1),
        Some(b'b') => ('\u{8}', 1),
        Some(b'f') => ('\u{c}', 1),
        Some(b'"') => ('"', 1),
        Some(b'/') => ('/', 1),
        Some(b'u') => match hex_digits(bytes, after + 1) {
            // Half of a surrogate pair is no character of any rule.
            Some(code) => (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 5),
            None => ('\\', 0),
        },
        // Backslashes of their own.
        Some(_) | None => ('\\', 0),
    };
    Some(Escape { raw: start..after + length, meaning })
}

fn hex_digits(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |code, digit| Some(code * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(raw: &str, expected: &str) {
        assert_eq!(View::whole(raw).text(), expected, "{raw}");
    }

    #[test]
    fn escapes_are_decoded_at_any_depth() {
        check("plain", "plain");
        check(r"a\nb\\nc\\\\nd", "a\nb\nc\nd");
        check(r#"\"x\\\"y\/z"#, "\"x\"y/z");
        check(r"alice\u0040example.com \\u0040", "alice@example.com @");
        check(r"\ud83d\ude00\u00e9", "\u{fffd}\u{fffd}\u{e9}");
        check(r"\x \\ \u12 \u12zz \", r"\x \ \u12 \u12zz \");
        check("\u{e9}\\n\u{e9}", "\u{e9}\n\u{e9}");
    }

    #[test]
    fn only_escapes_that_could_hide_something_are_looked_behind() {
        for (raw, expected) in [
            (r"a\u0040b.c", true),
            (r"a\\u0040b.c", true),
            (r"sk\u002dabc", true),
            (r"\u003c\u003e\u0026\u00e9\u2028\n", false),
            ("plain", false),
            (r"\u00", false),
        ] {
            assert_eq!(hides_something(raw), expected, "{raw}");
        }
    }

    #[test]
    fn parts_are_read_as_one_and_found_where_they_stand() {
        let raw = r#"["al\u0069","ce\u0040","","x.io"]"#;
        let view = View::of_parts(raw, vec![2..10, 13..21, 24..24, 27..31]);
        assert_eq!(view.text(), "alice@x.io");
        let mut places = Vec::new();
        view.locate([0..2, 2..7].into_iter(), |number, range, continues| {
            places.push((number, &raw[range], continues));
        });
        assert_eq!(places, [(0, "al", false), (1, r"\u0069", false), (1, r"ce\u0040", true), (1, "x", true)]);
    }

    proptest! {
        #[test]
        fn every_character_is_found_where_it_stands(raw in r#"(\\|[nu"0-9a-f/x]|é|-){0,60}"#) {
            let view = View::whole(&raw);
            let ranges: Vec<_> = view.text().char_indices().map(|(at, c)| at..at + c.len_utf8()).collect();
            let mut at = 0;
            view.locate(ranges.iter().cloned(), |number, range, continues| {
                assert_eq!((range.start, continues), (at, false));
                assert_eq!(View::whole(&raw[range.clone()]).text(), &view.text()[ranges[number].clone()]);
                at = range.end;
            });
            prop_assert_eq!(at, raw.len(), "nothing is left over");
        }
    }
}
