//! The ledger as JSON.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;
use weir_event::{Source, Timestamp};

use crate::store::{InFlight, LedgerHour};

/// What `GET /v1/ledger` answers.
#[derive(Debug, Serialize)]
pub struct LedgerView {
    /// The first hour's start.
    pub from: Timestamp,
    /// The last hour's end.
    pub to: Timestamp,
    /// Whether every hour balances.
    pub balanced: bool,
    /// By hour, then source; an hour without records has none.
    pub hours: Vec<HourView>,
    /// What is on its way now, over all accounts.
    pub in_flight: InFlightView,
}

/// What became of the records of one source that were taken in within an hour.
#[derive(Debug, Serialize)]
pub struct HourView {
    pub hour: Timestamp,
    pub source: String,
    pub received: i64,
    pub stored: i64,
    pub duplicates: i64,
    pub dead_lettered: i64,
    pub ignored: i64,
    pub deleted: i64,
    /// Rows of logs that were ingested in this hour.
    pub rows: i64,
    /// Whether `received` is the sum of what became of it, and `stored` the number of rows.
    pub balanced: bool,
}

/// What is on its way.
#[derive(Debug, Serialize)]
pub struct InFlightView {
    /// How many ingest processes have answered. Those that do not answer in time are not counted.
    pub processes: usize,
    /// Records that were read and are not settled, by source.
    pub records: BTreeMap<String, u64>,
}

impl LedgerView {
    /// Puts together what the ledger has and what the processes say; of one `source` only, where one is named.
    #[must_use]
    pub fn new(
        hours: Range<Timestamp>,
        rows: Vec<LedgerHour>,
        in_flight: &[InFlight],
        source: Option<Source>,
    ) -> Self {
        let rows: Vec<_> = rows.into_iter().filter_map(HourView::of).collect();
        let mut records: BTreeMap<String, u64> = BTreeMap::new();
        let asked = |name: &str| source.is_none_or(|source| source.as_str() == name);
        for (name, count) in in_flight.iter().flat_map(|answer| &answer.sources) {
            if asked(name.as_str()) {
                *records.entry(name.as_str().to_owned()).or_default() += count;
            }
        }
        Self {
            from: hours.start,
            to: hours.end,
            balanced: rows.iter().all(|row| row.balanced),
            hours: rows,
            in_flight: InFlightView { processes: in_flight.len(), records },
        }
    }
}

impl HourView {
    fn of(row: LedgerHour) -> Option<Self> {
        let ended = row.stored + row.duplicates + row.dead_lettered + row.ignored + row.deleted;
        Some(Self {
            hour: Timestamp::from_millis(row.hour_ms).ok()?,
            balanced: row.received == ended && row.stored == row.rows,
            source: row.source,
            received: row.received,
            stored: row.stored,
            duplicates: row.duplicates,
            dead_lettered: row.dead_lettered,
            ignored: row.ignored,
            deleted: row.deleted,
            rows: row.rows,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(received: i64, stored: i64, duplicates: i64, rows: i64) -> LedgerHour {
        LedgerHour {
            hour_ms: 1_767_261_600_000,
            source: "http".to_owned(),
            received,
            stored,
            duplicates,
            dead_lettered: 1,
            ignored: 2,
            deleted: 3,
            rows,
        }
    }

    fn view(rows: Vec<LedgerHour>, in_flight: &[InFlight], source: Option<Source>) -> LedgerView {
        LedgerView::new(Timestamp::MIN..Timestamp::MAX, rows, in_flight, source)
    }

    #[test]
    fn an_hour_balances_when_both_sums_do() {
        let balanced = |row| view(vec![row], &[], None).balanced;
        assert!(balanced(row(15, 5, 4, 5)));
        assert!(!balanced(row(16, 5, 4, 5)), "a record is nowhere");
        assert!(!balanced(row(15, 5, 4, 4)), "a row is gone");
        assert!(!balanced(row(15, 5, 4, 6)), "a row came from nowhere");
        assert!(!view(vec![row(15, 5, 4, 5), row(15, 5, 4, 6)], &[], None).balanced);
    }

    #[test]
    fn what_is_in_flight_is_summed_over_the_processes() {
        let answer =
            |http, kafka| InFlight { sources: [(Source::Http, http), (Source::Kafka, kafka)].into() };
        let all = view(Vec::new(), &[answer(1, 2), answer(3, 4)], None).in_flight;
        assert_eq!(
            (all.processes, all.records),
            (2, [("http".to_owned(), 4), ("kafka".to_owned(), 6)].into())
        );
        let kafka = view(Vec::new(), &[answer(1, 2)], Some(Source::Kafka)).in_flight;
        assert_eq!((kafka.processes, kafka.records), (1, [("kafka".to_owned(), 2)].into()));
    }
}
