//! Puts replacements into a text, so that what was well-formed JSON stays so.

use std::cmp::Reverse;
use std::ops::Range;

use super::zones::{Form, Zone, Zones, is_value};

/// What is to be replaced, where in the text as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    /// The number of the rule.
    pub(super) rule: usize,
    /// Whether it continues one that stands before: then nothing is put in its place.
    pub(super) continues: bool,
}

/// Brings edits into order. Of those that overlap, the first one gives the name; what lies within one that continues
/// another continues it as well.
pub(super) fn in_order(mut edits: Vec<Edit>) -> Vec<Edit> {
    edits.sort_by_key(|edit| (edit.range.start, Reverse((edit.range.end, edit.continues)), edit.rule));
    let mut merged: Vec<Edit> = Vec::with_capacity(edits.len());
    for edit in edits {
        match merged.last_mut() {
            Some(last) if edit.range.start < last.range.end => {
                last.continues &= edit.continues || edit.range.end <= last.range.end;
                last.range.end = last.range.end.max(edit.range.end);
            }
            Some(_) | None => merged.push(edit),
        }
    }
    merged
}

/// The text with its edits, which are in order. An edit that goes over the end of a string is made in each string that
/// it touches; what stands between them stays. Outside of strings, a value that it touches is replaced as a whole.
pub(super) fn rewrite(raw: &str, form: Form, edits: &[Edit], markers: &[String]) -> String {
    let mut writer = Writer { raw, out: String::with_capacity(raw.len() + 16), copied: 0 };
    let mut zones = Zones::new(raw, form);
    let mut current = zones.next();
    for edit in edits {
        let marker = if edit.continues { "" } else { markers[edit.rule].as_str() };
        let mut at = edit.range.start;
        while let Some((zone, kind)) = &current {
            if zone.end > at {
                let end = edit.range.end.min(zone.end);
                match kind {
                    Zone::Fixed => {}
                    Zone::Text => writer.replace(at..end, marker, ""),
                    Zone::Values => writer.replace_values(zone, at..end, marker),
                }
                at = end;
            }
            if at >= edit.range.end {
                break;
            }
            current = zones.next();
        }
    }
    writer.copy_to(raw.len());
    writer.out
}

struct Writer<'t> {
    raw: &'t str,
    out: String,
    /// How much of the text is written, or replaced.
    copied: usize,
}

impl Writer<'_> {
    fn copy_to(&mut self, end: usize) {
        if let Some(text) = self.raw.get(self.copied..end) {
            self.out.push_str(text);
        }
        self.copied = self.copied.max(end);
    }

    fn replace(&mut self, range: Range<usize>, marker: &str, quote: &str) {
        if range.is_empty() {
            return;
        }
        self.copy_to(range.start);
        for text in [quote, marker, quote] {
            self.out.push_str(text);
        }
        self.copied = range.end;
    }

    fn replace_values(&mut self, zone: &Range<usize>, range: Range<usize>, marker: &str) {
        let bytes = self.raw.as_bytes();
        let mut at = range.start.max(self.copied);
        while let Some(inside) = (at..range.end).find(|place| is_value(bytes[*place])) {
            let begin = zone.start.max(self.copied);
            let start = inside - (begin..inside).rev().take_while(|place| is_value(bytes[*place])).count();
            let end = inside + (inside..zone.end).take_while(|place| is_value(bytes[*place])).count();
            self.replace(start..end, marker, "\"");
            at = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, marked: &[&str], expected: &str) {
        let edit = |text: &&str| {
            let start = raw.find(*text).unwrap();
            Edit { range: start..start + text.len(), rule: 0, continues: false }
        };
        let edits = in_order(marked.iter().map(edit).collect());
        assert_eq!(rewrite(raw, Form::of(raw), &edits, &["*".to_owned()]), expected);
    }

    #[test]
    fn json_stays_json() {
        check(r#"{"a":"xyz","b":12}"#, &["y", "12"], r#"{"a":"x*z","b":"*"}"#);
        check(r#"{"a":"xyz","b":-12.5e3}"#, &["2"], r#"{"a":"xyz","b":"*"}"#);
        check(r#"{"ab":"cd","n":[1, true]}"#, &[r#"b":"c"#, r#"n":[1, t"#], r#"{"a*":"*d","*":["*", "*"]}"#);
        check(r#"{"a":""}"#, &[r#":"""#], r#"{"a":""}"#);
        check(r#"["\"x\""]"#, &[r#"\"x\""#], r#"["*"]"#);
        check("[12]", &["1", "2"], r#"["*"]"#);
    }

    #[test]
    fn a_streams_fields_stay() {
        check(
            "event: a\ndata: {\"a\":\"b\"}\n\ndata: hello\n",
            &["\"b\"}\n\ndata: hel"],
            "event: a\ndata: {\"a\":\"*\"}\n\ndata: *lo\n",
        );
    }

    #[test]
    fn overlapping_edits_are_one() {
        check("one two three", &["e two", "two t", "one"], "*hree");
        check("one two", &["one", " two"], "**");
    }
}
