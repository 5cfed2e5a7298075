//! The rows of the tables, borrowed from the events that they are made of.
//!
//! Field names are column names. Rows of `logs` and `dead_letters` begin with what only the write knows that stores them,
//! in [`ROW_HEADER_BYTES`] bytes: they are encoded before that is known, and it is filled in when they are sent. In `logs` the
//! revision of the cost follows, for a row that takes the place of another. Otherwise the order is only for reading eyes.

use std::borrow::Cow;

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use weir_event::{
    Flag, Metadata, MetadataValue, RequestType, Scope, Timestamp, TokenBucket, Unit, UnpricedReason,
    UsageEvent,
};
use weir_pricing::{Edition, PricedEvent};

use crate::ScaledUsd;

/// How an encoded row of `logs` or `dead_letters` begins: the time of the write and its name.
pub const ROW_HEADER_BYTES: usize = 16;

/// Fills in how an encoded row of `logs` or `dead_letters` begins: stored at `at` by the write `write_id`.
#[must_use]
pub fn fill_in_header(at: Timestamp, write_id: u64) -> [u8; ROW_HEADER_BYTES] {
    let mut header = [0; ROW_HEADER_BYTES];
    header[..8].copy_from_slice(&at.millis().to_le_bytes());
    header[8..].copy_from_slice(&write_id.to_le_bytes());
    header
}

/// A row of `logs`. What a source did not give is `""` for texts and `None` for counts and amounts; the default row
/// says nothing at all.
#[derive(Clone, Debug, Default, PartialEq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns are described in the migration and in weir_event::UsageEvent")]
#[expect(clippy::struct_excessive_bools, reason = "each is a column of its own")]
pub struct LogRow<'a> {
    pub ingested_at: i64,
    pub write_id: u64,
    pub cost_revision: u32,
    pub account_id: &'a str,
    pub gateway_id: &'a str,
    pub created_at: i64,
    pub id: [u8; 26],
    pub started_at: i64,
    pub source: &'a str,
    pub dialect: &'a str,
    pub event_id: &'a str,
    pub request_id: &'a str,
    pub ray_id: &'a str,
    pub kind: &'a str,
    pub duration_ms: Option<u64>,
    pub time_to_first_token_ms: Option<u64>,
    pub provider: &'a str,
    pub model: &'a str,
    pub model_requested: &'a str,
    pub model_type: &'a str,
    pub request_type: &'a str,
    pub path: &'a str,
    pub step: Option<u16>,
    pub status_code: Option<u16>,
    pub success: bool,
    pub cached: bool,
    pub streamed: bool,
    pub truncated: bool,
    pub error: &'a str,
    pub user_id: &'a str,
    pub user_name: &'a str,
    pub token: &'a str,
    pub token_id: &'a str,
    pub token_name: &'a str,
    pub token_hash: &'a str,
    pub token_display: &'a str,
    pub group: &'a str,
    pub channel_id: &'a str,
    pub ip: &'a str,
    pub country: &'a str,
    pub user_agent: &'a str,
    pub tokens_in: Option<u64>,
    pub tokens_out: Option<u64>,
    pub prompt_tokens: Option<i64>,
    pub completion_tokens: Option<i64>,
    pub tokens_uncached_input: Option<u64>,
    pub tokens_cache_read: Option<u64>,
    pub tokens_cache_write_5m: Option<u64>,
    pub tokens_cache_write_1h: Option<u64>,
    pub tokens_audio_input: Option<u64>,
    pub tokens_image_input: Option<u64>,
    pub tokens_video_input: Option<u64>,
    pub tokens_cache_read_audio: Option<u64>,
    pub tokens_cache_read_image: Option<u64>,
    pub tokens_text_output: Option<u64>,
    pub tokens_reasoning: Option<u64>,
    pub tokens_audio_output: Option<u64>,
    pub tokens_image_output: Option<u64>,
    pub tokens_video_output: Option<u64>,
    pub tokens_citation: Option<u64>,
    pub units: Vec<(&'a str, u64)>,
    pub service_tier: &'a str,
    pub usage_json: &'a str,
    pub cost: Option<ScaledUsd>,
    pub cost_source: &'a str,
    pub unpriced_reason: &'a str,
    pub price_id: &'a str,
    pub price_book: &'a str,
    pub per_token_in: Option<ScaledUsd>,
    pub per_token_out: Option<ScaledUsd>,
    pub quota: Option<i64>,
    pub quota_source: &'a str,
    pub metadata: String,
    pub metadata_text: Vec<(&'a str, Cow<'a, str>)>,
    pub attributes: Vec<(&'a str, Cow<'a, str>)>,
    pub request_content_type: &'a str,
    pub response_content_type: &'a str,
    pub request_size: Option<u64>,
    pub response_size: Option<u64>,
    pub flags: Vec<&'a str>,
}

