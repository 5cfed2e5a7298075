//! Parts of the time that have what was stored lately, so that a statement over each takes bounded memory of the server.

use std::ops::Range;

use clickhouse::Row;
use serde::Deserialize;

use super::Reconciler;
use crate::sink::SinkError;

pub(super) const MINUTE_MS: i64 = 60_000;
/// How far back rows are looked at, by when they were stored.
pub(super) const LOOK_BACK_MS: i64 = 15 * MINUTE_MS;

/// Rows that are looked at by one statement: at some 100 bytes a row, what it may take of the server's memory.
const ROWS_AT_ONCE_MAX: u64 = 500_000;

/// What time of a row slices go by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Time {
    /// The same in every row of an event: it is in the id.
    Started,
    /// What rollups go by.
    Created,
}

/// Minutes of tenants that are looked at by one statement. Of each, all rows are read, however few of them are new: late
/// events of a month touch 43,200.
const NAMES_AT_ONCE_MAX: u64 = 2_000;

#[derive(Clone, Copy, Row, Deserialize)]
struct MinuteRow {
    minute_ms: i64,
    rows: u64,
    tenants: u64,
}

impl Reconciler {
    /// Ranges of `time`, of whole minutes, that have every row that was stored since.
    pub(super) async fn slices(&self, time: Time, since_ms: i64) -> Result<Vec<Range<i64>>, SinkError> {
        let column = match time {
            Time::Started => "started_at",
            Time::Created => "created_at",
        };
        let minutes = format!(
            "SELECT toInt64(toUnixTimestamp(toStartOfMinute({column}))) * 1000 AS minute_ms, count() AS rows, \
                 uniqExact(account_id, gateway_id) AS tenants \
             FROM logs WHERE ingested_at >= fromUnixTimestamp64Milli(?) GROUP BY minute_ms ORDER BY minute_ms"
        );
        let query = self.store.bounded(self.store.client.query(&minutes)).bind(since_ms).fetch_all();
        let minutes: Vec<MinuteRow> = self.store.within("look at what was stored lately", query).await?;
        Ok(slices(&minutes))
    }
}

/// Ranges of time that have all of `minutes`, which are in order, with not too much in each unless one minute has it.
/// What lies between two minutes of a slice is not read: rows are found by when they were stored.
fn slices(minutes: &[MinuteRow]) -> Vec<Range<i64>> {
    let mut slices: Vec<(Range<i64>, u64, u64)> = Vec::new();
    for MinuteRow { minute_ms, rows, tenants } in minutes {
        let end = minute_ms + MINUTE_MS;
        match slices.last_mut() {
            Some((slice, of_slice, names))
                if *of_slice + rows <= ROWS_AT_ONCE_MAX && *names + tenants <= NAMES_AT_ONCE_MAX =>
            {
                (slice.end, *of_slice, *names) = (end, *of_slice + rows, *names + tenants);
            }
            _ => slices.push((*minute_ms..end, *rows, *tenants)),
        }
    }
    slices.into_iter().map(|(slice, _, _)| slice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_have_every_minute_once_and_are_as_few_as_may_be() {
        let of = |minutes: &[(i64, u64, u64)]| {
            let row = |&(minute, rows, tenants): &(i64, u64, u64)| MinuteRow {
                minute_ms: minute * MINUTE_MS,
                rows,
                tenants,
            };
            let found = slices(&minutes.iter().map(row).collect::<Vec<_>>());
            found.iter().map(|slice| (slice.start / MINUTE_MS, slice.end / MINUTE_MS)).collect::<Vec<_>>()
        };
        let rows = |minutes: &[(i64, u64)]| {
            of(&minutes.iter().map(|&(minute, rows)| (minute, rows, 1)).collect::<Vec<_>>())
        };
        assert_eq!(rows(&[]), []);
        assert_eq!(rows(&[(1, 10), (2, 10), (5, 10)]), [(1, 6)]);
        assert_eq!(rows(&[(1, ROWS_AT_ONCE_MAX - 1), (2, 1), (3, 1)]), [(1, 3), (3, 4)]);
        assert_eq!(rows(&[(1, ROWS_AT_ONCE_MAX * 2), (2, 1)]), [(1, 2), (2, 3)]);
        let month: Vec<_> = (0..43_200).map(|minute| (minute, 1, 1)).collect();
        assert_eq!(of(&month).len(), 22, "a row in each minute of a month");
        assert_eq!(of(&[(1, 9, NAMES_AT_ONCE_MAX), (2, 1, 1)]), [(1, 2), (2, 3)]);
    }
}
