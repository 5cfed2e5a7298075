//! Rows of new-api's log, as its table has them and its API lists them.
//!
//! Strict in what names, times, counts and charges; a field of another type costs only itself in everything else.

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use weir_event::Timestamp;

use super::cloudflare_log::{short, text_or_json, words};
use super::error::DecodeError;
use super::figure::Whole;
use super::lenient::{Lenient, Switch, taken};
use super::record::read;
use crate::text::NAME_MAX;

/// The types of rows that any version writes.
const TYPES: std::ops::RangeInclusive<i64> = 1..=7;

/// A row. Ids of 0 and empty texts are new-api's way of saying nothing, and are `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewApiLog {
    /// What it is known by.
    pub identity: RowIdentity,
    /// `type`, 1 to 7: what 4 and 5 mean depends on whom one asks.
    pub row_type: i64,
    /// `created_at`, which has seconds: when it was logged, at the end of the call.
    pub ended_at: Timestamp,
    /// `use_time`, in seconds.
    pub use_time_s: Option<u64>,
    /// `content`: what it is about, in words, however many.
    pub content: Option<String>,
    /// `user_id`.
    pub user_id: Option<String>,
    /// `username`.
    pub user_name: Option<String>,
    /// `token_id`.
    pub token_id: Option<String>,
    /// `token_name`.
    pub token_name: Option<String>,
    /// `group`.
    pub group: Option<String>,
    /// `channel`, or as the documentation has it `channel_id`.
    pub channel_id: Option<String>,
    /// `channel_name`.
    pub channel_name: Option<String>,
    /// `ip`.
    pub ip: Option<String>,
    /// `model_name`: the model that was asked for.
    pub model_name: Option<String>,
    /// `quota`: what was charged, or given.
    pub quota: Option<i64>,
    /// `prompt_tokens`.
    pub prompt_tokens: i64,
    /// `completion_tokens`.
    pub completion_tokens: i64,
    /// `is_stream`.
    pub is_stream: bool,
    /// `request_id`: new-api's own.
    pub request_id: Option<String>,
    /// `upstream_request_id`: the provider's.
    pub upstream_request_id: Option<String>,
    /// `other`, to the byte: JSON, most often.
    pub other: Option<String>,
}

/// What tells a row from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowIdentity {
    /// Its number in the table.
    Id(i64),
    /// The request that it is of; a table in ClickHouse has no numbers. A request that was tried again has several rows.
    Request(String),
    /// The envelope that it came in.
    Named(String),
    /// SHA-256 of the row.
    Digest([u8; 32]),
}

#[derive(Deserialize)]
struct WireRow<'a> {
    id: Option<Whole>,
    #[serde(rename = "type")]
    row_type: Option<Whole>,
    created_at: Option<Whole>,
    use_time: Option<Whole>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    user_id: Option<Lenient<Whole>>,
    #[serde(borrow)]
    username: Option<&'a RawValue>,
    token_id: Option<Lenient<Whole>>,
    #[serde(borrow)]
    token_name: Option<&'a RawValue>,
    #[serde(borrow)]
    group: Option<&'a RawValue>,
    channel: Option<Lenient<Whole>>,
    channel_id: Option<Lenient<Whole>>,
    #[serde(borrow)]
    channel_name: Option<&'a RawValue>,
    #[serde(borrow)]
    ip: Option<&'a RawValue>,
    #[serde(borrow)]
    model_name: Option<&'a RawValue>,
    quota: Option<Whole>,
    prompt_tokens: Option<Whole>,
    completion_tokens: Option<Whole>,
    is_stream: Option<Lenient<Switch>>,
    request_id: Option<String>,
    #[serde(borrow)]
    upstream_request_id: Option<&'a RawValue>,
    #[serde(borrow)]
    other: Option<&'a RawValue>,
}

impl NewApiLog {
    pub(super) fn read(json: &[u8]) -> Result<Self, DecodeError> {
        let wire: WireRow<'_> = read(json)?;
        let missing = |field: &str| DecodeError::MissingField { field: field.to_owned() };
        let Whole(row_type) = wire.row_type.ok_or_else(|| missing("type"))?;
        if !TYPES.contains(&row_type) {
            return Err(DecodeError::InvalidValue { field: "type".to_owned() });
        }
        let Whole(seconds) = wire.created_at.ok_or_else(|| missing("created_at"))?;
        let count = |figure: Option<Whole>| figure.map_or(0, |Whole(count)| count);
        let number = |id: Option<Lenient<Whole>>| {
            taken(id).filter(|Whole(id)| *id != 0).map(|Whole(id)| id.to_string())
        };
        let request_id = wire.request_id.filter(|id| !id.is_empty());
        Ok(Self {
            identity: match (wire.id, &request_id) {
                (Some(Whole(id @ 1..)), _) => RowIdentity::Id(id),
                (_, Some(request_id)) => RowIdentity::Request(request_id.clone()),
                (_, None) => RowIdentity::Digest(Sha256::digest(json).into()),
            },
            row_type,
            ended_at: of_seconds(seconds)?,
            use_time_s: wire.use_time.and_then(|Whole(seconds)| u64::try_from(seconds).ok()),
            content: words(wire.content),
            user_id: number(wire.user_id),
            user_name: short(wire.username, NAME_MAX),
            token_id: number(wire.token_id),
            token_name: short(wire.token_name, NAME_MAX),
            group: short(wire.group, NAME_MAX),
            channel_id: number(wire.channel).or_else(|| number(wire.channel_id)),
            channel_name: short(wire.channel_name, NAME_MAX),
            ip: short(wire.ip, NAME_MAX),
            model_name: short(wire.model_name, NAME_MAX),
            quota: wire.quota.map(|Whole(units)| units),
            prompt_tokens: count(wire.prompt_tokens),
            completion_tokens: count(wire.completion_tokens),
            is_stream: matches!(taken(wire.is_stream), Some(Switch(true))),
            request_id,
            upstream_request_id: short(wire.upstream_request_id, NAME_MAX),
            other: wire.other.and_then(text_or_json),
        })
    }

    /// Whether it has a name that no other row has: what it says may be said twice.
    pub(crate) const fn is_named(&self) -> bool {
        !matches!(self.identity, RowIdentity::Digest(_))
    }

    /// A row that is known by its bytes, and is the record `kept`, was other bytes when it came.
    pub(super) fn came_as(&mut self, kept: &[u8], came_as: [u8; 32]) {
        if self.identity == RowIdentity::Digest(Sha256::digest(kept).into()) {
            self.identity = RowIdentity::Digest(came_as);
        }
    }

    /// Names a row that has no name of its own.
    pub(super) fn name(&mut self, name: String) {
        if matches!(self.identity, RowIdentity::Digest(_)) {
            self.identity = RowIdentity::Named(name);
        }
    }
}

fn of_seconds(seconds: i64) -> Result<Timestamp, DecodeError> {
    let millis = seconds.saturating_mul(1_000);
    Timestamp::from_millis(millis).map_err(|_| DecodeError::InvalidTime { field: "created_at".to_owned() })
}
