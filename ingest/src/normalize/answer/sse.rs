//! The data of a server-sent event stream, as it stands in a logged body.

use std::borrow::Cow;

/// Whether a body is an event stream and not JSON or plain text.
pub(in crate::normalize) fn is_stream(body: &str) -> bool {
    let start = body.trim_start();
    ["data:", "event:", "id:", "retry:", ":"].iter().any(|field| start.starts_with(field))
}

/// The data of each event. Blocks end at a blank line; several data lines of a block are one text with line feeds;
/// comments and other fields are passed over. A stream that was cut ends with whatever data its last lines have.
pub(in crate::normalize) fn events(body: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let mut lines = body.lines();
    std::iter::from_fn(move || {
        let mut data: Option<Cow<'_, str>> = None;
        for line in lines.by_ref() {
            if line.is_empty() && data.is_some() {
                break;
            }
            if let Some(value) = line.strip_prefix("data:") {
                let value = value.strip_prefix(' ').unwrap_or(value);
                match &mut data {
                    Some(text) => {
                        let text = text.to_mut();
                        text.push('\n');
                        text.push_str(value);
                    }
                    None => data = Some(Cow::Borrowed(value)),
                }
            }
        }
        data
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: &[&str]) {
        assert_eq!(events(body).collect::<Vec<_>>(), expected, "{body:?}");
    }

    #[test]
    fn blocks_are_read_with_either_line_end() {
        check("data: {\"a\":1}\n\ndata: [DONE]\n\n", &["{\"a\":1}", "[DONE]"]);
        check("data:{\"a\":1}\r\n\r\nevent: x\r\ndata: b\r\n\r\n", &["{\"a\":1}", "b"]);
        check(": ping\n\nevent: ping\n\ndata: a\ndata: b\n\n", &["a\nb"]);
    }

    #[test]
    fn a_cut_stream_ends_with_what_is_there() {
        check("data: a\n\ndata: {\"b", &["a", "{\"b"]);
        check("", &[]);
        check("data", &[]);
    }

    #[test]
    fn streams_are_told_from_other_bodies() {
        assert!(
            is_stream("data: {}\n\n") && is_stream("\n: comment\n\n") && is_stream("event: message_start\n")
        );
        assert!(!is_stream("{\"data\":1}") && !is_stream("Unauthorized") && !is_stream(""));
    }
}
