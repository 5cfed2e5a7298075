//! The steps of a deletion.

use std::fmt;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream;
use clickhouse::{Client, Row};
use futures_util::future::try_join_all;
use serde::Deserialize;
use tokio::time::timeout;
use weir_event::bus::{DIRTY_SUBJECT, DirtyMessage};
use weir_event::{EventId, Scope};
use weir_service::config::ClickHouseConfig;
use weir_store::deletion::{self, DoomedRow, Removal, STATEMENT_BYTES_MAX, StoredRow, TOLD};
use weir_store::{LedgerRow, RemovalRow, append_row, columns};

use super::Choice;
use super::error::{DeletionError, TellError, unencodable, unreadable};
use crate::auth::Writable;
use crate::sql::{self, Annotated, OrderBy};
use crate::store::{LogStore, StoreError};

/// How long one statement may take. It may have to wait for a mutation of `ingest reprice` that runs before it.
const STATEMENT_LIMIT: Duration = Duration::from_mins(5);

/// What ClickHouse and NATS do for a deletion.
#[derive(Clone)]
pub(super) struct Steps {
    store: LogStore,
    client: Client,
    database: String,
    bus: async_nats::Client,
    tell_timeout: Duration,
}

/// What is to go.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Rows of whose word the aggregator has long taken.
    settled: Vec<DoomedRow>,
    /// Rows that it may be told of later than of their end. They stay untold in the ledger, so that `ingest` tells once
    /// more that they are gone.
    young: Vec<DoomedRow>,
}

#[derive(Row, Deserialize)]
struct IdRow {
    id: [u8; 26],
}

impl Rows {
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.settled.len() + self.young.len()
    }

    fn all(&self) -> Vec<DoomedRow> {
        self.settled.iter().chain(&self.young).cloned().collect()
    }
}

impl Steps {
    pub(super) fn new(
        store: LogStore,
        config: &ClickHouseConfig,
        bus: async_nats::Client,
        tell_timeout: Duration,
    ) -> Self {
        let password = config.password.expose();
        let client = weir_store::client(config.url.as_str(), &config.database, &config.user, password)
            .with_setting("max_query_size", STATEMENT_BYTES_MAX.to_string())
            .with_setting("log_comment", "weir-query-api-deletion");
        Self { store, client, database: config.database.clone(), bus, tell_timeout }
    }

    /// Whether everything that is to be done may be done. Asked before anything is: what the ledger has will be deleted, if
    /// not by us.
    pub(super) async fn check_rights(&self) -> Result<(), DeletionError> {
        let database = clickhouse::sql::Identifier(&self.database);
        let check = "CHECK GRANT INSERT ON ?.ledger, ALTER DELETE ON ?.logs, ALTER DELETE ON ?.bodies, \
            ALTER DELETE ON ?.payloads, ALTER DELETE ON ?.annotations";
        let query = (0..5).fold(self.client.query(check), |query, _| query.bind(database));
        match within(query.fetch_one::<u8>()).await? {
            0 => Err(DeletionError::NoRights(None)),
            _ => Ok(()),
        }
    }

    /// Where removals are read from.
    pub(super) const fn store(&self) -> &LogStore {
        &self.store
    }

    /// Where they are called for.
    pub(super) const fn bus(&self) -> &async_nats::Client {
        &self.bus
    }

    /// The server's time, in epoch milliseconds.
    pub(super) async fn now_ms(&self) -> Result<i64, StoreError> {
        within(self.client.query("SELECT toUnixTimestamp64Milli(now64(3))").fetch_one()).await
    }

    /// Asks for a removal.
    pub(super) async fn ask(&self, row: &RemovalRow<'_>) -> Result<(), StoreError> {
        within(async {
            let mut insert = self.client.insert::<RemovalRow<'_>>("removals").await?;
            insert.write(row).await?;
            insert.end().await
        })
        .await
    }

    /// The rows that are to go: all of every event that is chosen, for one event may have two for a moment.
    pub(super) async fn choose(
        &self,
        scope: &Writable<Scope>,
        choice: &Choice,
    ) -> Result<Rows, DeletionError> {
        let Choice { filter, order, limit } = choice;
        let asks = order.0 == OrderBy::Feedback || sql::asks_for_annotated(filter);
        let annotated = if asks { self.store.annotated(scope).await? } else { Annotated::NONE };
        let chosen = sql::chosen(scope, filter, annotated, *order, *limit);
        let ids: Vec<IdRow> = self.store.query(&chosen).fetch_all().await.map_err(StoreError::from)?;
        let ids = ids.into_iter().map(|row| EventId::try_from(row.id).ok()).collect::<Option<Vec<_>>>();
        let Some(rows_of) = deletion::rows_of(&ids.ok_or_else(unreadable)?) else {
            return Ok(Rows::default());
        };
        let found: Vec<StoredRow> = within(self.of_tenant(&rows_of, scope).fetch_all()).await?;
        let mut rows = Rows::default();
        for row in found {
            let (row, is_young) = row.doomed().ok_or_else(unreadable)?;
            if is_young { rows.young.push(row) } else { rows.settled.push(row) }
        }
        Ok(rows)
    }