/// A row of `bodies`. Its version is the server's time, which the server fills in.
#[derive(Clone, Debug, PartialEq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns are described in the migration")]
pub struct BodyRow<'a> {
    pub account_id: &'a str,
    pub gateway_id: &'a str,
    pub started_at: i64,
    pub id: [u8; 26],
    pub texts: Vec<Option<&'a str>>,
}

/// A row of `annotations`. Its version is the server's time, which the server fills in.
#[derive(Clone, Debug, PartialEq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns are described in the migration")]
pub struct AnnotationRow<'a> {
    pub account_id: &'a str,
    pub gateway_id: &'a str,
    pub field: &'a str,
    pub id: [u8; 26],
    pub value: Option<&'a str>,
    pub metadata_text: Vec<(&'a str, Cow<'a, str>)>,
}

/// A row of `dead_letters`.
#[derive(Clone, Debug, PartialEq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns are described in the migration")]
pub struct DeadLetterRow<'a> {
    pub received_at: i64,
    pub write_id: u64,
    pub account_id: &'a str,
    pub gateway_id: &'a str,
    pub digest: &'a str,
    pub source: &'a str,
    pub form: &'a str,
    pub batch: &'a str,
    pub position: u64,
    pub attributes: Vec<(&'a str, &'a str)>,
    pub reason: &'a str,
    pub detail: &'a str,
    #[serde(with = "serde_bytes")]
    pub raw: &'a [u8],
}

/// A row of `ledger`: what became of what one write took in from one source, or what changed that afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns are described in the migration")]
pub struct LedgerRow<'a> {
    pub hour: u32,
    pub source: &'a str,
    pub account_id: &'a str,
    pub write_id: u64,
    pub subject: &'a str,
    pub received: i64,
    pub stored: i64,
    pub duplicates: i64,
    pub dead_lettered: i64,
    pub ignored: i64,
    pub deleted: i64,
    pub gateway_id: &'a str,
    pub minute: u32,
    pub version: u64,
}

/// A row of `cost_revisions`: what a row's cost was, and is from now on. When it was computed is the server's time, which
/// the server fills in.
#[derive(Clone, Debug, PartialEq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns are described in the migration")]
pub struct CostRevisionRow<'a> {
    pub account_id: &'a str,
    pub gateway_id: &'a str,
    pub created_at: i64,
    pub id: [u8; 26],
    pub revision: u32,
    pub run: &'a str,
    pub batch: u32,
    pub old_cost: Option<ScaledUsd>,
    pub old_cost_source: &'a str,
    pub old_unpriced_reason: &'a str,
    pub old_price_id: &'a str,
    pub old_price_book: &'a str,
    pub old_quota: Option<i64>,
    pub old_quota_source: &'a str,
    pub new_cost: Option<ScaledUsd>,
    pub new_cost_source: &'a str,
    pub new_unpriced_reason: &'a str,
    pub new_price_id: &'a str,
    pub new_price_book: &'a str,
    pub new_quota: Option<i64>,
    pub new_quota_source: &'a str,
}

/// A row of `removals`. Its sign of life is the server's time, which the server fills in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns are described in the migration")]
pub struct RemovalRow<'a> {
    pub account_id: &'a str,
    pub gateway_id: &'a str,
    pub id: &'a str,
    pub before: i64,
    pub asked_at: i64,
    pub state: &'a str,
    pub worker: &'a str,
    pub total: u64,
    pub rows: u64,
    pub stage: &'a str,
    pub step: u64,
}

impl<'a> LogRow<'a> {
    /// The row of an event, stored at `ingested_at` by the write `write_id`.
    #[must_use]
    pub fn from_event(priced: &'a PricedEvent, ingested_at: Timestamp, write_id: u64) -> Self {
        let event = priced.event();
        let (caller, bodies) = (&event.caller, &event.bodies);
        Self {
            account_id: event.scope.account_id.as_str(),
            gateway_id: event.scope.gateway_id.as_str(),
            created_at: event.created_at.millis(),
            id: event.id.bytes(),
            started_at: event.started_at.millis(),
            ingested_at: ingested_at.millis(),
            write_id,
            source: event.source.as_str(),
            dialect: event.dialect.as_str(),
            event_id: text(event.event_id.as_deref()),
            request_id: text(event.request_id.as_deref()),
            ray_id: text(event.ray_id.as_deref()),
            kind: event.kind.as_str(),
            duration_ms: event.duration_ms,
            time_to_first_token_ms: event.time_to_first_token_ms,
            provider: text(event.provider.as_deref()),
            model: text(event.model.as_deref()),
            model_requested: text(event.model_requested.as_deref()),
            model_type: text(event.model_type.as_deref()),
            request_type: event.request_type.map_or("", RequestType::as_str),
            path: text(event.path.as_deref()),
            step: event.step,
            status_code: event.status_code,
            success: event.success,
            cached: event.cached,
            streamed: event.streamed,
            truncated: event.truncated,
            error: text(event.error.as_deref()),
            user_id: text(caller.user_id.as_deref()),
            user_name: text(caller.user_name.as_deref()),
            token: caller.token(),
            token_id: text(caller.token_id.as_deref()),
            token_name: text(caller.token_name.as_deref()),
            token_hash: text(caller.token_hash.as_deref()),
            token_display: text(caller.token_display.as_deref()),
            group: text(caller.group.as_deref()),
            channel_id: text(caller.channel_id.as_deref()),
            ip: text(caller.ip.as_deref()),
            country: text(caller.country.as_deref()),
            user_agent: text(caller.user_agent.as_deref()),
            metadata: event.metadata.as_ref().map(Metadata::to_json).unwrap_or_default(),
            metadata_text: entries(event).map(|(name, value)| (name, value.to_text())).collect(),
            attributes: event.attributes.iter().flat_map(|attributes| attributes.entries()).collect(),
            request_content_type: text(bodies.request_content_type.as_deref()),
            response_content_type: text(bodies.response_content_type.as_deref()),
            request_size: bodies.request_size,
            response_size: bodies.response_size,
            flags: event.flags.iter().map(Flag::as_str).collect(),
            ..Self::of_measures(priced)
        }
    }

