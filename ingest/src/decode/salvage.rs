//! What can still be read of a message that Logpush cut.
//!
//! Logpush gives the messages of an event 16,384 characters. The one that crosses the limit is cut in the middle and
//! ends in `<<<Logpush: messages truncated>>>`; the ones after it are dropped. A cut body is worth keeping: its head
//! can be shown, and often names the model.

use super::console::LoggedBody;

const MARKER_BEGIN: &str = "<<<Logpush: ";
const MARKER_END: &str = " truncated>>>";

/// The text before the marker, where there is one at the end.
pub(super) fn strip_marker(text: &str) -> Option<&str> {
    let unclosed = text.trim_end().strip_suffix(MARKER_END)?;
    let begin = unclosed.rfind(MARKER_BEGIN)?;
    Some(&text[..begin])
}

/// The first field of an object that was cut: its name, and the body as far as it goes.
pub(super) fn first_field(cut: &str) -> Option<(&str, LoggedBody)> {
    let fields = cut.trim_start().strip_prefix('{')?.trim_start().strip_prefix('"')?;
    let (name, value) = fields.split_once('"')?;
    let value = value.trim_start().strip_prefix(':')?.trim_start();
    let text = match value.strip_prefix('"') {
        Some(string) => unescape_cut(string),
        None => value.to_owned(),
    };
    Some((name, LoggedBody { text, complete: false }))
}

/// Unescapes a JSON string that ends in the middle, possibly of an escape.
fn unescape_cut(string: &str) -> String {
    // The longest escape is a surrogate pair, `\ud83d\ude00`: one byte less than that can be incomplete.
    const INCOMPLETE_MAX: usize = 11;
    (0..=INCOMPLETE_MAX)
        .filter_map(|shorter| string.get(..string.len().checked_sub(shorter)?))
        .find_map(|prefix| serde_json::from_str(&format!("\"{prefix}\"")).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_marker_in_use_is_known() {
        for marker in [
            "<<<Logpush: messages truncated>>>",
            "<<<Logpush: exception messages truncated>>>",
            "<<<Logpush: message truncated>>>",
        ] {
            assert_eq!(strip_marker(&format!("abc{marker}")), Some("abc"));
        }
        for text in ["abc", "<<<Logpush: messages truncated>>> abc", " truncated>>>", "<<<Logpush: "] {
            assert_eq!(strip_marker(text), None, "{text}");
        }
    }

    #[test]
    fn a_cut_body_is_read_as_far_as_it_goes() {
        let check = |cut: &str, name: &str, text: &str| {
            let body = LoggedBody { text: text.to_owned(), complete: false };
            assert_eq!(first_field(cut), Some((name, body)), "{cut}");
        };
        check(r#"{"request_body":{"model":"gpt-4o","mess"#, "request_body", r#"{"model":"gpt-4o","mess"#);
        check(
            r#"{"response_body":"{\"id\":\"chatcmpl-1\",\"mo"#,
            "response_body",
            r#"{"id":"chatcmpl-1","mo"#,
        );
        check(r#"{ "body" : "a\n\"b"#, "body", "a\n\"b");
        check(r#"{"body":"ab\"#, "body", "ab");
        check(r#"{"body":"ab\ud83d\ude0"#, "body", "ab");
        check(r#"{"body":""#, "body", "");
        for nothing in ["", "{", "{ ", r#"{"body"#, r#"{"body""#, "plain text"] {
            assert_eq!(first_field(nothing), None, "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn any_cut_of_a_body_gives_a_prefix_of_it(text: String, cut in 0_usize..2_000) {
            let whole = serde_json::json!({ "body": text }).to_string();
            if let Some((_, body)) = whole.get(..cut.min(whole.len() - 2)).and_then(first_field) {
                prop_assert!(text.starts_with(&body.text), "{:?} is no prefix", body.text);
                prop_assert!(text.len() - body.text.len() <= whole.len() - cut.min(whole.len() - 2) + 12);
            }
        }
    }
}
