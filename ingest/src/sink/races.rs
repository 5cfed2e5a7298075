//! Rows of one event that two processes stored at the same time: found, and all but one taken out.
//!
//! A process asks which ids are known before it writes, and two may ask at the same time. So each looks once more after
//! its rows are committed: of two that raced, the one that commits later sees both. On one server parts are numbered as
//! they are committed, so only those are looked into that came since the id check, and of them only what others wrote;
//! elsewhere every id is asked for again. Which row stays is the same for
//! whoever looks: the one that was stored first, by the clocks of the writers, and of the same millisecond the one of the
//! lesser write. A row that has to go has to go in the eyes of all who look later, too, so several may repair at once.
//!
//! Order: first the ledger says of each row that it was a duplicate, then the rows are deleted, then the aggregator is
//! told of their minutes. Who dies in between leaves rows that are found again, or a correction whose minutes are told
//! again; both are looked for by [`crate::reconcile`].

use std::collections::{BTreeSet, HashSet};

use clickhouse::Row;
use serde::Deserialize;
use weir_event::{EventId, Scope, Timestamp};
use weir_store::LedgerRow;
pub(crate) use weir_store::deletion::TOLD;

use super::store::{IDS_PER_QUERY_MAX, IdRow};
use super::{Announcer, EventRef, SinkError, Store};
use crate::metrics::IngestMetrics;

/// Of so many rows that others wrote since the id check, ids are asked for instead.
const FOREIGN_MAX: usize = 100_000;

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// How many rows are taken out by one statement.
const REMOVED_PER_STATEMENT_MAX: usize = 2_000;

/// Repairs races.
#[derive(Clone, Debug)]
pub(crate) struct Races {
    store: Store,
    announcer: Announcer,
    metrics: IngestMetrics,
}

/// What became of the events of a write that were stored by others too.
#[derive(Debug, Default)]
pub(super) struct Raced {
    /// All of them. Whoever else stored one may have told of it.
    pub(super) ids: HashSet<EventId>,
    /// Those whose row of this write is gone.
    pub(super) lost: HashSet<EventId>,
}

/// A row of an event.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub(crate) struct StoredRow {
    id: [u8; 26],
    ingested_at: i64,
    write_id: u64,
    created_at: i64,
    source: String,
}

#[derive(Row, Deserialize)]
struct BlockRow {
    block: i64,
    numbered: u64,
    parts: u64,
}

impl Races {
    /// What is taken out of `store` is told to `announcer`.
    pub(crate) const fn new(store: Store, announcer: Announcer, metrics: IngestMetrics) -> Self {
        Self { store, announcer, metrics }
    }

    /// Looks whether events that `write_id` has just committed have rows of other writes, and repairs it. Nothing that
    /// others committed before `block`, where there is one, is among them, nor anything by the writes `own`.
    pub(super) async fn after(
        &self,
        write_id: u64,
        events: &[EventRef<'_>],
        block: Option<i64>,
        own: &[u64],
    ) -> Result<Raced, SinkError> {
        let mut raced = Raced::default();
        let foreign = match block {
            Some(block) => self.store.written_since(block, own, events).await?,
            None => None,
        };
        let doubled = match foreign {
            Some(foreign) if foreign.is_empty() => return Ok(raced),
            Some(foreign) => {
                let shared: Vec<_> =
                    events.iter().filter(|event| foreign.contains(&event.id)).copied().collect();
                self.store.doubled_of(&shared).await?
            }
            None => self.store.doubled_of(events).await?,
        };
        for (scope, ids) in doubled {
            let removed = self.repair(scope, &ids).await?;
            raced
                .lost
                .extend(removed.iter().filter(|row| row.write_id == write_id).filter_map(StoredRow::id));
            raced.ids.extend(ids);
        }
        Ok(raced)
    }

    /// Leaves one row of each of `ids`, and gives those that it took out.
    pub(crate) async fn repair(&self, scope: &Scope, ids: &[EventId]) -> Result<Vec<StoredRow>, SinkError> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        let mut removed = Vec::new();
        for ids in ids.chunks(IDS_PER_QUERY_MAX) {
            removed.extend(surplus(self.store.rows_of(scope, ids).await?));
        }
        for rows in removed.chunks(REMOVED_PER_STATEMENT_MAX) {
            let corrections: Vec<_> = rows.iter().map(|row| row.correction(scope)).collect();
            self.store.enter(&corrections).await?;
            self.store.take_out(scope, rows).await?;
            let minutes = rows.iter().filter_map(|row| row.minute().map(|minute| (scope.clone(), minute)));
            self.announcer.tell_changed(minutes);
            let told: Vec<_> =
                corrections.into_iter().map(|row| LedgerRow { version: TOLD, ..row }).collect();
            self.store.enter(&told).await?;
            self.metrics.races_repaired(rows.len());
            let (account, gateway) = (scope.account_id.as_str(), scope.gateway_id.as_str());
            tracing::info!(rows = rows.len(), account, gateway, "rows that were stored twice are taken out");
        }
        Ok(removed)
    }

