//! The inserts of one write: one per table, all under one token.
//!
//! An insert that was sent and not answered may be running still, or lie in a socket's buffer and run later. It is
//! settled by the same rows under the same `insert_deduplication_token`. The server looks at the token when a part is
//! committed, under the table's lock, not when the insert begins: of two inserts that run at the same time the one that
//! commits first is stored, and the other one answers that all is well and stores nothing. So a repetition needs not
//! wait for the end of the first attempt, nor kill it: once any attempt has succeeded, no other one can add a row.

use std::collections::HashMap;

use clickhouse::Row;
use clickhouse::insert::Insert;
use weir_event::{EventId, GatewayId, Scope, Timestamp};
use weir_store::{DeadLetterRow, LogRow, PayloadRow};

use super::store::INSERT_COMMENT;
use super::{SinkError, Store};
use crate::accept::Origin;
use crate::pipeline::DeadLetter;
use crate::price::PricedEvent;

/// What one write stores. Written again, it is the same write: nothing in it may change between two attempts.
#[derive(Clone, Debug)]
pub struct Rows<'r> {
    /// New events.
    pub events: Vec<&'r PricedEvent>,
    /// Dead letters, with where they come from.
    pub letters: Vec<(&'r Origin, &'r DeadLetter)>,
    /// When they are stored.
    pub at: Timestamp,
    /// Names this very write: the server drops a second one.
    pub token: String,
}

impl Store {
    /// Writes bodies, then events, so that a row that can be seen has its bodies; then dead letters.
    pub async fn insert(&self, rows: &Rows<'_>) -> Result<(), SinkError> {
        if !rows.events.is_empty() {
            self.insert_payloads(rows).await?;
            self.insert_logs(rows).await?;
        }
        if !rows.letters.is_empty() {
            self.insert_letters(rows).await?;
        }
        Ok(())
    }

    /// Whether every event of a write is there. Then it is stored, whichever attempt it was; bodies come before them.
    pub async fn has_events(&self, rows: &Rows<'_>) -> Result<bool, SinkError> {
        let mut ids: HashMap<&Scope, Vec<EventId>> = HashMap::new();
        for event in &rows.events {
            ids.entry(&event.event().scope).or_default().push(event.event().id);
        }
        for (scope, mut ids) in ids {
            if self.known(scope, &mut ids).await?.len() < ids.len() {
                return Ok(false);
            }
        }
        // Letters are written last, so the events say nothing of them.
        Ok(rows.letters.is_empty() && !rows.events.is_empty())
    }

    async fn insert_payloads(&self, rows: &Rows<'_>) -> Result<(), SinkError> {
        let mut insert = self.begin::<PayloadRow<'static>>("payloads", rows).await?;
        let work = async {
            for row in rows.events.iter().filter_map(|event| PayloadRow::from_event(event)) {
                let written = insert.write(&row);
                written.await?;
            }
            insert.end().await
        };
        work.await.map_err(|error| SinkError::insert("insert into payloads", error))
    }

    async fn insert_logs(&self, rows: &Rows<'_>) -> Result<(), SinkError> {
        let mut insert = self.begin::<LogRow<'static>>("logs", rows).await?;
        let work = async {
            for event in &rows.events {
                let written = insert.write(&LogRow::from_event(event, rows.at));
                written.await?;
            }
            insert.end().await
        };
        work.await.map_err(|error| SinkError::insert("insert into logs", error))
    }

    async fn insert_letters(&self, rows: &Rows<'_>) -> Result<(), SinkError> {
        let mut insert = self.begin::<DeadLetterRow<'static>>("dead_letters", rows).await?;
        let work = async {
            for (origin, letter) in &rows.letters {
                let written = insert.write(&dead_letter_row(origin, letter, rows.at));
                written.await?;
            }
            insert.end().await
        };
        work.await.map_err(|error| SinkError::insert("insert into dead_letters", error))
    }

    /// An insert that is not sent yet. It may ask for the table's columns first, the first time.
    async fn begin<T: Row>(&self, table: &'static str, rows: &Rows<'_>) -> Result<Insert<T>, SinkError> {
        let insert = self.within("columns", self.client.insert::<T>(table)).await?;
        Ok(insert
            .with_setting("insert_deduplication_token", &rows.token)
            // By this a running insert is known as ours, by us or by who comes after us.
            .with_setting("log_comment", format!("{INSERT_COMMENT}{}", rows.token))
            // A push may bring years: one part per month is what it takes.
            .with_setting("max_partitions_per_insert_block", "0")
            // The client's own, for each part that is sent and for the answer: one of ours around it would leave the
            // request running in the background.
            .with_timeouts(Some(self.timeout), Some(self.timeout)))
    }
}

fn dead_letter_row<'a>(
    origin: &'a Origin,
    letter: &'a DeadLetter,
    received_at: Timestamp,
) -> DeadLetterRow<'a> {
    DeadLetterRow {
        account_id: origin.account_id.as_str(),
        gateway_id: letter.gateway_id.as_ref().map_or("", GatewayId::as_str),
        digest: &letter.digest,
        received_at: received_at.millis(),
        source: origin.source.as_str(),
        batch: &origin.batch,
        position: letter.position,
        reason: letter.reason,
        detail: &letter.detail,
        raw: &letter.raw,
    }
}
