//! The task that keeps the rollups of quarters of an hour, at a slower pace than that of minutes.
//!
//! A quarter is touched for fifteen minutes, and to compute it anew takes as long as fifteen minutes do; so it is done
//! once in a while, and no message waits for it. What is to be computed is asked of the tables: a quarter is stale as
//! long as one of its minutes was computed after it. That is true after a crash, after somebody else computed the
//! minutes, and of all that was there before the table was, newest first.

use std::convert::Infallible;
use std::ops::Range;
use std::time::Duration;

use clickhouse::Row;
use clickhouse::query::Query;
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use weir_event::{Scope, Timestamp};
use weir_service::lifecycle::Shutdown;
use weir_service::telemetry::chain;
use weir_store::rollup::{QUARTERS, Rollup};

use super::error::{PublishError, Verdict};
use super::rollups::{Rollups, bound_to, limited};
use super::window::ScopeWindow;
use crate::backoff::Backoff;
use crate::lease::{Lease, Leases};
use crate::metrics::AggregatorMetrics;

/// Quarters in one statement, at most: bounds its binds to some 20 KB of URL.
const SLOTS_PER_STATEMENT_MAX: usize = 100;
/// Requests in one statement: exceeded by those of one quarter.
const REQUESTS_PER_STATEMENT: u64 = 2_000_000;
/// Of its time the task computes one part in so many and one, at most.
const PAUSE_FACTOR: u32 = 9;
/// A version is a time, and a minute may be in the table so much later than it says: its statement took as long, or the
/// server's clock was set back.
const VERSIONS_LATE_MAX_MS: u64 = 10 * 60_000;
/// A version that is further ahead of the server's clock than this was made with another clock, or by hand. It says nothing
/// until its time has come.
const VERSIONS_AHEAD_MAX_MS: u64 = 10 * 60_000;
const DAY_MS: i64 = 24 * 60 * 60_000;

/// What versions are made of.
const NOW: &str = "SELECT toUInt64(toUnixTimestamp64Milli(now64(3)))";

/// The days that have minutes with versions in a range.
const TOUCHED_DAYS: &str = "\
SELECT DISTINCT toInt64(toUnixTimestamp(toStartOfDay(minute))) * 1000 AS day_ms FROM usage_1m \
WHERE version > {after:UInt64} AND version <= {up_to:UInt64} ORDER BY day_ms";

/// The quarters of a range of time of which a minute was computed after them, by the versions in a range; `{rollup}` is the table of
/// the quarters. One that has neither rows nor minutes with requests is not: there is nothing to write.
const STALE: &str = "\
SELECT account_id, gateway_id, toInt64(toUnixTimestamp(slot)) * 1000 AS start_ms, \
    sumIf(requests, is_minute) AS requests_about \
FROM ( \
    SELECT account_id, gateway_id, toStartOfFifteenMinutes(minute) AS slot, version, requests, true AS is_minute \
    FROM usage_1m \
    WHERE version > {after:UInt64} AND version <= {up_to:UInt64} \
        AND minute >= toDateTime(intDiv({since:Int64}, 1000), 'UTC') \
        AND minute < toDateTime(intDiv({until:Int64}, 1000), 'UTC') \
    UNION ALL \
    SELECT account_id, gateway_id, slot, version, requests, false FROM {rollup} \
    WHERE slot >= toDateTime(intDiv({since:Int64}, 1000), 'UTC') \
        AND slot < toDateTime(intDiv({until:Int64}, 1000), 'UTC') \
) \
GROUP BY account_id, gateway_id, slot \
HAVING maxIf(version, is_minute) > maxIf(version, NOT is_minute) \
    AND (countIf(NOT is_minute) > 0 OR requests_about > 0) \
ORDER BY start_ms, account_id, gateway_id";

/// The lease of whoever computes quarters.
const LEASE: &str = "quarters";

/// Owns the rollups of quarters, in one process at a time: two would compute the same.
#[derive(Clone, Debug)]
pub struct SlotsTask {
    /// Where they are written.
    pub rollups: Rollups,
    /// How often, at most.
    pub interval: Duration,
    /// Says in which process.
    pub leases: Leases,
    /// Counts.
    pub metrics: AggregatorMetrics,
}

#[derive(Row, Deserialize)]
struct SlotRow {
    account_id: String,
    gateway_id: String,
    start_ms: i64,
    /// Of its minutes, each as often as it was computed and is not merged.
    requests_about: u64,
}

/// A day of a rollup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Day {
    rollup: &'static Rollup,
    start_ms: i64,
}

/// A quarter that is to be computed anew. Those of one list are of one day.
#[derive(Debug)]
struct Stale {
    day: Day,
    slot: ScopeWindow,
    requests_about: u64,
}

