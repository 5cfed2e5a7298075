//! A stored body as JSON.

use serde_json::value::RawValue;

/// The body as it was stored if it is JSON, else as a JSON string: the text of an event stream, or of a page.
///
/// Go's client reads nothing but JSON under `application/json`, and with a string all three SDKs give their caller
/// the exact text (contract of Cloudflare's API, section 2.5).
#[must_use]
pub fn to_json(body: String) -> String {
    match serde_json::from_str::<&RawValue>(&body) {
        Ok(_) => body,
        Err(_) => serde_json::to_string(&body).expect("a text prints as JSON"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: &str) {
        assert_eq!(to_json(body.to_owned()), expected);
    }

    #[test]
    fn json_is_left_as_it_is() {
        check(r#"{"n": 1.50, "n": 2}"#, r#"{"n": 1.50, "n": 2}"#);
        check("\"text\"", "\"text\"");
        check(" [1,2]\n", " [1,2]\n");
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        check(&deep, &deep);
    }

    #[test]
    fn everything_else_is_a_json_string() {
        check("data: {\"a\":1}\n\ndata: [DONE]\n\n", r#""data: {\"a\":1}\n\ndata: [DONE]\n\n""#);
        check("", r#""""#);
        check(r#"{"cut": "of"#, r#""{\"cut\": \"of""#);
        check("{} {}", r#""{} {}""#);
        check("\0\u{7f}é", "\"\\u0000\u{7f}é\"");
    }
}
