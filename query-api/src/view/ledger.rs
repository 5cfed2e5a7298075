//! The ledger as JSON.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;
use weir_event::{Source, Timestamp};

use crate::store::{LedgerHour, OnItsWay};

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
    /// Those of `deleted` whose deletion has not come to its end: they may be among `rows`.
    pub deleting: i64,
    /// Rows of logs that were ingested in this hour.
    pub rows: i64,
    /// Whether `received` is the sum of what became of it, and `stored` the number of rows, without those that are
    /// being deleted.
    pub balanced: bool,
}

/// What is on its way. What NATS does not tell is null.
#[derive(Debug, Serialize)]
pub struct InFlightView {
    /// How many ingest processes have answered. Those that do not answer in time are not counted.
    pub processes: Option<usize>,
    /// Records that these have read and not settled, by source.
    pub records: Option<BTreeMap<&'static str, u64>>,
    /// Records that wait in the spool for ClickHouse, by source. One that is being committed may be in a row already.
    pub spooled: Option<BTreeMap<&'static str, u64>>,
}

impl LedgerView {
    /// Puts together what the ledger has and what is on its way; of one `source` only, where one is named.
    #[must_use]
    pub fn new(
        hours: Range<Timestamp>,
        rows: Vec<LedgerHour>,
        on_its_way: &OnItsWay,
        source: Option<Source>,
    ) -> Self {
        let rows: Vec<_> = rows.into_iter().filter_map(HourView::of).collect();
        Self {
            from: hours.start,
            to: hours.end,
            balanced: rows.iter().all(|row| row.balanced),
            hours: rows,
            in_flight: InFlightView::of(on_its_way, source),
        }
    }
}

impl InFlightView {
    fn of(on_its_way: &OnItsWay, source: Option<Source>) -> Self {
        let sums = |counts: &mut dyn Iterator<Item = (&Source, &u64)>| {
            let mut sums: BTreeMap<&'static str, u64> = BTreeMap::new();
            for (name, count) in counts.filter(|(name, _)| source.is_none_or(|source| source == **name)) {
                *sums.entry(name.as_str()).or_default() += count;
            }
            sums
        };
        let in_hand = on_its_way.in_hand.as_ref();
        Self {
            processes: in_hand.map(Vec::len),
            records: in_hand.map(|answers| sums(&mut answers.iter().flat_map(|answer| &answer.sources))),
            spooled: on_its_way.spooled.as_ref().map(|spooled| sums(&mut spooled.iter())),
        }
    }
}

impl HourView {
    fn of(row: LedgerHour) -> Option<Self> {
        let ended = row.stored + row.duplicates + row.dead_lettered + row.ignored + row.deleted;
        Some(Self {
            hour: Timestamp::from_millis(row.hour_ms).ok()?,
            balanced: row.received == ended && (0..=row.deleting).contains(&(row.rows - row.stored)),
            source: row.source,
            received: row.received,
            stored: row.stored,
            duplicates: row.duplicates,
            dead_lettered: row.dead_lettered,
            ignored: row.ignored,
            deleted: row.deleted,
            deleting: row.deleting,
            rows: row.rows,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::InFlight;

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
            deleting: 0,
            rows,
        }
    }

    fn view(rows: Vec<LedgerHour>, on_its_way: &OnItsWay, source: Option<Source>) -> LedgerView {
        LedgerView::new(Timestamp::MIN..Timestamp::MAX, rows, on_its_way, source)
    }

    #[test]
    fn an_hour_balances_when_both_sums_do() {
        let balanced = |row| view(vec![row], &OnItsWay::default(), None).balanced;
        assert!(balanced(row(15, 5, 4, 5)));
        assert!(!balanced(row(16, 5, 4, 5)), "a record is nowhere");
        assert!(!balanced(row(15, 5, 4, 4)), "a row is gone");
        assert!(!balanced(row(15, 5, 4, 6)), "a row came from nowhere");
        let deleting = |rows| balanced(LedgerHour { deleting: 2, ..row(15, 5, 4, rows) });
        assert_eq!(
            [4, 5, 6, 7, 8].map(deleting),
            [false, true, true, true, false],
            "two may be there or not"
        );
        assert!(!view(vec![row(15, 5, 4, 5), row(15, 5, 4, 6)], &OnItsWay::default(), None).balanced);
    }

    #[test]
    fn what_is_on_its_way_is_summed_over_the_processes_and_not_known_where_nobody_says() {
        let answer =
            |http, kafka| InFlight { sources: [(Source::Http, http), (Source::Kafka, kafka)].into() };
        let on_its_way = OnItsWay {
            in_hand: Some(vec![answer(1, 2), answer(3, 4)]),
            spooled: Some([(Source::Http, 5), (Source::Logpush, 6)].into()),
        };
        let in_flight = |on_its_way, source| {
            serde_json::to_value(view(Vec::new(), on_its_way, source).in_flight).unwrap()
        };
        assert_eq!(
            in_flight(&on_its_way, None),
            json!({"processes": 2, "records": {"http": 4, "kafka": 6}, "spooled": {"http": 5, "logpush": 6}})
        );
        assert_eq!(
            in_flight(&on_its_way, Some(Source::Kafka)),
            json!({"processes": 2, "records": {"kafka": 6}, "spooled": {}})
        );
        assert_eq!(
            in_flight(&OnItsWay::default(), None),
            json!({"processes": null, "records": null, "spooled": null})
        );
    }
}