/// The task while it runs.
struct Running {
    task: SlotsTask,
    /// The server's time at the last look, 0 before there was one.
    looked_at: u64,
    next_look: Instant,
    /// The days that were not looked at yet, the latest at the end: what was there when the process started.
    past: Vec<Day>,
    /// What is stale of the past, of one day.
    stale: Vec<Stale>,
}

impl SlotsTask {
    /// Writes until the soft stop. What is stale then is found by whoever is next.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Infallible> {
        let mut held = None;
        tokio::select! {
            () = self.serve(&mut held) => {}
            () = shutdown.soft_stop().cancelled() => {}
        }
        if let Some(lease) = held {
            lease.give_back().await;
        }
        Ok(())
    }

    /// Writes whenever the lease is ours, which is in `held` then.
    async fn serve(&self, held: &mut Option<Lease>) {
        loop {
            let lease = held.insert(self.leases.wait_for(LEASE).await).holding();
            tokio::select! {
                () = Running::new(self.clone()).run() => {}
                () = lease.lost() => {}
            }
        }
    }
}

impl Running {
    fn new(task: SlotsTask) -> Self {
        Self { task, looked_at: 0, next_look: Instant::now(), past: Vec::new(), stale: Vec::new() }
    }

    async fn run(mut self) {
        let mut backoff = Backoff::new();
        loop {
            let wait = match self.work().await {
                Ok(wait) => {
                    backoff.reset();
                    wait
                }
                Err(error) => {
                    let wait = backoff.next_wait();
                    self.task.metrics.slots_failures.inc();
                    tracing::warn!(
                        error = chain(&error),
                        retry_in_ms = wait.as_millis(),
                        "quarters of an hour are not written"
                    );
                    wait
                }
            };
            sleep(wait).await;
        }
    }

    /// Computes what has become stale if it is time for that, and else a part of the past. Gives how long to wait.
    async fn work(&mut self) -> Result<Duration, PublishError> {
        let started = Instant::now();
        if started >= self.next_look {
            let looked = self.look().await;
            let took = started.elapsed();
            self.task.metrics.slots_duration_s.observe(took.as_secs_f64());
            self.next_look = Instant::now() + self.task.interval.max(took * PAUSE_FACTOR);
            looked?;
        } else {
            self.catch_up().await?;
        }
        let until_look = self.next_look.saturating_duration_since(Instant::now());
        let is_past_done = self.past.is_empty() && self.stale.is_empty();
        Ok(if is_past_done { until_look } else { until_look.min(started.elapsed() * PAUSE_FACTOR) })
    }

    /// Computes the quarters whose minutes were computed since the last look, and for some time before it.
    async fn look(&mut self) -> Result<(), PublishError> {
        let rollups = self.task.rollups.clone();
        let now = limited(rollups.client.query_raw(NOW).fetch_one::<u64>()).await?;
        let versions_end = now + VERSIONS_AHEAD_MAX_MS;
        if self.looked_at == 0 {
            self.past = rollups.touched_days(&(0..versions_end)).await?;
            self.looked_at = now;
        }
        let versions = self.looked_at.saturating_sub(VERSIONS_LATE_MAX_MS)..versions_end;
        let mut refused = None;
        for day in rollups.touched_days(&versions).await?.into_iter().rev() {
            let computed = match rollups.stale_slots(&versions, day).await {
                Ok(stale) => self.compute_all(stale).await,
                Err(error) => Err(error),
            };
            // One table that is refused holds up no other.
            if let Err(error) = computed {
                match error.verdict() {
                    Verdict::RetryAll => return Err(error),
                    Verdict::RetryThis => refused = Some(error),
                }
            }
        }
        if refused.is_none() {
            self.looked_at = now;
        }
        refused.map_or(Ok(()), Err)
    }

    /// Computes some of what was stale when the process started.
    async fn catch_up(&mut self) -> Result<(), PublishError> {
        if self.stale.is_empty() {
            let Some(day) = self.past.pop() else { return Ok(()) };
            match self.task.rollups.stale_slots(&(0..self.looked_at), day).await {
                Ok(stale) => self.stale = stale,
                Err(error) => {
                    self.look_once_more(day);
                    return Err(error);
                }
            }
        }
        let mut stale = std::mem::take(&mut self.stale);
        let day = stale.last().map(|stale| stale.day);
        let computed = self.compute_some(&mut stale).await;
        self.stale = stale;
        if let (Err(_), Some(day)) = (&computed, day) {
            self.look_once_more(day);
        }
        computed
    }

