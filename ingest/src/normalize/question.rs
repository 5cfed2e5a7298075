//! What the body of a request says, as far as it goes.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use weir_event::{Metadata, MetadataValue};

use super::answer::each_element;
use crate::decode::lenient::{Lenient, taken};
use crate::text::{LINE_MAX, NAME_MAX, Text, name, shorten};

/// How many entries of the metadata are taken: providers take 16.
const METADATA_MAX: usize = 64;

/// The members of a request that Weir uses. A body that was cut gives what stood before the cut.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Question {
    pub(super) model: Option<String>,
    pub(super) stream: Option<bool>,
    /// Whom the caller says it asks for.
    pub(super) user: Option<String>,
    /// What the caller attached, as far as it is flat.
    pub(super) metadata: Option<Metadata>,
    /// How the caller wants it run: no more than a wish.
    pub(super) service_tier: Option<String>,
    /// The characters of `input`, where that is a text.
    pub(super) input_characters: Option<u64>,
    /// Whether the pages of a document are to be annotated.
    pub(super) annotated: bool,
    /// Where a gateway's endpoint for all providers is to send it: the provider, and the path there.
    pub(super) step: Option<(String, String)>,
}

impl Question {
    /// Reads a body. What is none of a JSON object, a list of steps and a form says nothing.
    pub(super) fn read(body: &str) -> Self {
        let mut question = Self::default();
        match body.trim_start().as_bytes().first() {
            Some(b'[') => question = Self::of_steps(body),
            Some(b'-') => question.model = model_of_form(body),
            _ => question.take(body),
        }
        question
    }

    fn take(&mut self, json: &str) {
        // An error is a cut body or another format; what was read until there is taken.
        let _ = serde_json::Deserializer::from_str(json).deserialize_map(QuestionVisitor(self));
    }

    /// Reads a list of calls that are tried one after the other. Which of them was answered is not said, so they count
    /// only where they all go the same way.
    fn of_steps(list: &str) -> Self {
        let mut agreed: Option<Self> = None;
        let mut differ = false;
        let whole = each_element(list, |json| {
            let step: WireStep<'_> = serde_json::from_str(json).unwrap_or_default();
            let mut question =
                Self { step: taken(step.provider).zip(taken(step.endpoint)), ..Self::default() };
            question.take(step.query.map_or("", RawValue::get));
            let first = agreed.get_or_insert_with(|| question.clone());
            differ |= first.step != question.step;
            if first.model != question.model {
                first.model = None;
            }
        });
        agreed.filter(|question| whole && !differ && question.step.is_some()).unwrap_or_default()
    }
}

/// A call of Cloudflare's universal endpoint.
#[derive(Default, Deserialize)]
struct WireStep<'a> {
    provider: Option<Lenient<String>>,
    endpoint: Option<Lenient<String>>,
    #[serde(borrow)]
    query: Option<&'a RawValue>,
}

/// The model that a form names (uploads of audio and images are forms): a part of its own, with a blank line before it.
fn model_of_form(body: &str) -> Option<String> {
    let (_, part) = body.split_once("name=\"model\"")?;
    let value = part.trim_start_matches([' ', '\r']).strip_prefix('\n')?;
    let value = value.strip_prefix('\r').unwrap_or(value).strip_prefix('\n')?;
    let (model, _) = value.split_once('\n')?;
    let model = model.trim_end();
    (!model.is_empty()).then(|| shorten(model.to_owned(), NAME_MAX))
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
                "user" => question.user = name(map.next_value()?).or(question.user.take()),
                // What OpenAI has made of `user`.
                "safety_identifier" => question.user = question.user.take().or(name(map.next_value()?)),
                "metadata" => question.take_metadata(map.next_value()?),
                "service_tier" => question.service_tier = name(map.next_value()?),
                "input" => question.input_characters = characters(map.next_value()?),
                "document_annotation_format" | "bbox_annotation_format" => {
                    question.annotated |= map.next_value::<&RawValue>()?.get() != "null";
                }
                // Prompts, tools, settings: kept in the body, not looked at.
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// The characters of a text.
fn characters(value: &RawValue) -> Option<u64> {
    let Text(text) = serde_json::from_str(value.get()).ok()?;
    text.chars().count().try_into().ok()
}

impl Question {
    /// Takes the entries that are flat. Anthropic's have the user's id.
    fn take_metadata(&mut self, value: &RawValue) {
        let mut entries = Entries(Vec::new());
        // An error is a value of another type.
        let _ = serde_json::Deserializer::from_str(value.get()).deserialize_map(&mut entries);
        let Entries(entries) = entries;
        let user = entries.iter().find(|(name, _)| name == "user_id");
        if let (None, Some((_, MetadataValue::Text(user)))) = (&self.user, user) {
            self.user = Some(shorten(user.clone(), NAME_MAX)).filter(|user| !user.is_empty());
        }
        self.metadata = (!entries.is_empty()).then(|| entries.into_iter().collect());
    }
}

struct Entries(Vec<(String, MetadataValue)>);

impl<'de> Visitor<'de> for &mut Entries {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metadata")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((Text(name), Lenient(value))) = map.next_entry()? {
            let value = match value {
                Some(MetadataValue::Text(text)) => MetadataValue::Text(shorten(text, LINE_MAX)),
                Some(scalar) => scalar,
                None => continue,
            };
            if self.0.len() < METADATA_MAX {
                self.0.push((shorten(name.into_owned(), NAME_MAX), value));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