    /// Only what was counted and what it cost.
    fn of_measures(priced: &'a PricedEvent) -> Self {
        let event = priced.event();
        let tokens = &event.tokens;
        let attributes = event.attributes.as_deref();
        Self {
            tokens_in: tokens.total_in(),
            tokens_out: tokens.total_out(),
            prompt_tokens: attributes.and_then(|attributes| attributes.prompt_tokens),
            completion_tokens: attributes.and_then(|attributes| attributes.completion_tokens),
            tokens_uncached_input: tokens.get(TokenBucket::UncachedInput),
            tokens_cache_read: tokens.get(TokenBucket::CacheRead),
            tokens_cache_write_5m: tokens.get(TokenBucket::CacheWrite5m),
            tokens_cache_write_1h: tokens.get(TokenBucket::CacheWrite1h),
            tokens_audio_input: tokens.get(TokenBucket::AudioInput),
            tokens_image_input: tokens.get(TokenBucket::ImageInput),
            tokens_video_input: tokens.get(TokenBucket::VideoInput),
            tokens_cache_read_audio: tokens.get(TokenBucket::CacheReadAudio),
            tokens_cache_read_image: tokens.get(TokenBucket::CacheReadImage),
            tokens_text_output: tokens.get(TokenBucket::TextOutput),
            tokens_reasoning: tokens.get(TokenBucket::Reasoning),
            tokens_audio_output: tokens.get(TokenBucket::AudioOutput),
            tokens_image_output: tokens.get(TokenBucket::ImageOutput),
            tokens_video_output: tokens.get(TokenBucket::VideoOutput),
            tokens_citation: tokens.get(TokenBucket::Citation),
            units: event.units.iter().map(|(unit, count)| (Unit::as_str(unit), count)).collect(),
            service_tier: text(event.service_tier.as_deref()),
            usage_json: text(event.usage_json.as_deref()),
            cost: priced.cost().amount().map(ScaledUsd::from),
            cost_source: priced.cost().source().as_str(),
            unpriced_reason: priced.cost().unpriced_reason().map_or("", UnpricedReason::as_str),
            price_id: priced.cost().price_id().unwrap_or_default(),
            price_book: priced.cost().edition().map_or("", Edition::as_str),
            per_token_in: event.custom_cost.map(|custom| ScaledUsd::from(custom.per_token_in)),
            per_token_out: event.custom_cost.map(|custom| ScaledUsd::from(custom.per_token_out)),
            quota: priced.quota().map(|quota| quota.units),
            quota_source: priced.quota().map_or("", |quota| quota.source.as_str()),
            ..Self::default()
        }
    }
}

impl<'a> BodyRow<'a> {
    /// The bodies of an event; `None` where neither was logged.
    #[must_use]
    pub fn from_event(priced: &'a PricedEvent) -> Option<Self> {
        let event = priced.event();
        let (request, response) = (event.bodies.request.as_deref(), event.bodies.response.as_deref());
        if request.is_none() && response.is_none() {
            return None;
        }
        let Scope { account_id, gateway_id } = &event.scope;
        Some(Self {
            account_id: account_id.as_str(),
            gateway_id: gateway_id.as_str(),
            started_at: event.started_at.millis(),
            id: event.id.bytes(),
            texts: vec![request, response],
        })
    }
}

fn entries(event: &UsageEvent) -> impl Iterator<Item = (&str, &MetadataValue)> {
    event.metadata.iter().flat_map(Metadata::iter)
}

fn text(value: Option<&str>) -> &str {
    value.unwrap_or_default()
}
