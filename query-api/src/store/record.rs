//! The records that statements are answered with. They are decoded straight into checked types.

use clickhouse::Row;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use weir_event::{Attributes, EventId, Timestamp, Usd};
use weir_store::ScaledUsd;

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
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
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

fn event_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EventId, D::Error> {
    let bytes = <[u8; 26]>::deserialize(deserializer)?;
    bytes.try_into().map_err(D::Error::custom)
}

fn attributes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Attributes, D::Error> {
    Ok(Attributes::from_entries(Vec::<(String, String)>::deserialize(deserializer)?))
}

fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
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
