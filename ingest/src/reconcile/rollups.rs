//! Minutes whose rollup is not what their rows come to.
//!
//! The aggregator computes a minute when a message tells it to, and a message may be lost: with a process that was
//! killed before NATS had it, with NATS's disk, or because too many waited. What is looked for here is not who died but
//! what is wrong: the rows of a window are summed up as the aggregator does it and held against each rollup. The minutes
//! of a window that differs at two looks are told of once more; the aggregator then computes them anew, what is made of
//! them too, and its live windows with them.

use std::collections::BTreeSet;
use std::ops::Range;

use clickhouse::Row;
use clickhouse::query::Query;
use serde::Deserialize;
use weir_event::{Scope, Timestamp};
use weir_store::rollup::{ROLLUPS, Rollup, Windows};

use super::Reconciler;
use super::slices::{LOOK_BACK_MS, MINUTE_MS, Time};
use super::suspects::{SUSPECTS_MAX, Suspects, Window};
use crate::sink::SinkError;

/// How far back a process looks that has just started: one that was before it may have left this, and nobody looked.
const LOOK_BACK_FIRST_MS: i64 = 24 * 60 * MINUTE_MS;
/// How many windows are looked at by their names in one statement: keeps it well within the server's limit on a query's
/// length (256 KiB).
const NAMED_PER_STATEMENT_MAX: usize = 1_000;

/// Windows by their names.
const NAMED: &str = "SELECT name.1, name.2, toDateTime(name.3, 'UTC') FROM (SELECT arrayJoin(?) AS name)";

/// The windows of a rollup that differed at the last look.
#[derive(Debug)]
pub(super) struct Watched {
    rollup: &'static Rollup,
    suspects: Suspects,
    /// Whether this process has looked at more than the last minutes.
    has_looked_back: bool,
}

#[derive(Row, Deserialize)]
struct WindowRow {
    account_id: String,
    gateway_id: String,
    start_ms: i64,
}

impl Watched {
    /// Every rollup, with nothing found yet. Only of minutes the word may have been lost long ago: longer windows follow them by
    /// what the tables say, and one that is new is being filled.
    pub(super) fn all() -> Vec<Self> {
        let watched = |rollup: &'static Rollup| Self {
            rollup,
            suspects: Suspects::default(),
            has_looked_back: rollup.width_ms > MINUTE_MS,
        };
        ROLLUPS.into_iter().map(watched).collect()
    }
}

impl Reconciler {
    /// Tells the aggregator of minutes that it should have computed and has not.
    pub(super) async fn compare_rollups(&mut self, now_ms: i64) -> Result<(), SinkError> {
        let mut due = BTreeSet::new();
        let mut watched = std::mem::take(&mut self.watched);
        // One that cannot be looked at holds up no other.
        let mut compared = Ok(());
        for Watched { rollup, suspects, has_looked_back } in &mut watched {
            let look_back_ms = if *has_looked_back { LOOK_BACK_MS } else { LOOK_BACK_FIRST_MS };
            match self.differing(rollup, suspects, (now_ms, look_back_ms)).await {
                Ok(differing) => {
                    *has_looked_back = true;
                    let found = suspects.look(differing);
                    due.extend(found.iter().flat_map(|window| minutes(rollup, window)));
                }
                Err(error) => compared = Err(error),
            }
        }
        self.metrics
            .rollup_minutes_differing(watched.iter().map(|watched| watched.suspects.persistent()).sum());
        self.watched = watched;
        if !due.is_empty() {
            tracing::warn!(minutes = due.len(), "rollups are not what their rows come to: told of again");
            self.metrics.rollup_minutes_told(due.len());
            self.races.announcer().tell_changed(due.into_iter());
        }
        compared
    }

    /// The windows of `rollup` that differ, of those that a row was stored of lately and of those that differed before.
    async fn differing(
        &self,
        rollup: &Rollup,
        suspects: &Suspects,
        (now_ms, look_back_ms): (i64, i64),
    ) -> Result<BTreeSet<Window>, SinkError> {
        let slices = self.slices(Time::Created, now_ms - look_back_ms).await?;
        let settled_ms = now_ms - rollup.settled_after_ms;
        let select = |windows: &str| {
            let statement = rollup.differing_windows(Windows::Of("named"));
            let statement = format!(
                "WITH named AS ({windows}) {statement} \
                ORDER BY account_id, gateway_id, start_ms LIMIT {SUSPECTS_MAX}"
            );
            self.store.bounded(self.store.client.query(&statement)).param("settled", settled_ms)
        };
        let touched = rollup.touched_windows();
        let mut differing = BTreeSet::new();
        for range in whole(rollup, &slices) {
            let query = select(&touched).param("stored_since", now_ms - look_back_ms);
            differing.extend(self.fetch_differing(query, &range).await?);
            if differing.len() >= SUSPECTS_MAX {
                break;
            }
        }
        for windows in suspects.besides(&differing).chunks(NAMED_PER_STATEMENT_MAX) {
            let query = select(NAMED).bind(windows.iter().map(name).collect::<Vec<_>>());
            differing.extend(self.fetch_differing(query, &span(windows, rollup.width_ms)).await?);
        }
        Ok(differing)
    }

