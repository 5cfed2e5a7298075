//! What the parts of a body are, so that a replacement leaves JSON well-formed: text inside of strings, values outside of
//! them, and the structure that stays as it is.

use std::ops::Range;

use memchr::{memchr, memchr2, memchr3};

/// The form of a body, told by its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// JSON, whole or cut off.
    Json,
    /// The text of an event stream, with data in JSON or not.
    Stream,
    /// Anything else.
    Plain,
}

/// What may be done to a part of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    /// Structure: stays.
    Fixed,
    /// Plain text, or the inside of a string: any of it may be replaced.
    Text,
    /// JSON outside of strings: a value is replaced as a whole, by a string.
    Values,
}

/// The zones of a body in order, without gaps.
#[derive(Debug)]
pub(super) struct Zones<'t> {
    raw: &'t [u8],
    form: Form,
    at: usize,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// At the beginning of a line of a stream.
    Line,
    /// In text that is not JSON.
    Plain,
    /// In JSON, outside of strings.
    Outside,
    /// In a string.
    Inside,
}

impl Form {
    /// The form of a body: a number alone is JSON.
    pub(super) fn of_body(raw: &str) -> Self {
        let is_number = !raw.is_empty() && raw.trim_ascii().bytes().all(is_number);
        if is_number { Self::Json } else { Self::of(raw) }
    }

    /// The form of another text.
    pub(super) fn of(raw: &str) -> Self {
        let text = raw.trim_ascii();
        if begins_json(text.as_bytes()) {
            Self::Json
        } else if ["data:", "event:", "id:", "retry:", ":"].iter().any(|field| text.starts_with(field)) {
            Self::Stream
        } else {
            Self::Plain
        }
    }
}

