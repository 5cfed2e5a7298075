//! Writes that the ledger lacks, and whether it balances.
//!
//! A process that is killed after it has stored rows and before it has entered them in the ledger leaves rows that no
//! entry tells of. They are counted and entered when their writer cannot be at work any more, in a version that gives way
//! to the writer's own should it come after all. What has been taken out of them meanwhile has corrections of its own,
//! which say that a row less is stored: so it was stored, and is counted with the others.

use std::collections::{BTreeMap, HashSet};

use clickhouse::Row;
use clickhouse::query::Query;
use serde::Deserialize;
use weir_event::Source;
use weir_store::LedgerRow;
use weir_store::deletion::IS_CORRECTION;
use weir_store::removal::absorbed;

use super::Reconciler;
use super::slices::MINUTE_MS;
use crate::sink::{REPLAYED, SinkError};

const HOUR_MS: i64 = 60 * MINUTE_MS;

/// A write that is younger than this may be under way, with all the time that it takes to settle it.
const UNDER_WAY_MS: i64 = 5 * MINUTE_MS;
/// How far back writes are looked for that are not entered: at the start, and later.
const LOOK_BACK_FIRST_MS: i64 = 24 * HOUR_MS;
const LOOK_BACK_MS: i64 = 30 * MINUTE_MS;
/// How many hours are weighed, of those that no write is under way of.
const HOURS_WEIGHED: i64 = 3;

/// What a write has left in a table: a part of it, for it may be of several accounts.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
struct LeftRow {
    hour: u32,
    source: String,
    account_id: String,
    write_id: u64,
    rows: u64,
    /// The youngest sign of life of this part, in epoch milliseconds.
    latest_ms: i64,
}

/// What an hour of a source came to.
#[derive(Row, Deserialize)]
struct HourRow {
    hour_s: u32,
    source: String,
    /// Received, without what became of it.
    unaccounted: i64,
    entered: i64,
    /// Rows that are being deleted, or were just now: of these some may have been there when rows were counted.
    deleting: i64,
}

#[derive(Row, Deserialize)]
struct RowsRow {
    hour_s: u32,
    source: String,
    rows: u64,
}

impl Reconciler {
    /// Enters the writes that the ledger does not know.
    pub(super) async fn enter_what_is_missing(&self, now_ms: i64) -> Result<(), SinkError> {
        const LETTERS: &str = "SELECT toUInt32(toUnixTimestamp(toStartOfHour(received_at))) AS hour, source, account_id, \
                write_id, uniqExact(gateway_id, digest) AS rows, toUnixTimestamp64Milli(max(received_at)) AS latest_ms \
            FROM dead_letters WHERE received_at >= fromUnixTimestamp64Milli(?) \
                AND write_id NOT IN entered AND reason != 'undecryptable' \
            GROUP BY hour, source, account_id, write_id";
        // By its id a row is counted once that is taken out just now. Of a write without any row in logs the corrections
        // say how old it is at least.
        let stored = format!(
            "SELECT hour, source, account_id, write_id, sum(times) AS rows, \
                toUnixTimestamp64Milli(max(latest)) AS latest_ms FROM ( \
                SELECT hour, source, account_id, write_id, subject, max(times) AS times, max(at) AS latest FROM ( \
                    SELECT toUInt32(toUnixTimestamp(toStartOfHour(ingested_at))) AS hour, source, account_id, write_id, \
                        toString(id) AS subject, count() AS times, max(ingested_at) AS at \
                    FROM logs WHERE ingested_at >= fromUnixTimestamp64Milli(?) AND write_id NOT IN entered \
                    GROUP BY hour, source, account_id, write_id, subject \
                    UNION ALL \
                    SELECT toUInt32(toUnixTimestamp(hour)), source, account_id, write_id, subject, toUInt64(-stored), \
                        entered_at \
                    FROM ledger FINAL WHERE hour >= fromUnixTimestamp64Milli(?) AND {IS_CORRECTION} \
                        AND write_id NOT IN entered \
                ) GROUP BY hour, source, account_id, write_id, subject \
            ) GROUP BY hour, source, account_id, write_id"
        );
        let look_back_ms = if self.has_looked_back_for_writes { LOOK_BACK_MS } else { LOOK_BACK_FIRST_MS };
        // Corrections have the hour of their write, so whole hours are looked at.
        let from = (now_ms - look_back_ms).div_euclid(HOUR_MS) * HOUR_MS;
        let stored = self.left(self.unentered(&stored, from).bind(from).bind(from)).await?;
        let letters = self.left(self.unentered(LETTERS, from).bind(from)).await?;
        let entries = entries(&stored, &letters, now_ms - UNDER_WAY_MS);
        if entries.is_empty() {
            return Ok(());
        }
        tracing::warn!(entries = entries.len(), "writes that were not in the ledger are entered");
        self.store.enter(&entries).await
    }

