//! Events that have several rows, and corrections whose minutes were not told: what is left of a writer that died, or
//! could not reach ClickHouse, between its commit and the end of its repair.

use std::collections::BTreeMap;
use std::ops::Range;

use clickhouse::Row;
use serde::Deserialize;
use weir_event::{EventId, Scope, Timestamp};
use weir_store::LedgerRow;

use super::Reconciler;
use crate::sink::{SinkError, TOLD};

/// How far back rows are looked for that are there twice, by when they were stored.
const LOOK_BACK_MS: i64 = 15 * MINUTE_MS;
const MINUTE_MS: i64 = 60_000;
/// Rows whose ids are compared at once. It bounds the memory that this takes of the server: some 100 bytes a row.
const ROWS_AT_ONCE_MAX: u64 = 500_000;

#[derive(Row, Deserialize)]
struct MinuteRow {
    minute_ms: i64,
    rows: u64,
}

#[derive(Row, Deserialize)]
struct DoubleRow {
    account_id: String,
    gateway_id: String,
    id: [u8; 26],
}

#[derive(Row, Deserialize)]
struct UntoldRow {
    hour: u32,
    source: String,
    account_id: String,
    write_id: u64,
    subject: String,
    stored: i64,
    duplicates: i64,
    gateway_id: String,
    minute: u32,
}

impl Reconciler {
    /// Leaves one row of each event that was stored lately.
    pub(super) async fn repair_doubles(&self, now_ms: i64) -> Result<(), SinkError> {
        let since_ms = now_ms - LOOK_BACK_MS;
        for range in slices(&self.minutes(since_ms).await?) {
            let mut doubled: BTreeMap<Scope, Vec<EventId>> = BTreeMap::new();
            for row in self.doubles(since_ms, &range).await? {
                if let Some((scope, id)) = row.event() {
                    doubled.entry(scope).or_default().push(id);
                }
            }
            for (scope, ids) in doubled {
                self.races.repair(&scope, &ids).await?;
            }
        }
        Ok(())
    }

    /// Tells the aggregator of minutes that whoever changed them did not come to tell of.
    pub(super) async fn tell_again(&self) -> Result<(), SinkError> {
        const UNTOLD: &str = "SELECT ?fields FROM ledger FINAL \
            WHERE hour >= now() - INTERVAL 1 DAY AND gateway_id != '' AND version < ? \
                AND entered_at < now64(3) - INTERVAL 30 SECOND";
        let query = self.store.client.query(UNTOLD).bind(TOLD).fetch_all();
        let untold: Vec<UntoldRow> = self.store.within("look for corrections", query).await?;
        if untold.is_empty() {
            return Ok(());
        }
        self.races.announcer().tell_changed(untold.iter().filter_map(UntoldRow::minute));
        let told: Vec<_> = untold.iter().map(UntoldRow::told).collect();
        self.store.enter(&told).await
    }

    /// When the events began that were stored since, by minute.
    async fn minutes(&self, since_ms: i64) -> Result<Vec<MinuteRow>, SinkError> {
        const MINUTES: &str = "SELECT toInt64(toUnixTimestamp(toStartOfMinute(started_at))) * 1000 AS minute_ms, \
                count() AS rows \
            FROM logs WHERE ingested_at >= fromUnixTimestamp64Milli(?) GROUP BY minute_ms ORDER BY minute_ms";
        let query = self.store.client.query(MINUTES).bind(since_ms).fetch_all();
        self.store.within("look at what was stored lately", query).await
    }

    /// Every row of an event has the same start: it is in the id. So a part of the time has all of an event's rows.
    async fn doubles(&self, since_ms: i64, range: &Range<i64>) -> Result<Vec<DoubleRow>, SinkError> {
        const DOUBLES: &str = "SELECT account_id, gateway_id, id FROM logs \
            WHERE ingested_at >= fromUnixTimestamp64Milli(?) AND started_at >= fromUnixTimestamp64Milli(?) \
                AND started_at < fromUnixTimestamp64Milli(?) \
            GROUP BY account_id, gateway_id, id HAVING count() > 1";
        let query = self.store.client.query(DOUBLES).bind(since_ms).bind(range.start).bind(range.end);
        self.store.within("look for events with several rows", query.fetch_all()).await
    }
}

/// Ranges of time that have all of `minutes`, which are in order, with not too many rows in each unless one minute has.
fn slices(minutes: &[MinuteRow]) -> Vec<Range<i64>> {
    let mut slices: Vec<(Range<i64>, u64)> = Vec::new();
    for MinuteRow { minute_ms, rows } in minutes {
        let end = minute_ms + MINUTE_MS;
        match slices.last_mut() {
            Some((slice, of_slice)) if slice.end == *minute_ms && *of_slice + rows <= ROWS_AT_ONCE_MAX => {
                (slice.end, *of_slice) = (end, *of_slice + rows);
            }
            _ => slices.push((*minute_ms..end, *rows)),
        }
    }
    slices.into_iter().map(|(slice, _)| slice).collect()
}

impl DoubleRow {
    fn event(&self) -> Option<(Scope, EventId)> {
        let scope = Scope::parse(&self.account_id, &self.gateway_id).ok()?;
        Some((scope, EventId::try_from(self.id).ok()?))
    }
}

impl UntoldRow {
    fn minute(&self) -> Option<(Scope, Timestamp)> {
        let scope = Scope::parse(&self.account_id, &self.gateway_id).ok()?;
        Some((scope, Timestamp::from_millis(i64::from(self.minute) * 1_000).ok()?))
    }

    fn told(&self) -> LedgerRow<'_> {
        LedgerRow {
            hour: self.hour,
            source: &self.source,
            account_id: &self.account_id,
            write_id: self.write_id,
            subject: &self.subject,
            stored: self.stored,
            duplicates: self.duplicates,
            gateway_id: &self.gateway_id,
            minute: self.minute,
            version: TOLD,
            ..LedgerRow::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_have_every_minute_once_and_not_what_is_between() {
        let rows = |minutes: &[(i64, u64)]| {
            let row = |(minute, rows): &(i64, u64)| MinuteRow { minute_ms: minute * MINUTE_MS, rows: *rows };
            let found = slices(&minutes.iter().map(row).collect::<Vec<_>>());
            found.iter().map(|slice| (slice.start / MINUTE_MS, slice.end / MINUTE_MS)).collect::<Vec<_>>()
        };
        assert_eq!(rows(&[]), []);
        assert_eq!(rows(&[(1, 10), (2, 10), (5, 10)]), [(1, 3), (5, 6)]);
        assert_eq!(rows(&[(1, ROWS_AT_ONCE_MAX - 1), (2, 1), (3, 1)]), [(1, 3), (3, 4)]);
        assert_eq!(rows(&[(1, ROWS_AT_ONCE_MAX * 2), (2, 1)]), [(1, 2), (2, 3)]);
    }
}