    /// What was refused is looked at once more, when everything else is done.
    fn look_once_more(&mut self, day: Day) {
        if !self.past.contains(&day) {
            self.past.insert(0, day);
        }
    }

    /// Computes all of `stale`, but for what is refused, unless the server is not there.
    async fn compute_all(&self, mut stale: Vec<Stale>) -> Result<(), PublishError> {
        let mut refused = Ok(());
        while !stale.is_empty() {
            if let Err(error) = self.compute_some(&mut stale).await {
                match error.verdict() {
                    Verdict::RetryAll => return Err(error),
                    Verdict::RetryThis => refused = Err(error),
                }
            }
        }
        refused
    }

    /// Computes the last of `stale` in one statement, and takes them out, unless the server was not there.
    async fn compute_some(&self, stale: &mut Vec<Stale>) -> Result<(), PublishError> {
        let metrics = &self.task.metrics;
        let show = |left: usize| metrics.slots_stale.set(i64::try_from(left).unwrap_or(i64::MAX));
        show(stale.len());
        let first = stale.len() - last_of(stale);
        let Some(Stale { day: Day { rollup, .. }, .. }) = stale.last() else { return Ok(()) };
        let slots: Vec<_> = stale[first..].iter().map(|stale| stale.slot.clone()).collect();
        let computed = self.task.rollups.compute(rollup, &slots).await;
        match &computed {
            Ok(()) => _ = metrics.slots_written.inc_by(slots.len() as u64),
            Err(error) if error.verdict() == Verdict::RetryAll => return computed,
            Err(_) => {}
        }
        stale.truncate(first);
        show(first);
        computed
    }
}

/// How many of the last are computed in one statement.
fn last_of(stale: &[Stale]) -> usize {
    let mut requests = 0_u64;
    let fits = stale.iter().rev().take(SLOTS_PER_STATEMENT_MAX).take_while(|stale| {
        requests = requests.saturating_add(stale.requests_about);
        requests <= REQUESTS_PER_STATEMENT
    });
    fits.count().max(1).min(stale.len())
}

impl Rollups {
    /// The days that have minutes of these `versions`, of each rollup, the latest at the end.
    async fn touched_days(&self, versions: &Range<u64>) -> Result<Vec<Day>, PublishError> {
        let days: Vec<i64> = limited(self.of_versions(TOUCHED_DAYS, versions).fetch_all()).await?;
        let of_day = |start_ms: i64| QUARTERS.into_iter().map(move |rollup| Day { rollup, start_ms });
        Ok(days.into_iter().flat_map(of_day).collect())
    }

    /// The quarters of `day` that are to be computed anew, as far as the minutes of these `versions` say.
    async fn stale_slots(&self, versions: &Range<u64>, day: Day) -> Result<Vec<Stale>, PublishError> {
        let statement = STALE.replace("{rollup}", day.rollup.table);
        let query = bound_to(self.of_versions(&statement, versions), &(day.start_ms..day.start_ms + DAY_MS));
        let rows: Vec<SlotRow> = limited(query.fetch_all()).await?;
        Ok(rows.iter().filter_map(|row| row.stale(day)).collect())
    }

    fn of_versions(&self, statement: &str, versions: &Range<u64>) -> Query {
        self.client.query_raw(statement).param("after", versions.start).param("up_to", versions.end)
    }
}

impl SlotRow {
    /// `None` where it is of a tenant that nobody can ask for, because its name is none.
    fn stale(&self, day: Day) -> Option<Stale> {
        let scope = Scope::parse(&self.account_id, &self.gateway_id).ok()?;
        let slot = ScopeWindow { scope, start: Timestamp::from_millis(self.start_ms).ok()? };
        Some(Stale { day, slot, requests_about: self.requests_about })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_has_as_many_quarters_as_their_requests_allow() {
        let stale = |requests: &[u64]| -> Vec<_> {
            let slot = ScopeWindow { scope: Scope::parse("acc", "gw").unwrap(), start: Timestamp::MIN };
            let day = Day { rollup: QUARTERS[0], start_ms: 0 };
            requests.iter().map(|&requests_about| Stale { day, slot: slot.clone(), requests_about }).collect()
        };
        let half = REQUESTS_PER_STATEMENT / 2;
        assert_eq!(last_of(&stale(&[1, half, half])), 2);
        assert_eq!(last_of(&stale(&[1, half, half + 1])), 1);
        assert_eq!(last_of(&stale(&[1, u64::MAX])), 1);
        assert_eq!(last_of(&stale(&[7])), 1);
        assert_eq!(last_of(&stale(&[1; 250])), SLOTS_PER_STATEMENT_MAX);
        assert_eq!(last_of(&[]), 0);
    }
}