    /// From here on the rows will be deleted.
    pub(super) async fn enter(&self, scope: &Scope, rows: &Rows) -> Result<(), DeletionError> {
        self.enter_rows(scope, &rows.all(), 1, "enter").await.map_err(|error| {
            if error.is_lack_of_rights() {
                DeletionError::NoRights(Some(error))
            } else {
                DeletionError::Unknown(Some(error))
            }
        })
    }

    /// Takes out what hangs on the rows, then the rows.
    pub(super) async fn take_out(&self, scope: &Scope, rows: &Rows) -> Result<(), StoreError> {
        let rows = rows.all();
        for rows in rows.chunks(deletion::ROWS_PER_STATEMENT_MAX) {
            let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
            self.remove(scope, deletion::attachments(&ids)).await?;
            self.remove(scope, deletion::rows(rows)).await?;
        }
        Ok(())
    }

    /// Tells the aggregator of the minutes, then the ledger that it was told.
    pub(super) async fn tell(&self, scope: &Scope, rows: &Rows) -> Result<(), TellError> {
        // It would be kept for when there is a connection, and nobody would hear how that ended.
        if self.bus.connection_state() != State::Connected {
            return Err(TellError::NotConnected);
        }
        let mut context = jetstream::new(self.bus.clone());
        context.set_timeout(self.tell_timeout);
        let minutes = rows.all().into_iter().map(|row| (scope.clone(), row.minute));
        for message in DirtyMessage::of(minutes) {
            let payload = serde_json::to_vec(&message).expect("plain data always prints as JSON");
            let taken = context.publish(DIRTY_SUBJECT, payload.into()).await.map_err(TellError::Publish)?;
            taken.await.map_err(TellError::Publish)?;
        }
        Ok(self.enter_rows(scope, &rows.settled, TOLD, "settle").await?)
    }

    async fn remove(&self, scope: &Scope, removals: Vec<Removal>) -> Result<(), StoreError> {
        let counts =
            removals.iter().map(|removal| within(self.of_tenant(&removal.count, scope).fetch_one::<u64>()));
        let counts = try_join_all(counts).await?;
        for (removal, _) in removals.iter().zip(counts).filter(|(_, count)| *count > 0) {
            // Answered when it is done, wherever it is to be done.
            let delete = self.of_tenant(&removal.delete, scope).with_setting("lightweight_deletes_sync", "2");
            within(delete.execute()).await?;
        }
        Ok(())
    }

    /// Enters rows in the ledger. Entered again, each is there once.
    async fn enter_rows(
        &self,
        scope: &Scope,
        rows: &[DoomedRow],
        version: u64,
        step: &str,
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut encoded = Vec::new();
        for row in rows {
            append_row(&row.correction(scope, version), &mut encoded).map_err(unencodable)?;
        }
        let columns = columns::<LedgerRow<'static>>();
        let mut insert = self
            .client
            .insert_formatted_with(format!("INSERT INTO ledger ({columns}) FORMAT RowBinary"))
            .with_setting("log_comment", format!("weir-query-api-deletion-{step}"))
            // Rows of years: a part per month is what it takes.
            .with_setting("max_partitions_per_insert_block", "0")
            .with_timeouts(Some(STATEMENT_LIMIT), Some(STATEMENT_LIMIT));
        let inserted = async {
            insert.send(encoded.into()).await?;
            insert.end().await
        };
        Ok(inserted.await?)
    }

    fn of_tenant(&self, statement: &str, scope: &Scope) -> clickhouse::query::Query {
        let query = self.client.query_raw(statement).param("account_id", scope.account_id.as_str());
        query.param("gateway_id", scope.gateway_id.as_str())
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The clients know a password.
        f.write_str("Steps")
    }
}

async fn within<T>(work: impl Future<Output = Result<T, clickhouse::error::Error>>) -> Result<T, StoreError> {
    let timed = timeout(STATEMENT_LIMIT, work).await;
    Ok(timed.map_err(|_| clickhouse::error::Error::TimedOut).flatten()?)
}
