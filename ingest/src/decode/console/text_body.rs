//! The common case of a body, read in one go: an object with one of the dialects' members, and that a text.
//!
//! Nearly all of a record is the text of its bodies. Looking for its end first and unescaping it then would go over it
//! twice.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};

use crate::text::Text;

/// The member's name and its text; `None` for anything less simple.
pub(super) fn read(json: &str) -> Option<(&'static str, String)> {
    let mut json = serde_json::Deserializer::from_str(json);
    let member = json.deserialize_map(MemberVisitor).ok()?;
    json.end().ok()?;
    member
}

struct MemberVisitor;

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = Option<(&'static str, String)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one body, a text")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(Text(name)) = map.next_key()? {
            let name = match name.as_ref() {
                "request_body" => "request_body",
                "response_body" => "response_body",
                "body" => "body",
                // Users edit their workers.
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            // A value of another type fails here, at its first byte.
            if found.replace((name, map.next_value()?)).is_some() {
                return Err(A::Error::custom("two bodies"));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_body_that_is_a_text_is_the_common_case() {
        let check = |json: &str, expected: Option<(&str, &str)>| {
            let found = read(json);
            assert_eq!(found.as_ref().map(|(name, text)| (*name, text.as_str())), expected, "{json}");
        };
        check(r#"{"response_body":"{\"a\":1}"}"#, Some(("response_body", r#"{"a":1}"#)));
        check(r#" {"x":[1],"body":""} "#, Some(("body", "")));
        for other in [
            r#"{"request_body":{"a":1}}"#,
            r#"{"request_body":"a","response_body":"b"}"#,
            r#"{"body":null}"#,
            r#"{"body":"cut"#,
            r#"{"body":"a"} x"#,
            "{}",
        ] {
            check(other, None);
        }
    }
}
