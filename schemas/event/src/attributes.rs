//! Facts that few sources tell of an event.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{Feedback, Score};

/// What few sources tell. In ClickHouse these are the entries of one column, by the names that they have here: a column
/// of each would cost every insert. Only what is summed up over many rows has a column of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attributes {
    /// Whether the gateway asked its caller to authenticate.
    pub authentication: Option<bool>,
    /// Whether the gateway's operator pays the provider for its callers.
    pub wholesale: Option<bool>,
    /// Whether the request came in the form of another provider's API.
    pub compatibility_mode: Option<bool>,
    /// What the gateway's data loss prevention did: `FLAG`, `BLOCK`.
    pub dlp_action: Option<String>,
    /// The stored prompt that the request was made of.
    pub prompt_id: Option<String>,
    /// The version of that prompt.
    pub prompt_version_id: Option<String>,
    /// What an event that is no failure is about, in words (new-api's `content`).
    pub content: Option<String>,
    /// The upstream channel's name.
    pub channel_name: Option<String>,
    /// The provider's id for the answer, where [`crate::UsageEvent::request_id`] is a gateway's own.
    pub upstream_request_id: Option<String>,
    /// The input tokens as the source sums them up, where that is not the sum of the buckets: it leaves out what the
    /// provider's cache served or took, or the buckets are unknown. It has a column.
    pub prompt_tokens: Option<i64>,
    /// The same of the output tokens. It has a column.
    pub completion_tokens: Option<i64>,
    /// What people think of the answer.
    pub feedback: Option<Feedback>,
    /// How good the answer was found to be.
    pub score: Option<Score>,
}

impl Attributes {
    /// Itself, unless it says nothing at all.
    #[must_use]
    pub fn known(self) -> Option<Box<Self>> {
        let counts = [self.prompt_tokens, self.completion_tokens];
        let says_something = self.entries().next().is_some() || counts.iter().any(Option::is_some);
        says_something.then(|| Box::new(self))
    }

    /// The names and values of those that are given and have no column, as text. An empty text says nothing.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
        let flags = [
            ("authentication", self.authentication),
            ("wholesale", self.wholesale),
            ("compatibility_mode", self.compatibility_mode),
        ];
        let texts = [
            ("dlp_action", &self.dlp_action),
            ("prompt_id", &self.prompt_id),
            ("prompt_version_id", &self.prompt_version_id),
            ("content", &self.content),
            ("channel_name", &self.channel_name),
            ("upstream_request_id", &self.upstream_request_id),
        ];
        let ratings = [
            ("feedback", self.feedback.map(|feedback| feedback.to_string())),
            ("score", self.score.map(|score| score.to_string())),
        ];
        let word = |flag| if flag { "true" } else { "false" };
        let flags = flags.into_iter().filter_map(move |(name, flag)| Some((name, Cow::from(word(flag?)))));
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, Cow::from(text.as_deref()?))));
        let texts = texts.filter(|(_, text)| !text.is_empty());
        flags.chain(texts).chain(ratings.into_iter().filter_map(|(name, text)| Some((name, text?.into()))))
    }

    /// What such entries say. A name that is not known, or a value that cannot be, says nothing.
    pub fn from_entries(entries: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut attributes = Self::default();
        for (name, text) in entries {
            match name.as_str() {
                "authentication" => attributes.authentication = text.parse().ok(),
                "wholesale" => attributes.wholesale = text.parse().ok(),
                "compatibility_mode" => attributes.compatibility_mode = text.parse().ok(),
                "dlp_action" => attributes.dlp_action = Some(text),
                "prompt_id" => attributes.prompt_id = Some(text),
                "prompt_version_id" => attributes.prompt_version_id = Some(text),
                "content" => attributes.content = Some(text),
                "channel_name" => attributes.channel_name = Some(text),
                "upstream_request_id" => attributes.upstream_request_id = Some(text),
                "feedback" => attributes.feedback = Feedback::from_json_number(&text).ok(),
                "score" => attributes.score = Score::from_json_number(&text).ok(),
                // A later program's.
                _ => {}
            }
        }
        attributes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_an_entry_and_nothing_else_is() {
        let json = r#"{"authentication":true,"wholesale":false,"dlp_action":"FLAG","prompt_id":"","score":99.50,"content":"top-up","prompt_tokens":-2}"#;
        let attributes: Attributes = serde_json::from_str(json).unwrap();
        let entries: Vec<_> = attributes.entries().map(|(name, text)| format!("{name}={text}")).collect();
        let expected =
            ["authentication=true", "wholesale=false", "dlp_action=FLAG", "content=top-up", "score=99.5"];
        assert_eq!(entries, expected);
        let stored = attributes.entries().map(|(name, text)| (name.to_owned(), text.into_owned()));
        let stored =
            stored.chain([("later".to_owned(), "x".to_owned()), ("feedback".to_owned(), "2".to_owned())]);
        let read = Attributes::from_entries(stored.collect::<Vec<_>>());
        assert_eq!(read, Attributes { prompt_id: None, prompt_tokens: None, ..attributes });
        assert!(Attributes { completion_tokens: Some(0), ..Attributes::default() }.known().is_some());
        assert!(read.known().is_some());
        let empty = Attributes { prompt_id: Some(String::new()), ..Attributes::default() };
        assert_eq!(empty.known(), None);
    }
}