fn begins_json(text: &[u8]) -> bool {
    let next = text.get(1..).and_then(|rest| rest.trim_ascii_start().first().copied());
    match text.first() {
        Some(b'{') => matches!(next, Some(b'"' | b'}') | None),
        Some(b'[') => {
            matches!(next, Some(b'{' | b'[' | b'"' | b']' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') | None)
        }
        Some(b'"') => true,
        // Words, or a number.
        Some(_) | None => false,
    }
}

const fn is_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

/// Whether a byte belongs to a value outside of strings: a number, `true`, `false`, `null`.
pub(super) const fn is_value(byte: u8) -> bool {
    !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' | b'{' | b'}' | b'[' | b']' | b'"')
}

/// Where a string that begins at `from` (after its quote) ends: at its quote, at the end of the line, which no string
/// contains, or with the text.
pub(super) fn string_end(raw: &[u8], mut from: usize) -> usize {
    while let Some(found) = raw.get(from..).and_then(|rest| memchr3(b'"', b'\\', b'\n', rest)) {
        match (raw[from + found], raw.get(from + found + 1)) {
            (b'\\', Some(b'\n')) => return from + found + 1,
            (b'\\', _) => from += found + 2,
            (_, _) => return from + found,
        }
    }
    raw.len()
}

impl<'t> Zones<'t> {
    pub(super) fn new(raw: &'t str, form: Form) -> Self {
        let state = match form {
            Form::Json => State::Outside,
            Form::Stream => State::Line,
            Form::Plain => State::Plain,
        };
        Self { raw: raw.as_bytes(), form, at: 0, state }
    }

    fn line_end(&self) -> usize {
        memchr(b'\n', &self.raw[self.at..]).map_or(self.raw.len(), |length| self.at + length)
    }

    /// The zone that begins here, which may be empty, and the state after it.
    fn step(&self) -> (usize, Zone, State) {
        let here = self.raw[self.at];
        match (self.state, self.form) {
            (State::Line, _) => {
                let (end, state) = self.field();
                (end, Zone::Fixed, state)
            }
            (State::Plain, Form::Stream) if here == b'\n' => (self.at + 1, Zone::Fixed, State::Line),
            (State::Plain, Form::Stream) => (self.line_end(), Zone::Text, State::Plain),
            (State::Plain, Form::Json | Form::Plain) => (self.raw.len(), Zone::Text, State::Plain),
            (State::Outside | State::Inside, Form::Stream) if here == b'\n' => {
                (self.at + 1, Zone::Fixed, State::Line)
            }
            (State::Outside, _) if here == b'"' => (self.at + 1, Zone::Fixed, State::Inside),
            (State::Outside, Form::Stream) => {
                let end = memchr2(b'"', b'\n', &self.raw[self.at..]);
                (end.map_or(self.raw.len(), |length| self.at + length), Zone::Values, State::Outside)
            }
            (State::Outside, Form::Json | Form::Plain) => {
                let end = memchr(b'"', &self.raw[self.at..]);
                (end.map_or(self.raw.len(), |length| self.at + length), Zone::Values, State::Outside)
            }
            (State::Inside, _) if matches!(here, b'"' | b'\n') => (self.at + 1, Zone::Fixed, State::Outside),
            (State::Inside, _) => (string_end(self.raw, self.at), Zone::Text, State::Inside),
        }
    }

    /// How far the name of a stream's field goes, and what is behind it.
    fn field(&self) -> (usize, State) {
        let line = &self.raw[self.at..self.line_end()];
        let Some(data) = line.strip_prefix(b"data:") else {
            return (self.at, State::Plain);
        };
        let data_start = self.at + line.len() - data.trim_ascii_start().len();
        let is_json = begins_json(data.trim_ascii());
        (data_start, if is_json { State::Outside } else { State::Plain })
    }
}

impl Iterator for Zones<'_> {
    type Item = (Range<usize>, Zone);

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.raw.len() {
            let start = self.at;
            let (end, zone, state) = self.step();
            (self.at, self.state) = (end, state);
            if end > start {
                return Some((start..end, zone));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, form: Form, expected: &[(&str, Zone)]) {
        assert_eq!(Form::of(raw), form, "{raw}");
        let zones: Vec<_> = Zones::new(raw, form).map(|(range, zone)| (&raw[range], zone)).collect();
        assert_eq!(zones, expected, "{raw}");
    }

    #[test]
    fn json_is_strings_values_and_what_holds_them_together() {
        use Zone::{Fixed, Text, Values};
        check(
            r#"{"a\"b":1,"":""#,
            Form::Json,
            &[
                ("{", Values),
                ("\"", Fixed),
                (r#"a\"b"#, Text),
                ("\"", Fixed),
                (":1,", Values),
                ("\"", Fixed),
                ("\"", Fixed),
                (":", Values),
                ("\"", Fixed),
            ],
        );
        check(
            "[\"a\nb",
            Form::Json,
            &[("[", Values), ("\"", Fixed), ("a", Text), ("\n", Fixed), ("b", Values)],
        );
        check(r#"["a\"#, Form::Json, &[("[", Values), ("\"", Fixed), (r"a\", Text)]);
    }

    #[test]
    fn a_streams_lines_are_json_or_text() {
        use Zone::{Fixed, Text, Values};
        check(
            "event: x\ndata: {\"a\n\ndata:hi\n\ndata: [DONE]",
            Form::Stream,
            &[
                ("event: x", Text),
                ("\n", Fixed),
                ("data: ", Fixed),
                ("{", Values),
                ("\"", Fixed),
                ("a", Text),
                ("\n", Fixed),
                ("\n", Fixed),
                ("data:", Fixed),
                ("hi", Text),
                ("\n", Fixed),
                ("\n", Fixed),
                ("data: ", Fixed),
                ("[DONE]", Text),
            ],
        );
    }

    #[test]
    fn what_only_looks_like_json_is_text() {
        for text in ["[redacted:email] x", "{name}, hello", "4111 1111", "Unauthorized", "", "true"] {
            assert_eq!((Form::of(text), Form::of_body(text)), (Form::Plain, Form::Plain), "{text}");
        }
        assert_eq!((Form::of("-4.1e3"), Form::of_body("-4.1e3")), (Form::Plain, Form::Json));
    }
}
