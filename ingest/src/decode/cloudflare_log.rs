//! Rows of Cloudflare's AI Gateway Logs API, as it lists them or gives them by id.
//!
//! Strict in what names, times, counts and costs; a field of another type costs only itself in everything else.

use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;
use weir_event::{Attributes, Feedback, Score, Timestamp, Usd};

use super::error::DecodeError;
use super::figure::{Amount, Whole};
use super::lenient::{Lenient, taken, whole};
use super::record::read;
use crate::text::{LINE_MAX, NAME_MAX, Text, shorten};

/// A row.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudflareLog {
    /// `id`: what it is known by.
    pub id: Option<String>,
    /// `created_at`: when the call ended.
    pub ended_at: Timestamp,
    /// `duration`, in milliseconds.
    pub duration_ms: Option<u64>,
    /// `provider`, as Cloudflare names it.
    pub provider: Option<String>,
    /// `model`.
    pub model: Option<String>,
    /// `model_type`.
    pub model_type: Option<String>,
    /// `request_type`, in Cloudflare's words.
    pub request_type: Option<String>,
    /// `path`: the provider's.
    pub path: Option<String>,
    /// `step`: which of the fallback steps answered.
    pub step: Option<u16>,
    /// `status_code`.
    pub status_code: Option<u16>,
    /// `success`.
    pub success: Option<bool>,
    /// `cached`: whether the gateway answered from its own cache.
    pub cached: bool,
    /// `tokens_in`.
    pub tokens_in: Option<i64>,
    /// `tokens_out`.
    pub tokens_out: Option<i64>,
    /// `usage_metadata`, as JSON: parts of the tokens.
    pub usage_json: Option<String>,
    /// `cost`, rounded at the 18th decimal: Cloudflare prints floats.
    pub cost: Option<Usd>,
    /// `metadata`, as JSON.
    pub metadata: Option<String>,
    /// `feedback`, `dlp_action`, `prompts` and others that most rows do not have.
    pub attributes: Attributes,
    /// `user_agent`.
    pub user_agent: Option<String>,
    /// `request_head` and what is said of it.
    pub request: Head,
    /// `response_head` and what is said of it.
    pub response: Head,
}

/// The beginning of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The text, as far as it is there.
    pub text: Option<String>,
    /// Whether that is all of the body; `None` where it is not said.
    pub complete: Option<bool>,
    /// The size of the whole body in bytes.
    pub size: Option<u64>,
    /// Its content type.
    pub content_type: Option<String>,
}

#[derive(Deserialize)]
struct WireRow<'a> {
    id: Option<String>,
    created_at: Option<Timestamp>,
    duration: Option<Lenient<Number>>,
    #[serde(borrow)]
    provider: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    model_type: Option<&'a RawValue>,
    #[serde(borrow)]
    request_type: Option<&'a RawValue>,
    #[serde(borrow)]
    path: Option<&'a RawValue>,
    step: Option<Lenient<u16>>,
    status_code: Option<Lenient<u16>>,
    success: Option<Lenient<bool>>,
    cached: Option<Lenient<bool>>,
    tokens_in: Option<Whole>,
    tokens_out: Option<Whole>,
    #[serde(borrow)]
    usage_metadata: Option<&'a RawValue>,
    cost: Option<Amount>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    authentication: Option<Lenient<bool>>,
    wholesale: Option<Lenient<bool>>,
    #[serde(rename = "compatibilityMode")]
    compatibility_mode: Option<Lenient<bool>>,
    #[serde(borrow)]
    dlp_action: Option<&'a RawValue>,
    #[serde(borrow)]
    prompts: Option<Lenient<WirePrompt<'a>>>,
    #[serde(borrow)]
    feedback: Option<&'a RawValue>,
    #[serde(borrow)]
    score: Option<&'a RawValue>,
    #[serde(borrow)]
    user_agent: Option<&'a RawValue>,
    #[serde(borrow)]
    request_head: Option<&'a RawValue>,
    request_head_complete: Option<Lenient<bool>>,
    request_size: Option<Lenient<u64>>,
    #[serde(borrow)]
    request_content_type: Option<&'a RawValue>,
    #[serde(borrow)]
    response_head: Option<&'a RawValue>,
    response_head_complete: Option<Lenient<bool>>,
    response_size: Option<Lenient<u64>>,
    #[serde(borrow)]
    response_content_type: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct WirePrompt<'a> {
    #[serde(borrow)]
    prompt_id: Option<&'a RawValue>,
    #[serde(borrow)]
    version_id: Option<&'a RawValue>,
}

