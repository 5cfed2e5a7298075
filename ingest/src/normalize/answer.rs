//! What the body of an answer says: the model, the id, the usage, the error. JSON or an event stream, whole or cut.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::sse;
use crate::text::{LINE_MAX, Text, name, shorten};

/// The members of an answer that Weir uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    /// The last usage object, as the provider wrote it.
    pub(super) usage_json: Option<String>,
    /// What went wrong, in the provider's words.
    pub(super) error: Option<String>,
    /// The beginning of an answer that is neither JSON nor a stream: a refusal, or a fallback's bare text.
    pub(super) plain_text: Option<String>,
    pub(super) streamed: bool,
    /// Whether this is Workers AI's own form: malacca falls back to it when the provider fails, under the same URL.
    pub(super) by_workers_ai: bool,
}

impl Answer {
    /// Reads a body.
    pub(super) fn read(body: &str) -> Self {
        let mut answer = Self::default();
        if sse::is_stream(body) {
            answer.streamed = true;
            sse::events(body).filter(|data| *data != "[DONE]").for_each(|data| answer.read_json(&data));
        } else if body.trim_start().starts_with('{') {
            answer.read_json(body);
        } else {
            answer.plain_text =
                Some(shorten(body.trim().to_owned(), LINE_MAX)).filter(|text| !text.is_empty());
        }
        answer
    }

    /// Adds what a JSON object says. The first id and model stand; the last usage does, since it is cumulative.
    fn read_json(&mut self, json: &str) {
        // An error is a cut body; what was read until there is taken.
        let _ = serde_json::Deserializer::from_str(json).deserialize_map(AnswerVisitor(self));
    }
}

struct AnswerVisitor<'o>(&'o mut Answer);

#[derive(Deserialize)]
struct WireError {
    message: Option<String>,
}

impl<'de> Visitor<'de> for AnswerVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body of an answer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let answer = self.0;
        while let Some(Text(member)) = map.next_key()? {
            match member.as_ref() {
                "id" => keep_first(&mut answer.id, map.next_value()?),
                "model" => keep_first(&mut answer.model, map.next_value()?),
                "usage" => {
                    let usage = map.next_value::<&RawValue>()?.get();
                    if usage.starts_with('{') {
                        answer.usage_json = Some(usage.to_owned());
                    }
                }
                "error" => answer.error = error_text(map.next_value()?).or(answer.error.take()),
                "response" => answer.by_workers_ai |= map.next_value::<&RawValue>()?.get().starts_with('"'),
                // What the model said: kept in the body, not looked at.
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A name that is not empty, unless there is one. Azure opens a stream with an empty id and model.
fn keep_first(slot: &mut Option<String>, value: &RawValue) {
    if slot.is_none() {
        *slot = name(value);
    }
}

fn error_text(error: &RawValue) -> Option<String> {
    match error.get() {
        "null" => None,
        json if json.starts_with('"') => name(error),
        json => {
            let message = serde_json::from_str::<WireError>(json).ok().and_then(|error| error.message);
            Some(shorten(message.unwrap_or_else(|| json.to_owned()), LINE_MAX))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(id: &str, model: &str, usage: Option<&str>) -> Answer {
        Answer {
            id: Some(id.to_owned()),
            model: Some(model.to_owned()),
            usage_json: usage.map(str::to_owned),
            ..Answer::default()
        }
    }

    #[test]
    fn a_whole_answer() {
        let body = r#"{"choices":[{"message":{"content":"hi"}}],"id":"chatcmpl-1","model":"gpt-4o","usage":{"prompt_tokens": 1}}"#;
        assert_eq!(Answer::read(body), answer("chatcmpl-1", "gpt-4o", Some(r#"{"prompt_tokens": 1}"#)));
    }

    #[test]
    fn a_cut_answer_says_what_stood_before_the_cut() {
        let body = r#"{"id":"chatcmpl-1","model":"gpt-4o","choices":[{"message":{"content":"Once"#;
        assert_eq!(Answer::read(body), answer("chatcmpl-1", "gpt-4o", None));
    }

    #[test]
    fn a_stream_has_its_usage_in_the_last_chunk() {
        let body = concat!(
            "data: {\"choices\":[],\"id\":\"\",\"model\":\"\",\"prompt_filter_results\":[]}\n\n",
            "data: {\"id\":\"chatcmpl-1\",\"model\":\"gpt-4o\",\"choices\":[{\"delta\":{\"content\":\"hi\"}}],\"usage\":null}\n\n",
            "data: {\"id\":\"chatcmpl-1\",\"model\":\"gpt-4o\",\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n",
            "data: [DONE]\n\n",
        );
        let expected =
            Answer { streamed: true, ..answer("chatcmpl-1", "gpt-4o", Some("{\"prompt_tokens\":1}")) };
        assert_eq!(Answer::read(body), expected);
    }

    #[test]
    fn errors_are_told_in_the_providers_words() {
        let error = |body: &str| Answer::read(body).error;
        assert_eq!(
            error(r#"{"error":{"message":"no such model","code":404}}"#).as_deref(),
            Some("no such model")
        );
        assert_eq!(error(r#"{"error":{"code":404}}"#).as_deref(), Some(r#"{"code":404}"#));
        assert_eq!(error(r#"{"error":"gone"}"#).as_deref(), Some("gone"));
        assert_eq!(error(r#"{"error":null}"#), None);
        assert_eq!(error(r#"data: {"error":{"message":"overloaded"}}"#).as_deref(), Some("overloaded"));
        assert_eq!(error("Unauthorized\n"), None);
        assert_eq!(Answer::read("Unauthorized\n").plain_text.as_deref(), Some("Unauthorized"));
        let long = format!(r#"{{"error":{{"message":"{}"}}}}"#, "x".repeat(2_000));
        assert_eq!(error(&long).unwrap().len(), LINE_MAX);
    }

    #[test]
    fn the_form_of_workers_ai_is_known() {
        assert!(Answer::read("data: {\"response\":\"Once\"}\n\ndata: [DONE]\n\n").by_workers_ai);
        assert!(!Answer::read(r#"{"response":{"id":"x"}}"#).by_workers_ai);
    }
}