    /// Says how far the ledger of the last hours is from being balanced.
    pub(super) async fn weigh(&self, now_ms: i64) -> Result<(), SinkError> {
        const SUMS: &str = "SELECT hour_s, source, sum(unaccounted) AS unaccounted, sum(stored) AS entered, \
            sum(deleting) AS deleting";
        const ENTERED: &str = "SELECT toUInt32(toUnixTimestamp(hour)) AS hour_s, source, \
                received - stored - duplicates - dead_lettered - ignored - deleted AS unaccounted, stored, \
                if(deleted > 0 AND (version < 2 * deleted OR entered_at > now64(3) - INTERVAL 5 MINUTE), deleted, toInt64(0)) \
                    AS deleting FROM ledger FINAL";
        // What an entry of many rows says again.
        const ABSORBED: &str = "toUInt32(toUnixTimestamp(hour)), source, toInt64(0), -stored, toInt64(0)";
        const BOUNDS: &str = "hour >= fromUnixTimestamp64Milli(?) AND hour < fromUnixTimestamp64Milli(?)";
        const ROWS: &str = "SELECT toUInt32(toUnixTimestamp(toStartOfHour(ingested_at))) AS hour_s, source, count() AS rows \
            FROM logs WHERE ingested_at >= fromUnixTimestamp64Milli(?) AND ingested_at < fromUnixTimestamp64Milli(?) \
            GROUP BY hour_s, source";
        let to = (now_ms - 2 * UNDER_WAY_MS).div_euclid(HOUR_MS) * HOUR_MS;
        let from = to - HOURS_WEIGHED * HOUR_MS;
        // The rows first: what is deleted after they were counted is in the ledger by then, as what is being deleted.
        let query = self.store.client.query(ROWS).bind(from).bind(to).fetch_all();
        let rows: Vec<RowsRow> = self.store.within("count what was stored", query).await?;
        let ledger = format!(
            "{SUMS} FROM ({ENTERED} WHERE {BOUNDS} UNION ALL {}) GROUP BY hour_s, source",
            absorbed(ABSORBED, BOUNDS)
        );
        let query = self.store.client.query(&ledger).bind(from).bind(to).bind(from).bind(to);
        let query = query.bind(from).bind(to).fetch_all();
        let hours: Vec<HourRow> = self.store.within("weigh the ledger", query).await?;
        let imbalance = imbalance(&hours, &rows);
        for source in Source::ALL {
            let of_source = imbalance.get(source.as_str()).copied().unwrap_or_default();
            self.metrics.ledger_imbalance(source.as_str(), of_source);
            if of_source > 0 {
                tracing::error!(source = source.as_str(), records = of_source, "the ledger does not balance");
            }
        }
        Ok(())
    }

    /// A statement that knows as `entered` the writes that the ledger has.
    fn unentered(&self, statement: &str, from: i64) -> Query {
        const ENTERED: &str =
            "SELECT write_id FROM ledger WHERE hour >= fromUnixTimestamp64Milli(?) AND subject = ''";
        self.store.client.query(&format!("WITH entered AS ({ENTERED}) {statement}")).bind(from)
    }

    async fn left(&self, query: Query) -> Result<Vec<LeftRow>, SinkError> {
        self.store.within("look for writes that are not in the ledger", query.fetch_all()).await
    }
}

/// What the ledger is to say of writes that have left these rows, those included that were taken out since, and letters. A
/// write is entered with all of its parts or not at all, for one that is entered hides the others: so it waits until each of
/// them is older than `before_ms`.
fn entries<'r>(stored: &'r [LeftRow], letters: &'r [LeftRow], before_ms: i64) -> Vec<LedgerRow<'r>> {
    let parts = stored.iter().chain(letters);
    let young: HashSet<u64> =
        parts.filter(|part| part.latest_ms >= before_ms).map(|part| part.write_id).collect();
    let is_over = |part: &&LeftRow| !young.contains(&part.write_id);
    let mut entries: BTreeMap<(u32, &str, &str, u64), LedgerRow<'_>> = BTreeMap::new();
    for row in stored.iter().filter(is_over) {
        let entry = entries.entry(row.key()).or_insert_with(|| row.entry());
        entry.stored += signed(row.rows);
        // What was a dead letter before was received then, and settled as what came again.
        if row.write_id & REPLAYED == 0 {
            entry.received += signed(row.rows);
        } else {
            entry.duplicates -= signed(row.rows);
        }
    }
    for row in letters.iter().filter(is_over) {
        let entry = entries.entry(row.key()).or_insert_with(|| row.entry());
        entry.dead_lettered += signed(row.rows);
        entry.received += signed(row.rows);
    }
    entries.into_values().collect()
}

