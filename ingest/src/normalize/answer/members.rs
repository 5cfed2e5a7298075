//! The members of an answer that any API reports something in.

use std::fmt;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::text::Text;

/// The top-level members of one JSON text of an answer, unread. Of a text that was cut: those before the cut.
#[derive(Debug, Default)]
pub(in crate::normalize) struct Members<'a> {
    /// The text itself, for what only one API has.
    pub(in crate::normalize) text: &'a str,
    /// `id`, `responseId`.
    pub(in crate::normalize) id: Option<&'a RawValue>,
    /// `model`, `modelVersion`.
    pub(in crate::normalize) model: Option<&'a RawValue>,
    /// `usage`, `usageMetadata`, `usage_info`.
    pub(in crate::normalize) usage: Option<&'a RawValue>,
    /// `type`, `event_type`, of an event in a stream.
    pub(in crate::normalize) kind: Option<&'a RawValue>,
    pub(in crate::normalize) service_tier: Option<&'a RawValue>,
    pub(in crate::normalize) choices: Option<&'a RawValue>,
    pub(in crate::normalize) response: Option<&'a RawValue>,
    /// Groq's own part of a chunk.
    pub(in crate::normalize) x_groq: Option<&'a RawValue>,
    /// What was made: the items of a response, the images.
    pub(in crate::normalize) output: Option<&'a RawValue>,
    pub(in crate::normalize) data: Option<&'a RawValue>,
    /// How much the provider's tools were used for a response.
    pub(in crate::normalize) tool_usage: Option<&'a RawValue>,
    /// The seconds of a transcribed audio.
    pub(in crate::normalize) duration: Option<&'a RawValue>,
    pub(in crate::normalize) error: Option<&'a RawValue>,
    /// `message`, `detail`: in which some services tell what went wrong.
    pub(in crate::normalize) message: Option<&'a RawValue>,
    pub(in crate::normalize) delta: Option<&'a RawValue>,
    pub(in crate::normalize) candidates: Option<&'a RawValue>,
    /// `promptFeedback`.
    pub(in crate::normalize) prompt_feedback: Option<&'a RawValue>,
    pub(in crate::normalize) predictions: Option<&'a RawValue>,
    pub(in crate::normalize) metrics: Option<&'a RawValue>,
    /// `result`: the answer, in Cloudflare's envelope.
    pub(in crate::normalize) result: Option<&'a RawValue>,
    /// `meta`, `metadata`.
    pub(in crate::normalize) meta: Option<&'a RawValue>,
    /// Whether the text is whole. Of one that was cut it is not known what else it said.
    pub(in crate::normalize) complete: bool,
}

impl<'a> Members<'a> {
    /// Reads a JSON object as far as it goes.
    pub(in crate::normalize) fn read(json: &'a str) -> Members<'a> {
        let mut members = Members { text: json, ..Members::default() };
        // An error is a cut text; what was read until there is taken.
        let read = serde_json::Deserializer::from_str(json).deserialize_map(MembersVisitor(&mut members));
        members.complete = read.is_ok();
        members
    }

    /// What an event of a stream is, by its own word; empty where it has none.
    pub(in crate::normalize) fn kind(&self) -> &'a str {
        self.kind.map_or("", RawValue::get).trim_matches('"')
    }

    fn take(&mut self, name: &str, value: &'a RawValue) {
        let slot = match name {
            "id" | "responseId" => &mut self.id,
            "model" | "modelVersion" => &mut self.model,
            "usage" | "usageMetadata" | "usage_info" => &mut self.usage,
            "type" | "event_type" => &mut self.kind,
            "service_tier" | "serviceTier" => &mut self.service_tier,
            "choices" => &mut self.choices,
            "response" => &mut self.response,
            "x_groq" => &mut self.x_groq,
            "data" => &mut self.data,
            "tool_usage" => &mut self.tool_usage,
            "duration" => &mut self.duration,
            "output" => &mut self.output,
            "message" | "detail" => &mut self.message,
            "error" => &mut self.error,
            "delta" => &mut self.delta,
            "candidates" => &mut self.candidates,
            "promptFeedback" => &mut self.prompt_feedback,
            "predictions" => &mut self.predictions,
            "metrics" => &mut self.metrics,
            "result" => &mut self.result,
            "meta" | "metadata" => &mut self.meta,
            // What the model said, and what no API reports usage in: kept in the body, not looked at.
            _ => return,
        };
        *slot = Some(value).filter(|value| value.get() != "null");
    }
}

struct MembersVisitor<'m, 'a>(&'m mut Members<'a>);

impl<'a> Visitor<'a> for MembersVisitor<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of an answer")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let mut name = map.next_key()?;
        while let Some(Text(known)) = name {
            let value: &RawValue = map.next_value()?;
            let next = map.next_key();
            // A number at the end of a cut text may be the beginning of a longer one.
            if next.is_ok() || !value.get().ends_with(|end: char| end.is_ascii_digit()) {
                self.0.take(&known, value);
            }
            name = next?;
        }
        Ok(())
    }
}
