//! What is said of logs after they were stored, and how it is read back.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};

use clickhouse::Row;
use serde::Deserialize;
use weir_event::{EventId, Feedback, Metadata, MetadataValue, Scope, Score};
use weir_store::{AnnotationRow, append_row, columns};

use super::error::StoreError;
use super::log_store::LogStore;
use super::record::{LogEntry, event_id};
use crate::auth::{Readable, Writable};
use crate::sql::{self, Annotated, AnnotatedField};

/// What is to be said of a log from now on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Annotations {
    /// What people think of the answer.
    pub feedback: Change<Feedback>,
    /// How good the answer was found to be.
    pub score: Change<Score>,
    /// What the caller attached, as a whole.
    pub metadata: Change<Metadata>,
}

/// What becomes of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It has no value from now on.
    Clear,
    /// It has this value.
    Set(T),
}

#[derive(Row, Deserialize)]
struct FieldRow {
    field: String,
}

/// What is said of some logs.
pub(super) struct Said(Vec<AnnotationRecord>);

#[derive(Row, Deserialize)]
struct AnnotationRecord {
    #[serde(deserialize_with = "event_id")]
    id: EventId,
    field: String,
    value: Option<String>,
}

impl LogStore {
    /// Says something of a log, which is what the next read finds and filters go by; or else there is no such log, and it is
    /// `false`. All fields change at once. Of changes to one field the last by ClickHouse's clock is in force; nothing
    /// that is there is read for it, so changes to different fields never undo one another.
    pub async fn annotate(
        &self,
        scope: &Writable<Scope>,
        id: &EventId,
        annotations: &Annotations,
    ) -> Result<bool, StoreError> {
        let known = self.query(&sql::exists(scope, id)).fetch_optional::<u8>().await?;
        let mut encoded = Vec::new();
        annotations.append_rows(scope, id, &mut encoded)?;
        if known.is_none() || encoded.is_empty() {
            return Ok(known.is_some());
        }
        let columns = columns::<AnnotationRow<'static>>();
        let statement = format!("INSERT INTO annotations ({columns}) FORMAT RowBinary");
        // On a replicated table ClickHouse drops a block that it had lately: to say the same again is no repetition, since
        // something else may have been said in between. The standard library's hasher is seeded by the system.
        let token = format!("{:016x}", RandomState::new().hash_one(id.bytes()));
        let insert = self.client().insert_formatted_with(statement);
        let mut insert = insert.with_setting("insert_deduplication_token", token);
        insert.send(encoded.into()).await?;
        insert.end().await?;
        Ok(true)
    }

    /// Of which fields there are annotations.
    pub(super) async fn annotated(&self, scope: &Readable<Scope>) -> Result<Annotated, StoreError> {
        let rows: Vec<FieldRow> = self.query(&sql::annotated(scope)).fetch_all().await?;
        Ok(rows.iter().filter_map(|row| AnnotatedField::named(&row.field)).collect())
    }

    /// What is said of these logs.
    pub(super) async fn said_of(&self, scope: &Readable<Scope>, ids: &[EventId]) -> Result<Said, StoreError> {
        Ok(Said(self.query(&sql::annotations(scope, ids)).fetch_all().await?))
    }
}

impl Said {
    /// Puts it in the place of what the entries' rows have.
    pub(super) fn apply(&self, entries: &mut [LogEntry]) {
        for record in &self.0 {
            for entry in entries.iter_mut().filter(|entry| entry.id == record.id) {
                record.apply(entry);
            }
        }
    }
}

impl AnnotationRecord {
    fn apply(&self, entry: &mut LogEntry) {
        let value = self.value.as_deref();
        match AnnotatedField::named(&self.field) {
            Some(AnnotatedField::Feedback) => {
                entry.attributes.feedback = value.and_then(|text| Feedback::from_json_number(text).ok());
            }
            Some(AnnotatedField::Score) => {
                entry.attributes.score = value.and_then(|text| Score::from_json_number(text).ok());
            }
            Some(AnnotatedField::Metadata) => value.unwrap_or_default().clone_into(&mut entry.metadata),
            // A later program's.
            None => {}
        }
    }
}

impl Annotations {
    /// A row for each field that changes.
    fn append_rows(&self, scope: &Scope, id: &EventId, rows: &mut Vec<u8>) -> Result<(), StoreError> {
        for (field, change) in [
            (AnnotatedField::Feedback, self.feedback.as_ref().map(ToString::to_string)),
            (AnnotatedField::Score, self.score.as_ref().map(ToString::to_string)),
            (AnnotatedField::Metadata, self.metadata.as_ref().map(Metadata::to_json)),
        ] {
            let value = match &change {
                Change::Keep => continue,
                Change::Clear => None,
                Change::Set(value) => Some(value.as_str()),
            };
            let entries: Vec<(&str, Cow<'_, str>)> = match (field, &self.metadata) {
                (AnnotatedField::Metadata, Change::Set(metadata)) => {
                    metadata.iter().map(|(name, value)| (name, MetadataValue::to_text(value))).collect()
                }
                _ => Vec::new(),
            };
            let row = AnnotationRow {
                account_id: scope.account_id.as_str(),
                gateway_id: scope.gateway_id.as_str(),
                field: field.name(),
                id: id.bytes(),
                value,
                metadata_text: entries,
            };
            append_row(&row, rows).map_err(|error| {
                StoreError::Misunderstanding(clickhouse::error::Error::Other(error.into()))
            })?;
        }
        Ok(())
    }
}

impl<T> Change<T> {
    const fn as_ref(&self) -> Change<&T> {
        match self {
            Self::Keep => Change::Keep,
            Self::Clear => Change::Clear,
            Self::Set(value) => Change::Set(value),
        }
    }

    fn map<U>(self, of: impl FnOnce(T) -> U) -> Change<U> {
        match self {
            Self::Keep => Change::Keep,
            Self::Clear => Change::Clear,
            Self::Set(value) => Change::Set(of(value)),
        }
    }
}
