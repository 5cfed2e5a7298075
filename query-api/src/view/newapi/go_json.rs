//! JSON as Go's encoder prints what its decoder read into a map: names in order, every number a float, `<`, `>` and `&`
//! escaped. It is how new-api rewrites what it shows to users.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::value::RawValue;

/// The members of an object, the last of those with one name. Numbers are text still: a float has to be the closest one.
pub(super) type Members<'t> = BTreeMap<String, &'t RawValue>;

/// How deep values may be nested in what is printed: what new-api writes has three levels, and each takes room on the stack.
const DEPTH_MAX: usize = 64;

/// The text with U+FFFD for each half of a character that stands alone, as Go's decoder has it.
pub(super) fn paired(text: &str) -> Cow<'_, str> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (mut whole, mut kept, mut at) = (String::new(), 0, 0);
    while let Some(found) = text[at..].find('\\') {
        at += found;
        let (half, next) = (unit(at), unit(at + 6));
        at += match (half, next) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                whole.push_str(&text[kept..at]);
                whole.push_str("\\ufffd");
                kept = at + 6;
                6
            }
            // What is escaped may be of more than one byte where this is no JSON.
            _ => 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8),
        };
    }
    if kept == 0 {
        return text.into();
    }
    whole.push_str(&text[kept..]);
    whole.into()
}

/// The object that a text is. Whatever else it is, Go's map is nil.
pub(super) fn members(text: &str) -> Option<Members<'_>> {
    serde_json::from_str(text).ok()
}

/// The text of an object; `None` where Go could not have read it, and where it is nested deeper than [`DEPTH_MAX`].
pub(super) fn print(members: &Members<'_>) -> Option<String> {
    let mut text = String::new();
    object(&mut text, members, DEPTH_MAX)?;
    Some(text)
}

/// `depth` is how deep there may be more within it.
fn value(out: &mut String, json: &RawValue, depth: usize) -> Option<()> {
    let text = json.get();
    match text.as_bytes().first()? {
        b'{' => object(out, &members(text)?, depth.checked_sub(1)?)?,
        b'[' => {
            let depth = depth.checked_sub(1)?;
            let values: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            out.push('[');
            for (index, one) in values.into_iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                value(out, one, depth)?;
            }
            out.push(']');
        }
        b'"' => string(out, &serde_json::from_str::<String>(text).ok()?),
        b'-' | b'0'..=b'9' => float(out, text.parse().ok().filter(|number: &f64| number.is_finite())?),
        // true, false and null.
        _ => out.push_str(text),
    }
    Some(())
}

fn object(out: &mut String, members: &Members<'_>, depth: usize) -> Option<()> {
    out.push('{');
    for (index, (name, one)) in members.iter().enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        string(out, name);
        out.push(':');
        value(out, one, depth)?;
    }
    out.push('}');
    Some(())
}

/// The fewest digits that are read as the same float; with an exponent only from 1e21 on and below 1e-6.
fn float(out: &mut String, number: f64) {
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                let _ = write!(out, "{digits}e+{exponent}");
            }
            _ => out.push_str(&text),
        }
    } else {
        let _ = write!(out, "{number}");
    }
}

fn string(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_reads_is_printed_as_go_prints_it() {
        let check = |text: &str, expected: &str| {
            assert_eq!(members(text).and_then(|members| print(&members)).unwrap(), expected, "{text}");
        };
        check(r#"{"b":15.0,"a":-1,"c":0.5,"d":1e3}"#, r#"{"a":-1,"b":15,"c":0.5,"d":1000}"#);
        check(r#"{"a":9007199254740993}"#, r#"{"a":9007199254740992}"#);
        check(
            r#"{"a":1e21,"b":123456789012345678901,"c":0.000001,"d":1.5e-7,"e":-2e-10,"f":-0}"#,
            r#"{"a":1e+21,"b":123456789012345680000,"c":0.000001,"d":1.5e-7,"e":-2e-10,"f":-0}"#,
        );
        check(
            r#"{"z":[true,null,{"y":1,"x":"<a>&\u2028"}],"":"\u0001\n\"\\/\u007f日本"}"#,
            "{\"\":\"\\u0001\\n\\\"\\\\/\u{7f}日本\",\"z\":[true,null,{\"x\":\"\\u003ca\\u003e\\u0026\\u2028\",\"y\":1}]}",
        );
        check(r#" {"a":1,"a":2} "#, r#"{"a":2}"#);
        check("{}", "{}");
    }

    #[test]
    fn what_is_no_object_is_none() {
        for text in ["", "null", "[]", "7", "\"a\"", "{", "{} x", r#"{"a":[{"b":1e400}]}"#] {
            assert_eq!(members(text).and_then(|members| print(&members)), None, "{text}");
        }
    }

    #[test]
    fn halves_of_characters_are_replaced_where_they_stand_alone() {
        let check = |text: &str, expected: &str| assert_eq!(paired(text), expected);
        check(r#"{"a":"\ud800"}"#, r#"{"a":"\ufffd"}"#);
        check(r"\ud83d\ude00 \ude00\ud83d \ud83d\u0041", r"\ud83d\ude00 \ufffd\ufffd \ufffd\u0041");
        check(r"\\ud800 \n\uD83D\uDE00", r"\\ud800 \n\uD83D\uDE00");
        check(r"\ud8", r"\ud8");
        check("\\é\\", "\\é\\");
    }

    #[test]
    fn what_is_nested_too_deep_for_the_stack_is_none() {
        let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        let printed = |text: &str| members(text).and_then(|members| print(&members));
        assert_eq!(printed(&nested(DEPTH_MAX)), Some(nested(DEPTH_MAX)));
        assert_eq!(printed(&nested(DEPTH_MAX + 1)), None);
        let objects = "{\"a\":".repeat(100_000) + "1" + &"}".repeat(100_000);
        assert_eq!(printed(&objects), None);
    }
}