/// By how many records each source is off: what was received and is nothing, and what is stored and is not there, or the
/// other way round, in each hour. What is being deleted may be there or not.
fn imbalance<'r>(hours: &'r [HourRow], rows: &'r [RowsRow]) -> BTreeMap<&'r str, u64> {
    let mut stored: BTreeMap<(&str, u32), (i64, i64)> = BTreeMap::new();
    let mut sources: BTreeMap<&str, u64> = BTreeMap::new();
    for hour in hours {
        let (entered, deleting) = stored.entry((&hour.source, hour.hour_s)).or_default();
        (*entered, *deleting) = (*entered + hour.entered, *deleting + hour.deleting);
        *sources.entry(&hour.source).or_default() += hour.unaccounted.unsigned_abs();
    }
    for row in rows {
        stored.entry((&row.source, row.hour_s)).or_default().0 -= signed(row.rows);
    }
    for ((source, _), (difference, deleting)) in stored {
        let off = if difference < 0 { (difference + deleting).min(0) } else { difference };
        *sources.entry(source).or_default() += off.unsigned_abs();
    }
    sources
}

impl LeftRow {
    fn key(&self) -> (u32, &str, &str, u64) {
        (self.hour, &self.source, &self.account_id, self.write_id)
    }

    fn entry(&self) -> LedgerRow<'_> {
        LedgerRow {
            hour: self.hour,
            source: &self.source,
            account_id: &self.account_id,
            write_id: self.write_id,
            version: 0,
            ..LedgerRow::default()
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(account: &str, write_id: u64, rows: u64, latest_ms: i64) -> LeftRow {
        let (source, account_id) = ("http".to_owned(), account.to_owned());
        LeftRow { hour: 1, source, account_id, write_id, rows, latest_ms }
    }

    #[test]
    fn what_a_write_left_is_entered_as_what_was_received() {
        let left = |write_id, rows| left("acc", write_id, rows, 0);
        let sums = |row: &LedgerRow<'_>| {
            (row.write_id, row.received, row.stored, row.duplicates, row.dead_lettered, row.version)
        };
        let (stored, letters) = ([left(2, 10), left(3, 4)], [left(2, 1), left(6, 2)]);
        let entries: Vec<_> = entries(&stored, &letters, 1).iter().map(sums).collect();
        assert_eq!(entries, [(2, 11, 10, 0, 1, 0), (3, 0, 4, -4, 0, 0), (6, 2, 0, 0, 2, 0)]);
    }

    #[test]
    fn a_write_is_entered_with_all_of_its_parts_or_not_at_all() {
        let entered = |stored: &[LeftRow], letters: &[LeftRow]| -> Vec<(String, u64)> {
            let entries = entries(stored, letters, 100);
            entries.iter().map(|entry| (entry.account_id.to_owned(), entry.write_id)).collect()
        };
        let parts = |latest_ms| [left("a", 2, 1, latest_ms), left("b", 2, 1, 10), left("b", 4, 1, 10)];
        let of = |account: &str, write_id| (account.to_owned(), write_id);
        assert_eq!(entered(&parts(99), &[]), [of("a", 2), of("b", 2), of("b", 4)]);
        assert_eq!(entered(&parts(100), &[]), [of("b", 4)], "a correction renewed a part of it");
        assert_eq!(entered(&[left("a", 2, 1, 100)], &[left("b", 2, 1, 10)]), []);
        assert_eq!(entered(&[left("a", 2, 1, 10)], &[left("b", 2, 1, 100)]), []);
    }

    #[test]
    fn what_is_missing_in_one_hour_is_not_made_up_for_by_another() {
        let hour = |hour_s, unaccounted, entered| HourRow {
            hour_s,
            source: "http".to_owned(),
            unaccounted,
            entered,
            deleting: 0,
        };
        let rows = |hour_s, rows| RowsRow { hour_s, source: "http".to_owned(), rows };
        let check = |hours: &[HourRow], rows: &[RowsRow], expected: u64| {
            assert_eq!(imbalance(hours, rows).get("http").copied().unwrap_or_default(), expected);
        };
        check(&[], &[], 0);
        check(&[hour(1, 0, 5), hour(2, 0, 6)], &[rows(1, 5), rows(2, 6)], 0);
        check(&[hour(1, 0, 5), hour(2, 0, 6)], &[rows(1, 6), rows(2, 5)], 2);
        check(&[hour(1, 2, 5), hour(2, -2, 0)], &[rows(1, 5)], 4);
        check(&[], &[rows(1, 3)], 3);
        // Two of seven are being deleted: entered, and perhaps there.
        let being_deleted = || HourRow { deleting: 2, ..hour(1, 0, 5) };
        for (count, expected) in [(4, 1), (5, 0), (6, 0), (7, 0), (8, 1)] {
            check(&[being_deleted()], &[rows(1, count)], expected);
        }
    }
}