    /// What `query` finds, all within `range`.
    async fn fetch_differing(&self, query: Query, range: &Range<i64>) -> Result<Vec<Window>, SinkError> {
        let query = query.param("since", range.start).param("until", range.end).fetch_all();
        let rows: Vec<WindowRow> = self.store.within("hold rollups against their rows", query).await?;
        Ok(rows.iter().filter_map(WindowRow::window).collect())
    }
}

impl WindowRow {
    /// `None` where it is of a tenant that nobody can ask for, because its name is none.
    fn window(&self) -> Option<Window> {
        let scope = Scope::parse(&self.account_id, &self.gateway_id).ok()?;
        Some((scope, Timestamp::from_millis(self.start_ms).ok()?))
    }
}

/// The minutes that a window is made of.
fn minutes<'w>(rollup: &Rollup, (scope, start): &'w Window) -> impl Iterator<Item = (Scope, Timestamp)> + 'w {
    let minutes = 0..(rollup.width_ms / MINUTE_MS).unsigned_abs();
    minutes.map(|minute| (scope.clone(), start.saturating_add_millis(minute * MINUTE_MS.unsigned_abs())))
}

/// Ranges of whole windows that have all of `slices`, which are in order. None of them overlap.
fn whole(rollup: &Rollup, slices: &[Range<i64>]) -> Vec<Range<i64>> {
    let mut done_ms = i64::MIN;
    let mut ranges = Vec::new();
    for slice in slices {
        let range = rollup.whole(slice);
        if range.end > done_ms {
            ranges.push(range.start.max(done_ms)..range.end);
            done_ms = range.end;
        }
    }
    ranges
}

fn name((scope, start): &Window) -> (&str, &str, i64) {
    (scope.account_id.as_str(), scope.gateway_id.as_str(), start.millis() / 1_000)
}

/// From the start of the first to the end of the last.
fn span(windows: &[Window], width_ms: i64) -> Range<i64> {
    let starts = || windows.iter().map(|(_, start)| start.millis());
    starts().min().unwrap_or_default()..starts().max().unwrap_or_default() + width_ms
}

#[cfg(test)]
mod tests {
    use weir_store::rollup::{USAGE_1M, USAGE_15M};

    use super::*;

    fn ranges(rollup: &Rollup, minutes: &[(i64, i64)]) -> Vec<(i64, i64)> {
        let slices: Vec<_> = minutes.iter().map(|(from, to)| from * MINUTE_MS..to * MINUTE_MS).collect();
        whole(rollup, &slices).iter().map(|range| (range.start / MINUTE_MS, range.end / MINUTE_MS)).collect()
    }

    #[test]
    fn no_window_is_looked_at_in_two_slices() {
        let slices = [(1, 4), (4, 5), (5, 16), (16, 17), (44, 46), (90, 91)];
        assert_eq!(ranges(&USAGE_1M, &slices), slices);
        assert_eq!(ranges(&USAGE_15M, &slices), [(0, 15), (15, 30), (30, 60), (90, 105)]);
        assert_eq!(ranges(&USAGE_15M, &[(0, 15), (15, 30)]), [(0, 15), (15, 30)]);
        assert_eq!(ranges(&USAGE_15M, &[]), []);
    }

    #[test]
    fn all_minutes_of_a_window_are_told() {
        let start = Timestamp::from_millis(1_790_000_100_000).unwrap();
        let window = (Scope::parse("acc", "gw").unwrap(), start);
        assert_eq!(minutes(&USAGE_1M, &window).collect::<Vec<_>>(), std::slice::from_ref(&window));
        let told: Vec<_> =
            minutes(&USAGE_15M, &window).map(|(_, minute)| minute.millis_since(start)).collect();
        assert_eq!(told, (0..15).map(|minute| minute * 60_000).collect::<Vec<_>>());
    }
}
