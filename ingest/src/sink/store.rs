//! What the writer asks of ClickHouse: which ids are known, and which inserts of ours are running.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use clickhouse::query::Query;
use clickhouse::{Client, Row, RowOwned, RowRead};
use serde::Deserialize;
use weir_event::{EventId, Scope};

use super::{EventRef, SinkError};

/// How many ids one statement asks about: keeps it well within the server's limit on a query's length (256 KiB).
pub(super) const IDS_PER_QUERY_MAX: usize = 4_000;

/// How the `log_comment` of an insert of ours begins; the token of the write follows.
pub(super) const INSERT_COMMENT: &str = "weir-ingest ";

/// The tables that ingest writes.
#[derive(Clone)]
pub struct Store {
    pub(crate) client: Client,
    /// For one statement, sent and answered.
    pub(super) timeout: Duration,
}

/// What there is, by whose it is.
pub(crate) fn by_scope<S: Ord, T>(all: impl IntoIterator<Item = (S, T)>) -> BTreeMap<S, Vec<T>> {
    let mut scopes: BTreeMap<S, Vec<T>> = BTreeMap::new();
    for (scope, one) in all {
        scopes.entry(scope).or_default().push(one);
    }
    scopes
}

#[derive(Row, Deserialize)]
pub(super) struct IdRow {
    pub(super) id: [u8; 26],
}

#[derive(Row, Deserialize)]
struct RunningRow {
    query_id: String,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("timeout", &self.timeout).finish_non_exhaustive()
    }
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

    /// The ids of those of `events` that have a row.
    pub(super) async fn known_of(&self, events: &[EventRef<'_>]) -> Result<HashSet<EventId>, SinkError> {
        let found = self.ids_of("id check", events, "").await?;
        Ok(found.into_iter().flat_map(|(_, ids)| ids).collect())
    }

    /// The ids of those of `events` that have a row of the write `write_id`.
    pub(super) async fn known_of_write(
        &self,
        write_id: u64,
        events: &[EventRef<'_>],
    ) -> Result<HashSet<EventId>, SinkError> {
        let found = self.ids_of("look for a write", events, &format!("AND write_id = {write_id}")).await?;
        Ok(found.into_iter().flat_map(|(_, ids)| ids).collect())
    }

    /// What [`Self::fetch_of`] finds of `events`, by whose they are; only who has any.
    ///
    /// An id carries its event's start, so the question is bounded in time, and `started_at <= created_at` bounds
    /// the primary key too: rows of other days are not read.
    pub(super) async fn ids_of<'e>(
        &self,
        operation: &'static str,
        events: &[EventRef<'e>],
        rest: &str,
    ) -> Result<Vec<(&'e Scope, Vec<EventId>)>, SinkError> {
        let mut found = Vec::new();
        for (scope, mut ids) in by_scope(events.iter().map(|event| (event.scope, event.id))) {
            // In order of time, so that each statement's share of the ids spans as little of it as can be.
            ids.sort_unstable();
            let mut of_scope = Vec::new();
            for ids in ids.chunks(IDS_PER_QUERY_MAX) {
                let rows: Vec<IdRow> = self.fetch_of(operation, scope, ids, rest).await?;
                of_scope.extend(rows.into_iter().filter_map(|row| EventId::try_from(row.id).ok()));
            }
            if !of_scope.is_empty() {
                found.push((scope, of_scope));
            }
        }
        Ok(found)
    }

    /// The query ids of the inserts that run now and whose write has a token that begins with `token`: of every
    /// writer, where it is empty.
    pub async fn running_inserts(&self, token: &str) -> Result<HashSet<String>, SinkError> {
        const RUNNING: &str =
            "SELECT query_id FROM system.processes WHERE startsWith(Settings['log_comment'], ?)";
        let query = self.client.query(RUNNING).bind(format!("{INSERT_COMMENT}{token}"));
        let rows: Vec<RunningRow> = self.within("look at running inserts", query.fetch_all()).await?;
        Ok(rows.into_iter().map(|row| row.query_id).collect())
    }

    /// What there is of `ids`, which are in order; `rest` goes on after the condition.
    pub(super) async fn fetch_of<R>(
        &self,
        operation: &'static str,
        scope: &Scope,
        ids: &[EventId],
        rest: &str,
    ) -> Result<Vec<R>, SinkError>
    where
        R: RowOwned + RowRead,
    {
        const OF_IDS: &str = "SELECT ?fields FROM logs WHERE account_id = ? AND gateway_id = ? \
             AND started_at BETWEEN fromUnixTimestamp64Milli(?) AND fromUnixTimestamp64Milli(?) \
             AND created_at >= fromUnixTimestamp64Milli(?) AND id IN ?";
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(Vec::new()) };
        let names: Vec<_> = ids.iter().map(EventId::as_str).collect();
        let query = self
            .client
            .query(&format!("{OF_IDS} {rest}"))
            .bind(scope.account_id.as_str())
            .bind(scope.gateway_id.as_str())
            .bind(first.started_at().millis())
            .bind(last.started_at().millis())
            .bind(first.started_at().millis())
            .bind(names);
        self.within(operation, query.fetch_all()).await
    }

    /// A question that ClickHouse ends by itself when nobody waits for its answer any more: of a client that left it may
    /// not know.
    pub(crate) fn bounded(&self, query: Query) -> Query {
        query.with_setting("max_execution_time", self.timeout.as_secs().max(1).to_string())
    }

    pub(crate) async fn within<T>(
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