    /// Where changed minutes are told.
    pub(crate) const fn announcer(&self) -> &Announcer {
        &self.announcer
    }
}

/// All rows but the one of each event that stays. Rows of one write cannot be told apart, and stay together.
fn surplus(mut rows: Vec<StoredRow>) -> Vec<StoredRow> {
    rows.sort_unstable_by_key(|row| (row.id, row.ingested_at, row.write_id));
    let of_one_event = |a: &StoredRow, b: &StoredRow| a.id == b.id;
    let others = |rows: &[StoredRow]| {
        let stays = rows[0].write_id;
        let mut others: Vec<_> = rows.iter().filter(|row| row.write_id != stays).cloned().collect();
        others.dedup_by_key(|row| row.write_id);
        others
    };
    rows.chunk_by(of_one_event).flat_map(others).collect()
}

impl StoredRow {
    fn id(&self) -> Option<EventId> {
        EventId::try_from(self.id).ok()
    }

    fn minute(&self) -> Option<Timestamp> {
        Timestamp::from_millis(self.created_at - self.created_at.rem_euclid(MINUTE_MS)).ok()
    }

    /// What the ledger says when it is gone: the same, whoever says it.
    fn correction<'r>(&'r self, scope: &'r Scope) -> LedgerRow<'r> {
        let seconds = |millis: i64| u32::try_from(millis / 1_000).unwrap_or_default();
        LedgerRow {
            hour: seconds(self.ingested_at - self.ingested_at.rem_euclid(HOUR_MS)),
            source: &self.source,
            account_id: scope.account_id.as_str(),
            write_id: self.write_id,
            subject: std::str::from_utf8(&self.id).unwrap_or_default(),
            stored: -1,
            duplicates: 1,
            gateway_id: scope.gateway_id.as_str(),
            minute: seconds(self.created_at - self.created_at.rem_euclid(MINUTE_MS)),
            version: 1,
            ..LedgerRow::default()
        }
    }
}

impl Store {
    /// The number of the part of `logs` that was committed last; `None` where parts are not numbered in the order of
    /// their commits, as on a cluster.
    pub(super) async fn last_block(&self) -> Result<Option<i64>, SinkError> {
        const LAST_BLOCK: &str = "SELECT max(max_block_number) AS block, \
                countIf(engine = 'MergeTree') AS numbered, count() AS parts \
            FROM system.parts WHERE database = currentDatabase() AND table = 'logs' AND active";
        let query = self.client.query(LAST_BLOCK).fetch_one::<BlockRow>();
        let row = self.within("look at the parts of logs", query).await?;
        // No part at all: the table may be one that leads to others.
        Ok((row.parts > 0 && row.parts == row.numbered).then_some(row.block))
    }

