//! Deletions that somebody began and did not bring to their end: because of a process that was killed, of ClickHouse or
//! NATS that was away, or because word of a row may have been on its way to the aggregator when it was deleted.
//!
//! What is deleted has a correction in the ledger, which is in version 1 until everything is done. So whatever is in that
//! version and nobody is likely to be at work on goes through the same steps once more, see [`weir_store::deletion`].

use std::collections::HashSet;
use std::time::Duration;

use clickhouse::Row;
use clickhouse::query::Query;
use serde::Deserialize;
use weir_event::{EventId, Scope, Timestamp};
use weir_store::LedgerRow;
use weir_store::deletion::{self, DoomedRow, ROWS_PER_STATEMENT_MAX, Removal, STATEMENT_BYTES_MAX, YOUNG_S};
use weir_store::removal::Reach;
use weir_store::removal::SUBJECT;

use super::Reconciler;
use crate::sink::{SinkError, Store, TOLD, by_scope};

/// Of how many rows a look takes on the rest of the work.
const ROWS_PER_LOOK_MAX: usize = 50_000;
/// How long NATS may take for the word of some minutes.
pub(super) const TELL_LIMIT: Duration = Duration::from_secs(10);

/// A skip index leads to what is not told, however long ago it was entered and whatever hour its row is of. Some of it is
/// told since, in a row that is not merged with it yet. What goes by age has entries of another kind.
const UNTOLD: &str = "SELECT ?fields FROM ledger FINAL \
    WHERE (hour, source, account_id, write_id, subject) IN ( \
            SELECT hour, source, account_id, write_id, subject FROM ledger \
            WHERE version - deleted - deleted < 0 \
        ) \
        AND deleted > 0 AND version < ? AND NOT startsWith(subject, ?) AND entered_at < now64(3) - toIntervalSecond(?) \
    ORDER BY account_id, gateway_id, hour, subject LIMIT ?";

#[derive(Row, Deserialize)]
struct UntoldRow {
    hour: u32,
    source: String,
    account_id: String,
    write_id: u64,
    subject: String,
    gateway_id: String,
    minute: u32,
}

#[derive(Row, Deserialize)]
struct NameRow {
    name: String,
}

impl Reconciler {
    /// Brings deletions to their end.
    pub(super) async fn finish_deletions(&self) -> Result<(), SinkError> {
        let query =
            self.store.client.query(UNTOLD).bind(TOLD).bind(SUBJECT).bind(YOUNG_S).bind(ROWS_PER_LOOK_MAX);
        let untold: Vec<UntoldRow> = self.store.within("look for deletions", query.fetch_all()).await?;
        let doomed = by_scope(untold.into_iter().filter_map(UntoldRow::doomed));
        // One that cannot be finished holds up no other tenant's.
        let mut finished = Ok(());
        for (scope, rows) in doomed {
            for rows in rows.chunks(ROWS_PER_STATEMENT_MAX) {
                finished = finished.and(self.finish_deletion(&scope, rows).await);
            }
        }
        finished
    }

    async fn finish_deletion(&self, scope: &Scope, rows: &[DoomedRow]) -> Result<(), SinkError> {
        // What hangs on a row that is gone went before it did: what hangs there now came with another one.
        let left = self.store.left_of(scope, rows).await?;
        if !left.is_empty() {
            let (account, gateway) = (scope.account_id.as_str(), scope.gateway_id.as_str());
            tracing::warn!(
                rows = left.len(),
                account,
                gateway,
                "a deletion that was not finished is finished"
            );
            let ids: Vec<_> = left.iter().map(|row| row.id).collect();
            self.store.remove(Reach::Tenant(scope), &deletion::attachments(&ids)).await?;
            self.store.remove(Reach::Tenant(scope), &deletion::rows(&left)).await?;
        }
        let minutes = rows.iter().map(|row| (scope.clone(), row.minute));
        if self.races.announcer().tell_changed_for_certain(minutes, TELL_LIMIT).await {
            let told: Vec<LedgerRow<'_>> = rows.iter().map(|row| row.correction(scope, TOLD)).collect();
            self.store.enter(&told).await?;
        }
        Ok(())
    }
}

impl Store {
    /// Those of `rows` that are there.
    async fn left_of(&self, scope: &Scope, rows: &[DoomedRow]) -> Result<Vec<DoomedRow>, SinkError> {
        let Some(names) = deletion::names(rows) else { return Ok(Vec::new()) };
        let query = self.bounded(self.of_tenant(&names, scope)).fetch_all();
        let found: Vec<NameRow> = self.within("look for deleted rows", query).await?;
        let found: HashSet<_> = found.into_iter().map(|row| row.name).collect();
        Ok(rows.iter().filter(|row| found.contains(&deletion::name(row))).cloned().collect())
    }

    /// Takes out what there is to be taken out. Each is done when the next one begins.
    pub(crate) async fn remove(&self, reach: Reach<'_>, removals: &[Removal]) -> Result<(), SinkError> {
        for removal in removals {
            let count = self.bounded(self.reaching(&removal.count, reach)).fetch_one::<u64>();
            if self.within("count what is deleted", count).await? > 0 {
                let delete =
                    self.reaching(&removal.delete, reach).with_setting("lightweight_deletes_sync", "2");
                self.within("delete", delete.execute()).await?;
            }
        }
        Ok(())
    }

    /// A statement with a tenant's names, where it is of one.
    pub(crate) fn reaching(&self, statement: &str, reach: Reach<'_>) -> Query {
        let query = self.client.query_raw(statement);
        let query = query.with_setting("max_query_size", STATEMENT_BYTES_MAX.to_string());
        match reach {
            Reach::Tenant(scope) => query
                .param("account_id", scope.account_id.as_str())
                .param("gateway_id", scope.gateway_id.as_str()),
            Reach::All => query,
        }
    }

    pub(crate) fn of_tenant(&self, statement: &str, scope: &Scope) -> Query {
        self.reaching(statement, Reach::Tenant(scope))
    }
}

impl UntoldRow {
    fn doomed(self) -> Option<(Scope, DoomedRow)> {
        let scope = Scope::parse(&self.account_id, &self.gateway_id).ok()?;
        let row = DoomedRow {
            id: self.subject.parse::<EventId>().ok()?,
            write_id: self.write_id,
            source: self.source,
            hour: self.hour,
            minute: Timestamp::from_millis(i64::from(self.minute) * 1_000).ok()?,
        };
        Some((scope, row))
    }
}
