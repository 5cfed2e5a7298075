//! ClickHouse as the writer uses it: which ids are known, and one insert per table.

use std::collections::HashSet;
use std::time::Duration;

use clickhouse::insert::Insert;
use clickhouse::{Client, Row};
use serde::Deserialize;
use weir_event::{EventId, Scope, Timestamp};
use weir_store::{DeadLetterRow, LogRow, PayloadRow};

use super::SinkError;
use crate::accept::Origin;
use crate::pipeline::DeadLetter;
use crate::price::PricedEvent;

/// How many ids one statement asks about: keeps it well within the server's limit on a query's length (256 KiB).
const IDS_PER_QUERY_MAX: usize = 4_000;

/// The tables that ingest writes.
#[derive(Clone)]
pub struct Store {
    client: Client,
    /// For one statement, sent and answered.
    timeout: Duration,
}

#[derive(Row, Deserialize)]
struct IdRow {
    id: [u8; 26],
}

impl Store {
    /// Tables that `client` reaches. A statement that takes longer than `timeout` has failed.
    #[must_use]
    pub const fn new(client: Client, timeout: Duration) -> Self {
        Self { client, timeout }
    }

    /// Whether the server answers.
    pub async fn ping(&self) -> Result<(), SinkError> {
        self.within("ping", self.client.query("SELECT 1").execute()).await
    }

    /// Those of `ids` that have a row.
    ///
    /// An id carries its event's start, so the question is bounded in time, and `started_at <= created_at` bounds
    /// the primary key too: rows of other days are not read.
    pub async fn known(&self, scope: &Scope, ids: &mut [EventId]) -> Result<HashSet<EventId>, SinkError> {
        let mut known = HashSet::new();
        // In order of time, so that each statement's share of the ids spans as little of it as can be.
        ids.sort_unstable();
        for ids in ids.chunks(IDS_PER_QUERY_MAX) {
            if let (Some(first), Some(last)) = (ids.first(), ids.last()) {
                self.known_between(scope, (first, last), ids, &mut known).await?;
            }
        }
        Ok(known)
    }

    /// Writes the bodies and then the rows of `events`. `token` names this very write: the server drops a second one.
    pub async fn insert_events(
        &self,
        events: &[&PricedEvent],
        ingested_at: Timestamp,
        token: &str,
    ) -> Result<(), SinkError> {
        if events.is_empty() {
            return Ok(());
        }
        self.insert_payloads(events, token).await.map_err(SinkError::clickhouse("insert into payloads"))?;
        self.insert_logs(events, ingested_at, token).await.map_err(SinkError::clickhouse("insert into logs"))
    }

    /// Writes dead letters.
    pub async fn insert_dead_letters(
        &self,
        letters: &[(&Origin, &DeadLetter)],
        received_at: Timestamp,
        token: &str,
    ) -> Result<(), SinkError> {
        if letters.is_empty() {
            return Ok(());
        }
        self.insert_letters(letters, received_at, token)
            .await
            .map_err(SinkError::clickhouse("insert into dead_letters"))
    }

    async fn known_between(
        &self,
        scope: &Scope,
        (first, last): (&EventId, &EventId),
        ids: &[EventId],
        known: &mut HashSet<EventId>,
    ) -> Result<(), SinkError> {
        const KNOWN: &str = "SELECT id FROM logs WHERE account_id = ? AND gateway_id = ? \
             AND started_at BETWEEN fromUnixTimestamp64Milli(?) AND fromUnixTimestamp64Milli(?) \
             AND created_at >= fromUnixTimestamp64Milli(?) AND id IN ?";
        let names: Vec<_> = ids.iter().map(EventId::as_str).collect();
        let query = self
            .client
            .query(KNOWN)
            .bind(scope.account_id.as_str())
            .bind(scope.gateway_id.as_str())
            .bind(first.started_at().millis())
            .bind(last.started_at().millis())
            .bind(first.started_at().millis())
            .bind(names);
        let rows: Vec<IdRow> = self.within("id check", query.fetch_all()).await?;
        known.extend(rows.into_iter().filter_map(|row| EventId::try_from(row.id).ok()));
        Ok(())
    }

    async fn insert_payloads(&self, events: &[&PricedEvent], token: &str) -> clickhouse::error::Result<()> {
        let mut insert = self.insert::<PayloadRow<'static>>("payloads", token).await?;
        for event in events {
            if let Some(row) = PayloadRow::from_event(event) {
                let written = insert.write(&row);
                written.await?;
            }
        }
        insert.end().await
    }

    async fn insert_logs(
        &self,
        events: &[&PricedEvent],
        ingested_at: Timestamp,
        token: &str,
    ) -> clickhouse::error::Result<()> {
        let mut insert = self.insert::<LogRow<'static>>("logs", token).await?;
        for event in events {
            let written = insert.write(&LogRow::from_event(event, ingested_at));
            written.await?;
        }
        insert.end().await
    }

    async fn insert_letters(
        &self,
        letters: &[(&Origin, &DeadLetter)],
        received_at: Timestamp,
        token: &str,
    ) -> clickhouse::error::Result<()> {
        let mut insert = self.insert::<DeadLetterRow<'static>>("dead_letters", token).await?;
        for (origin, letter) in letters {
            let written = insert.write(&dead_letter_row(origin, letter, received_at));
            written.await?;
        }
        insert.end().await
    }

    /// One insert, in one piece: it is committed when it has ended, or, as far as the server says, not at all.
    async fn insert<T: Row>(&self, table: &'static str, token: &str) -> clickhouse::error::Result<Insert<T>> {
        let insert = self.client.insert::<T>(table).await?;
        Ok(insert
            .with_setting("insert_deduplication_token", token)
            .with_timeouts(Some(self.timeout), Some(self.timeout)))
    }

    async fn within<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, clickhouse::error::Error>>,
    ) -> Result<T, SinkError> {
        match tokio::time::timeout(self.timeout, work).await {
            Ok(result) => result.map_err(SinkError::clickhouse(operation)),
            Err(_) => Err(SinkError::TimedOut { operation, limit_ms: self.timeout.as_millis() }),
        }
    }
}

fn dead_letter_row<'a>(
    origin: &'a Origin,
    letter: &'a DeadLetter,
    received_at: Timestamp,
) -> DeadLetterRow<'a> {
    DeadLetterRow {
        account_id: origin.scope.account_id.as_str(),
        gateway_id: origin.scope.gateway_id.as_str(),
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