    /// The ids of what others than the writes `own` committed after `block`, of events that began when `events` did;
    /// `None` if there are too many. A part that was merged with older ones may bring some of before.
    async fn written_since(
        &self,
        block: i64,
        own: &[u64],
        events: &[EventRef<'_>],
    ) -> Result<Option<HashSet<EventId>>, SinkError> {
        // The number of a part is the third word of its name, which is looked at before anything is read of it.
        const SINCE: &str = "SELECT id FROM logs WHERE toInt64OrZero(splitByChar('_', _part)[3]) > ? \
             AND write_id NOT IN ? \
             AND started_at BETWEEN fromUnixTimestamp64Milli(?) AND fromUnixTimestamp64Milli(?) LIMIT ?";
        let (Some(first), Some(last)) =
            (events.iter().map(|event| event.id).min(), events.iter().map(|event| event.id).max())
        else {
            return Ok(Some(HashSet::new()));
        };
        let query = self
            .client
            .query(SINCE)
            .bind(block)
            .bind(own)
            .bind(first.started_at().millis())
            .bind(last.started_at().millis())
            .bind(FOREIGN_MAX + 1);
        let rows: Vec<IdRow> = self.within("look for races", query.fetch_all()).await?;
        let ids = || rows.iter().filter_map(|row| EventId::try_from(row.id).ok()).collect();
        Ok((rows.len() <= FOREIGN_MAX).then(ids))
    }

    /// The ids of those of `events` that have more than one row, by whose they are.
    async fn doubled_of<'e>(
        &self,
        events: &[EventRef<'e>],
    ) -> Result<Vec<(&'e Scope, Vec<EventId>)>, SinkError> {
        self.ids_of("look for races", events, "GROUP BY id HAVING count() > 1").await
    }

    /// Every row of `ids`, which are in order.
    async fn rows_of(&self, scope: &Scope, ids: &[EventId]) -> Result<Vec<StoredRow>, SinkError> {
        self.fetch_of("read the rows of a race", scope, ids, "").await
    }

    /// Deletes rows of a tenant.
    async fn take_out(&self, scope: &Scope, rows: &[StoredRow]) -> Result<(), SinkError> {
        const TAKE_OUT: &str = "DELETE FROM logs WHERE account_id = ? AND gateway_id = ? \
             AND created_at BETWEEN fromUnixTimestamp64Milli(?) AND fromUnixTimestamp64Milli(?) \
             AND (id, write_id) IN ?";
        let first = rows.iter().map(|row| row.created_at).min().unwrap_or_default();
        let last = rows.iter().map(|row| row.created_at).max().unwrap_or_default();
        let names: BTreeSet<_> =
            rows.iter().filter_map(|row| Some((std::str::from_utf8(&row.id).ok()?, row.write_id))).collect();
        let query = self
            .client
            .query(TAKE_OUT)
            .bind(scope.account_id.as_str())
            .bind(scope.gateway_id.as_str())
            .bind(first)
            .bind(last)
            .bind(names.into_iter().collect::<Vec<_>>());
        self.within("take out rows", query.execute()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u8, ingested_at: i64, write_id: u64) -> StoredRow {
        StoredRow { id: [id; 26], ingested_at, write_id, created_at: 61_000, source: "logpush".to_owned() }
    }

    fn names(rows: &[StoredRow]) -> Vec<(u8, u64)> {
        rows.iter().map(|row| (row.id[0], row.write_id)).collect()
    }

    #[test]
    fn of_each_event_the_row_that_was_stored_first_stays() {
        let check = |rows: &[StoredRow], expected: &[(u8, u64)]| {
            assert_eq!(names(&surplus(rows.to_vec())), expected);
            let mut backwards = rows.to_vec();
            backwards.reverse();
            assert_eq!(names(&surplus(backwards)), expected, "whatever order they are read in");
        };
        check(&[row(1, 5, 10)], &[]);
        check(&[row(1, 5, 10), row(2, 5, 10)], &[]);
        check(&[row(1, 5, 20), row(1, 6, 10), row(2, 5, 20)], &[(1, 10)]);
        check(&[row(1, 5, 20), row(1, 5, 10)], &[(1, 20)]);
        check(&[row(1, 7, 1), row(1, 6, 2), row(1, 5, 3)], &[(1, 2), (1, 1)]);
    }

    #[test]
    fn a_row_that_has_to_go_has_to_go_for_whoever_sees_more() {
        let all = [row(1, 7, 1), row(1, 6, 2), row(1, 6, 3), row(1, 5, 4)];
        let gone = names(&surplus(all.to_vec()));
        for seen in 1..all.len() {
            let gone_for_some = names(&surplus(all[..seen].to_vec()));
            assert!(gone_for_some.iter().all(|row| gone.contains(row)), "{seen}");
        }
    }

    #[test]
    fn rows_of_one_write_stay_together() {
        assert_eq!(surplus(vec![row(1, 5, 10), row(1, 5, 10)]), []);
        assert_eq!(names(&surplus(vec![row(1, 5, 10), row(1, 5, 10), row(1, 6, 9)])), [(1, 9)]);
    }

    #[test]
    fn a_correction_is_of_the_hour_of_the_row_and_sums_to_nothing() {
        let scope = Scope { account_id: "acc".parse().unwrap(), gateway_id: "gw".parse().unwrap() };
        let row = row(b'7', 2 * HOUR_MS - 1, 10);
        let LedgerRow { hour, minute, received, stored, duplicates, .. } = row.correction(&scope);
        assert_eq!((hour, minute, received, stored, duplicates), (3_600, 60, 0, -1, 1));
    }
}
