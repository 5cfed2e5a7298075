//! A row of `logs` with every field of the catalogue, for filters to be asked in memory.

use clickhouse::Row;
use rust_decimal::Decimal;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use weir_event::{EventId, Metadata, Scope, Timestamp};
use weir_filter::{FlagField, NumberField, TextField, TimeField};

use super::error::StoreError;
use super::log_store::LogStore;
use super::record::{event_id, timestamp};
use crate::auth::Readable;
use crate::sql;

/// A row as it was stored: what is said of it later is not in it. A filter may be asked about it
/// ([`weir_filter::Filter::matches`]), which it meets just if it would in ClickHouse.
#[derive(Clone, Debug, PartialEq, Row, Deserialize)]
pub struct StoredRow {
    /// Which event.
    #[serde(deserialize_with = "event_id")]
    pub id: EventId,
    #[serde(deserialize_with = "timestamp")]
    created_at: Timestamp,
    #[serde(deserialize_with = "timestamp")]
    started_at: Timestamp,
    /// When it was stored, by the clock of who stored it.
    #[serde(deserialize_with = "timestamp")]
    pub ingested_at: Timestamp,
    #[serde(deserialize_with = "texts")]
    texts: Vec<String>,
    #[serde(deserialize_with = "numbers")]
    numbers: Vec<Option<Decimal>>,
    #[serde(deserialize_with = "flags")]
    flags: Vec<bool>,
    #[serde(deserialize_with = "metadata")]
    metadata: Option<Metadata>,
}

impl LogStore {
    /// The rows of these events, by the end of each: those that are there, in no order.
    pub async fn rows(
        &self,
        scope: &Readable<Scope>,
        events: &[(Timestamp, EventId)],
    ) -> Result<Vec<StoredRow>, StoreError> {
        Ok(self.query(&sql::rows(scope, events)).fetch_all().await?)
    }
}

impl StoredRow {
    /// Where it stands in the order of the table.
    #[must_use]
    pub const fn place(&self) -> (Timestamp, EventId) {
        (self.created_at, self.id)
    }

    /// A row of which nothing is known but its model.
    #[cfg(test)]
    pub(crate) fn of_model(id: EventId, ingested_at: Timestamp, model: &str) -> Self {
        let mut texts = vec![String::new(); TextField::ALL.len()];
        model.clone_into(&mut texts[TextField::Model as usize]);
        Self {
            id,
            created_at: id.started_at(),
            started_at: id.started_at(),
            ingested_at,
            texts,
            numbers: vec![None; NumberField::ALL.len()],
            flags: vec![false; FlagField::ALL.len()],
            metadata: None,
        }
    }
}

impl weir_filter::Row for StoredRow {
    fn text(&self, field: TextField) -> &str {
        &self.texts[field as usize]
    }

    fn number(&self, field: NumberField) -> Option<Decimal> {
        self.numbers[field as usize]
    }

    fn time(&self, field: TimeField) -> Timestamp {
        match field {
            TimeField::CreatedAt => self.created_at,
            TimeField::StartedAt => self.started_at,
        }
    }

    fn flag(&self, field: FlagField) -> bool {
        self.flags[field as usize]
    }

    fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }
}

fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    one_each::<_, D>(Vec::deserialize(deserializer)?, TextField::ALL)
}

fn flags<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<bool>, D::Error> {
    one_each::<_, D>(Vec::deserialize(deserializer)?, FlagField::ALL)
}

fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Option<Decimal>>, D::Error> {
    let texts = one_each::<_, D>(Vec::<Option<String>>::deserialize(deserializer)?, NumberField::ALL)?;
    let parse = |text: String| text.parse().map_err(D::Error::custom);
    texts.into_iter().map(|text| text.map(parse).transpose()).collect()
}

fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Metadata>, D::Error> {
    let text = String::deserialize(deserializer)?;
    // An object of ours, or the empty text.
    Ok(serde_json::from_str(&text).ok())
}

/// What was read, if it is one value for each of `fields`.
fn one_each<'de, T, D: Deserializer<'de>>(values: Vec<T>, fields: &[impl Sized]) -> Result<Vec<T>, D::Error> {
    let (found, expected) = (values.len(), fields.len());
    if found == expected {
        Ok(values)
    } else {
        Err(D::Error::custom(format_args!("{found} values of {expected} fields")))
    }
}
