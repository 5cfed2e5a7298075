//! An event stream of AWS that was logged as text: of its binary frames the words survived, and the JSON between them.
//!
//! A frame is lengths, headers (`:event-type`, `:content-type`, `:message-type`), a payload and a checksum. Any byte that
//! is no text became another character, so the lengths cannot be gone by: a payload is what opens behind the headers and
//! closes again. Every byte is looked at once, whatever the body is.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use serde::Deserialize;

/// The header that every frame has. None of the headers has a brace in it.
const HEADER: &str = ":message-type";
/// Within how many bytes the first frame's headers begin, and any frame's payload follows them.
const NEAR: usize = 256;

/// Whether a body is such a stream: a frame begins with its length, which is no letter.
pub(super) fn is_stream(body: &str) -> bool {
    let start = &body.as_bytes()[..body.len().min(NEAR)];
    let is_frame = body.starts_with([':', '\u{fffd}']) || body.starts_with(char::is_control);
    is_frame
        && [HEADER, ":event-type", ":exception-type"]
            .iter()
            .any(|it| memmem::find(start, it.as_bytes()).is_some())
}

/// The payloads, and what is in them: a model's own chunks are wrapped in Base64.
pub(super) fn events(body: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let header = memmem::Finder::new(HEADER);
    let mut rest = body;
    std::iter::from_fn(move || {
        loop {
            let found = header.find(rest.as_bytes())?;
            rest = &rest[found + HEADER.len()..];
            let Some(start) = memchr::memchr(b'{', &rest.as_bytes()[..rest.len().min(NEAR)]) else {
                continue;
            };
            let payload = object(&rest[start..]);
            rest = &rest[start + payload.len()..];
            return Some(unwrapped(payload));
        }
    })
}

/// The object that a text begins with; all of the text where the object does not close.
fn object(text: &str) -> &str {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' if !in_string => depth += 1,
            b'}' if !in_string => {
                depth -= 1;
                if depth == 0 {
                    return &text[..=index];
                }
            }
            // What an object is made of, or a text in it.
            _ => {}
        }
    }
    text
}

#[derive(Deserialize)]
struct WireChunk<'a> {
    #[serde(borrow)]
    bytes: Cow<'a, str>,
}

fn unwrapped(payload: &str) -> Cow<'_, str> {
    if !payload.starts_with("{\"bytes\"") {
        return Cow::Borrowed(payload);
    }
    let bytes =
        serde_json::from_str(payload).ok().and_then(|WireChunk { bytes }| STANDARD.decode(&*bytes).ok());
    bytes.map_or(Cow::Borrowed(payload), |bytes| String::from_utf8_lossy(&bytes).into_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame as it reads after its bytes were taken for text.
    fn frame(event: &str, payload: &str) -> String {
        let headers = format!(
            "\u{b}:event-type\u{7}\0\u{10}{event}\r:content-type\u{7}\0\u{10}application/json\r:message-type\u{7}\0\u{5}event"
        );
        format!("\0\0\u{1}\u{fffd}\0\0\0R{{\u{fffd}\"\u{fffd}{headers}{payload}\u{fffd}{{x}}\u{fffd}")
    }

    #[test]
    fn payloads_are_found_between_the_words_that_survived() {
        let first = r#"{"delta":{"text":"a } \" :message-type { ü"},"p":"ab"}"#;
        let body = frame("contentBlockDelta", first) + &frame("metadata", r#"{"usage":{}}"#);
        assert!(is_stream(&body));
        assert_eq!(events(&body).collect::<Vec<_>>(), [first, r#"{"usage":{}}"#]);
        let cut = &body[..body.len() - 30];
        assert!(events(cut).count() <= 2);
        assert_eq!(events("\0:message-type\u{7}\0\u{5}event{\"a\":{").collect::<Vec<_>>(), ["{\"a\":{"]);
    }

    #[test]
    fn a_models_own_chunk_is_unwrapped() {
        let body =
            frame("chunk", r#"{"bytes":"eyJhIjoxfQ==","p":"abc"}"#) + &frame("chunk", r#"{"bytes":"%"}"#);
        assert_eq!(events(&body).collect::<Vec<_>>(), [r#"{"a":1}"#, r#"{"bytes":"%"}"#]);
    }

    #[test]
    fn other_bodies_are_none() {
        for body in [
            "",
            "Unauthorized",
            "data: {\"a\":\":event-type\"}",
            ": ping",
            "{\"a\":\":event-type\"}",
            "\0\0\0",
        ] {
            assert!(!is_stream(body), "{body}");
        }
        assert_eq!(events(&":message-type".repeat(1_000)).count(), 0);
        assert_eq!(events(&":message-type{".repeat(100_000)).count(), 1);
    }
}
