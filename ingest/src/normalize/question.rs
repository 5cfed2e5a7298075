//! What the body of a request says, as far as it goes.

use std::fmt;

use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::text::{Text, name};

/// The members of a request that Weir uses. A body that was cut gives what stood before the cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) model: Option<String>,
    pub(super) stream: Option<bool>,
    /// Whom the caller says it asks for.
    pub(super) user: Option<String>,
}

impl Question {
    /// Reads a body. What is no JSON object says nothing.
    pub(super) fn read(body: &str) -> Self {
        let mut question = Self::default();
        // An error is a cut body or another format; what was read until there is in `question`.
        let _ = serde_json::Deserializer::from_str(body).deserialize_map(QuestionVisitor(&mut question));
        question
    }
}

struct QuestionVisitor<'o>(&'o mut Question);

impl<'de> Visitor<'de> for QuestionVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body of a request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let question = self.0;
        while let Some(Text(member)) = map.next_key()? {
            match member.as_ref() {
                "model" => question.model = name(map.next_value()?),
                "stream" => question.stream = serde_json::from_str(map.next_value::<&RawValue>()?.get()).ok(),
                "user" => question.user = name(map.next_value()?),
                // Prompts, tools, settings: kept in the body, not looked at.
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_body_says_what_stood_before_the_cut() {
        let question =
            |model: Option<&str>, stream| Question { model: model.map(str::to_owned), stream, user: None };
        for (body, expected) in [
            (r#"{"model":"gpt-4o","stream":true}"#, question(Some("gpt-4o"), Some(true))),
            (r#"{"model":"gpt-4o","messages":[{"role":"us"#, question(Some("gpt-4o"), None)),
            (r#"{"messages":[],"model":"","stream":false}"#, question(None, Some(false))),
            (r#"{"model":null}"#, question(None, None)),
            (r#"{"model":"gpt-4"#, question(None, None)),
            (r#"{"stream":"yes","model":7,"user":["a"]}"#, question(None, None)),
            ("Unauthorized", question(None, None)),
            ("[1,2]", question(None, None)),
            ("", question(None, None)),
        ] {
            assert_eq!(Question::read(body), expected, "{body}");
        }
        assert_eq!(Question::read(r#"{"user":"u-7"}"#).user.as_deref(), Some("u-7"));
    }
}