impl CloudflareLog {
    pub(super) fn read(json: &[u8]) -> Result<Self, DecodeError> {
        let wire: WireRow<'_> = read(json)?;
        let missing = || DecodeError::MissingField { field: "created_at".to_owned() };
        // What Cloudflare writes where nobody was called.
        let named = |raw| short(raw, NAME_MAX).filter(|name| name != "unknown");
        let prompt = taken(wire.prompts).unwrap_or_default();
        let attributes = Attributes {
            authentication: taken(wire.authentication),
            wholesale: taken(wire.wholesale),
            compatibility_mode: taken(wire.compatibility_mode),
            dlp_action: short(wire.dlp_action, NAME_MAX),
            prompt_id: short(prompt.prompt_id, NAME_MAX),
            prompt_version_id: short(prompt.version_id, NAME_MAX),
            feedback: wire.feedback.and_then(|raw| Feedback::from_json_number(raw.get()).ok()),
            score: wire.score.and_then(|raw| Score::from_json_number(raw.get()).ok()),
            ..Attributes::default()
        };
        Ok(Self {
            id: wire.id.filter(|id| !id.is_empty()),
            ended_at: wire.created_at.ok_or_else(missing)?,
            duration_ms: taken(wire.duration).and_then(|number| u64::try_from(whole(&number)?).ok()),
            provider: named(wire.provider),
            model: named(wire.model),
            model_type: short(wire.model_type, NAME_MAX),
            request_type: short(wire.request_type, NAME_MAX),
            path: short(wire.path, LINE_MAX),
            step: taken(wire.step),
            status_code: taken(wire.status_code).filter(|status| *status > 0),
            success: taken(wire.success),
            cached: taken(wire.cached).unwrap_or(false),
            tokens_in: wire.tokens_in.map(|Whole(count)| count),
            tokens_out: wire.tokens_out.map(|Whole(count)| count),
            usage_json: wire.usage_metadata.map(|raw| raw.get().to_owned()),
            cost: wire.cost.map(|Amount(amount)| amount),
            metadata: wire.metadata.and_then(text_or_json),
            attributes,
            user_agent: short(wire.user_agent, LINE_MAX),
            request: Head {
                text: wire.request_head.and_then(text_or_json),
                complete: taken(wire.request_head_complete),
                size: taken(wire.request_size),
                content_type: short(wire.request_content_type, NAME_MAX),
            },
            response: Head {
                text: wire.response_head.and_then(text_or_json),
                complete: taken(wire.response_head_complete),
                size: taken(wire.response_size),
                content_type: short(wire.response_content_type, NAME_MAX),
            },
        })
    }
}

/// A text that is not empty, held to a length.
pub(super) fn short(raw: Option<&RawValue>, characters_max: usize) -> Option<String> {
    words(raw).map(|text| shorten(text, characters_max))
}

/// A text of any length. An empty one, and anything else, is nothing.
pub(super) fn words(raw: Option<&RawValue>) -> Option<String> {
    let Text(text) = serde_json::from_str(raw?.get()).ok()?;
    (!text.is_empty()).then(|| text.into_owned())
}

/// A text as it is; of anything else the JSON. An empty text is nothing.
pub(super) fn text_or_json(raw: &RawValue) -> Option<String> {
    let json = raw.get();
    let text = serde_json::from_str(json).map_or_else(|_| json.to_owned(), |Text(text)| text.into_owned());
    (!text.is_empty()).then_some(text)
}
