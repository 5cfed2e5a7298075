//! The records that statements are answered with. They are decoded straight into checked types.

use clickhouse::Row;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use weir_event::{Attributes, EventId, Timestamp, Usd};
use weir_store::ScaledUsd;

use super::summaries::{OfPart, Summary};

/// A log row as far as the APIs show it: [`crate::sql::ENTRY_COLUMNS`]. Texts are `""` and counts `None` where the
/// source did not say.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
#[expect(missing_docs, reason = "the columns are described in the migration and in weir_event::UsageEvent")]
pub struct LogEntry {
    #[serde(deserialize_with = "event_id")]
    pub id: EventId,
    #[serde(deserialize_with = "timestamp")]
    pub created_at: Timestamp,
    pub event_id: String,
    pub duration_ms: Option<u64>,
    pub provider: String,
    pub model: String,
    pub model_type: String,
    pub request_type: String,
    pub path: String,
    pub step: Option<u16>,
    pub status_code: Option<u16>,
    pub success: bool,
    pub cached: bool,
    pub truncated: bool,
    pub user_agent: String,
    pub tokens_in: Option<u64>,
    pub tokens_out: Option<u64>,
    pub tokens_cache_read: Option<u64>,
    pub tokens_reasoning: Option<u64>,
    #[serde(deserialize_with = "optional_usd")]
    pub cost: Option<Usd>,
    pub cost_source: String,
    pub metadata: String,
    #[serde(deserialize_with = "attributes")]
    pub attributes: Attributes,
    pub request_content_type: String,
    pub response_content_type: String,
    pub request_size: Option<u64>,
    pub response_size: Option<u64>,
}

/// The count and the extremes of all rows that a filter lets through. An extreme is `None` where no row has a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Row, Deserialize)]
#[expect(missing_docs, reason = "the names are those of Cloudflare's result_info")]
pub struct LogSummary {
    pub total_count: u64,
    #[serde(deserialize_with = "optional_usd")]
    pub min_cost: Option<Usd>,
    #[serde(deserialize_with = "optional_usd")]
    pub max_cost: Option<Usd>,
    pub min_duration: Option<u64>,
    pub max_duration: Option<u64>,
    pub min_tokens_in: Option<u64>,
    pub max_tokens_in: Option<u64>,
    pub min_tokens_out: Option<u64>,
    pub max_tokens_out: Option<u64>,
    pub min_total_tokens: Option<u64>,
    pub max_total_tokens: Option<u64>,
}

/// A value of the column that a list is ordered by, and how many entries have it.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub(super) struct ValueCount {
    pub(super) value: String,
    pub(super) entries: u64,
}

/// A part of the table of logs, as one server has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Row, Deserialize)]
pub(super) struct Part {
    pub(super) server: String,
    pub(super) name: String,
    /// A hash of its files. It is not the name alone that tells parts apart: after a restart a table that was emptied gives
    /// the same names again.
    pub(super) content: u128,
}

/// [`LogSummary`] of the rows of one part, or, with an empty name, only the server that was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Row, Deserialize)]
pub(super) struct PartSummary {
    server: String,
    part: String,
    total_count: u64,
    #[serde(deserialize_with = "optional_usd")]
    min_cost: Option<Usd>,
    #[serde(deserialize_with = "optional_usd")]
    max_cost: Option<Usd>,
    min_duration: Option<u64>,
    max_duration: Option<u64>,
    min_tokens_in: Option<u64>,
    max_tokens_in: Option<u64>,
    min_tokens_out: Option<u64>,
    max_tokens_out: Option<u64>,
    min_total_tokens: Option<u64>,
    max_total_tokens: Option<u64>,
}

impl From<PartSummary> for OfPart<LogSummary> {
    fn from(part: PartSummary) -> Self {
        let summary = LogSummary {
            total_count: part.total_count,
            min_cost: part.min_cost,
            max_cost: part.max_cost,
            min_duration: part.min_duration,
            max_duration: part.max_duration,
            min_tokens_in: part.min_tokens_in,
            max_tokens_in: part.max_tokens_in,
            min_tokens_out: part.min_tokens_out,
            max_tokens_out: part.max_tokens_out,
            min_total_tokens: part.min_total_tokens,
            max_total_tokens: part.max_total_tokens,
        };
        Self { server: part.server, part: part.part, summary }
    }
}

impl Summary for LogSummary {
    fn add(&mut self, other: &Self) {
        self.total_count += other.total_count;
        least(&mut self.min_cost, other.min_cost);
        greatest(&mut self.max_cost, other.max_cost);
        least(&mut self.min_duration, other.min_duration);
        greatest(&mut self.max_duration, other.max_duration);
        least(&mut self.min_tokens_in, other.min_tokens_in);
        greatest(&mut self.max_tokens_in, other.max_tokens_in);
        least(&mut self.min_tokens_out, other.min_tokens_out);
        greatest(&mut self.max_tokens_out, other.max_tokens_out);
        least(&mut self.min_total_tokens, other.min_total_tokens);
        greatest(&mut self.max_total_tokens, other.max_total_tokens);
    }
}

fn least<T: Ord>(so_far: &mut Option<T>, other: Option<T>) {
    *so_far = match (so_far.take(), other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
}

fn greatest<T: Ord>(so_far: &mut Option<T>, other: Option<T>) {
    *so_far = so_far.take().max(other);
}

/// The beginnings of both bodies, with the size of each in bytes; `None` where the body is not stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Row, Deserialize)]
#[expect(missing_docs, reason = "the fields are described above")]
pub struct BodyHeads {
    pub request_head: Option<String>,
    pub request_bytes: Option<u64>,
    pub response_head: Option<String>,
    pub response_bytes: Option<u64>,
}

/// One whole body; `None` where it is not stored although the other one is.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub(super) struct StoredBody {
    pub(super) body: Option<String>,
}

pub(super) fn event_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EventId, D::Error> {
    let bytes = <[u8; 26]>::deserialize(deserializer)?;
    bytes.try_into().map_err(D::Error::custom)
}

pub(super) fn attributes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Attributes, D::Error> {
    Ok(Attributes::from_entries(Vec::<(String, String)>::deserialize(deserializer)?))
}

pub(super) fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    Timestamp::from_millis(i64::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn optional_usd<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Usd>, D::Error> {
    let scaled = Option::<ScaledUsd>::deserialize(deserializer)?;
    scaled.map(Usd::try_from).transpose().map_err(D::Error::custom)
}

/// What became of the records of one source that an account sent within an hour.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct LedgerHour {
    /// When it began, in epoch milliseconds.
    pub hour_ms: i64,
    /// The door they came in through.
    pub source: String,
    /// Taken in.
    pub received: i64,
    /// New, and stored.
    pub stored: i64,
    /// There before.
    pub duplicates: i64,
    /// Kept as dead letters.
    pub dead_lettered: i64,
    /// Nothing to store.
    pub ignored: i64,
    /// Stored, and deleted since.
    pub deleted: i64,
    /// Of these, what may be there still.
    pub deleting: i64,
    /// Rows of logs that were ingested within the hour.
    pub rows: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::ENTRY_COLUMNS;

    #[test]
    fn an_entry_is_read_from_exactly_the_columns_that_are_asked_for() {
        let asked_for: Vec<_> = ENTRY_COLUMNS.iter().map(|column| column.name()).collect();
        assert_eq!(LogEntry::COLUMN_NAMES, asked_for);
    }
}
