//! A log entry as Cloudflare's API shows it.

use serde::Serialize;
use serde_json::value::RawValue;
use weir_event::{CostSource, EventId, Feedback, Score, Timestamp};

use super::number::exact;
use crate::store::{BodyHeads, LogEntry};

/// How metadata is shown. Cloudflare's schema says a string; its service sends an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetadataForm {
    /// A string that holds the JSON object.
    #[default]
    String,
    /// The JSON object.
    Object,
}

/// An entry in a list. Fields that the schema requires are always there; the others only where they are known.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names are Cloudflare's")]
pub struct EntryView {
    pub id: EventId,
    pub created_at: Timestamp,
    pub provider: String,
    pub model: String,
    pub path: String,
    /// Milliseconds. The schema requires a number, so an unknown duration is 0 here; `result_info` counts it out.
    pub duration: u64,
    pub success: bool,
    pub cached: bool,
    /// Null where the provider did not report it.
    pub tokens_in: Option<u64>,
    /// Null where the provider did not report it.
    pub tokens_out: Option<u64>,
    /// US dollars, exact; null where unknown, which is not 0.
    pub cost: Option<Box<RawValue>>,
    pub custom_cost: bool,
    /// Null where there is none.
    pub metadata: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u16>,
    /// Not in the schema, as everything below; the service sends it.
    pub event_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_metadata: Option<UsageView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feedback: Option<Feedback>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wholesale: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dlp_action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts: Option<PromptView>,
}

/// An entry on its own: with sizes, and with the beginnings of its bodies.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names are Cloudflare's")]
pub struct EntryDetailView {
    #[serde(flatten)]
    pub entry: EntryView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_head: Option<String>,
    /// Whether the head is known to be the whole body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_head_complete: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_head: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_head_complete: Option<bool>,
}

/// Token counts in more detail; only those that the provider reported.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are Cloudflare's")]
pub struct UsageView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_cached_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_reasoning_tokens: Option<u64>,
}

/// The stored prompt that a request was made of.
#[derive(Debug, Serialize)]
pub struct PromptView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
}

impl EntryView {
    /// Shows a record.
    #[must_use]
    pub fn from_record(record: LogEntry, metadata_form: MetadataForm) -> Self {
        let usage_metadata = UsageView::from_record(&record);
        let attributes = record.attributes;
        let (prompt_id, version_id) = (attributes.prompt_id, attributes.prompt_version_id);
        let has_prompt = prompt_id.is_some() || version_id.is_some();
        Self {
            id: record.id,
            created_at: record.created_at,
            provider: record.provider,
            model: record.model,
            path: record.path,
            duration: record.duration_ms.unwrap_or(0),
            success: record.success,
            cached: record.cached,
            tokens_in: record.tokens_in,
            tokens_out: record.tokens_out,
            cost: record.cost.map(exact),
            custom_cost: record.cost_source == CostSource::Custom.as_str(),
            metadata: known(record.metadata).map(|json| metadata(&json, metadata_form)),
            model_type: known(record.model_type),
            request_type: known(record.request_type),
            request_content_type: known(record.request_content_type),
            response_content_type: known(record.response_content_type),
            status_code: record.status_code,
            step: record.step,
            event_id: record.event_id,
            user_agent: known(record.user_agent),
            usage_metadata,
            feedback: attributes.feedback,
            score: attributes.score,
            authentication: attributes.authentication,
            wholesale: attributes.wholesale,
            dlp_action: attributes.dlp_action,
            prompts: has_prompt.then_some(PromptView { prompt_id, version_id }),
        }
    }
}

impl EntryDetailView {
    /// Shows a record with the heads of its bodies.
    #[must_use]
    pub fn from_record(record: LogEntry, heads: BodyHeads, metadata_form: MetadataForm) -> Self {
        let truncated = record.truncated;
        let request = Head::new(heads.request_head, heads.request_bytes, record.request_size, truncated);
        let response = Head::new(heads.response_head, heads.response_bytes, record.response_size, truncated);
        Self {
            entry: EntryView::from_record(record, metadata_form),
            request_size: request.size,
            response_size: response.size,
            request_head_complete: request.complete,
            request_head: request.text,
            response_head_complete: response.complete,
            response_head: response.text,
        }
    }
}

impl UsageView {
    fn from_record(record: &LogEntry) -> Option<Self> {
        let (input, output) = (record.tokens_in, record.tokens_out);
        let total_tokens = match (input, output) {
            (None, None) => return None,
            (input, output) => Some(input.unwrap_or(0) + output.unwrap_or(0)),
        };
        Some(Self {
            input_tokens: input,
            output_tokens: output,
            total_tokens,
            input_cached_tokens: record.tokens_cache_read,
            output_reasoning_tokens: record.tokens_reasoning,
        })
    }
}

struct Head {
    text: Option<String>,
    complete: Option<bool>,
    size: Option<u64>,
}

impl Head {
    /// A head is complete only where nothing speaks against it: it is all that is stored, the body's size is not
    /// known to have been more, and the log was not cut anywhere before it came in.
    fn new(text: Option<String>, stored: Option<u64>, logged: Option<u64>, truncated: bool) -> Self {
        let size = logged.or(stored);
        let complete = text.as_ref().map(|head| {
            let all_of_it = |bytes: Option<u64>| bytes.is_none_or(|bytes| bytes <= head.len() as u64);
            !truncated && all_of_it(stored) && all_of_it(logged)
        });
        Self { text, complete, size }
    }
}

fn metadata(json: &str, form: MetadataForm) -> Box<RawValue> {
    let quoted = || serde_json::value::to_raw_value(json).expect("a text prints as JSON");
    match form {
        MetadataForm::String => quoted(),
        // What is stored is an object; should it ever not be JSON, its text is still shown.
        MetadataForm::Object => RawValue::from_string(json.to_owned()).unwrap_or_else(|_| quoted()),
    }
}

/// Rows hold `""` for what a source did not say.
fn known(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests;
