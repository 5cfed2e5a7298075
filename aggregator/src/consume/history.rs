//! Reads the past from `logs`, oldest first, a slice of it at a time.

use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};
use std::time::Duration;

use clickhouse::query::Query;
use clickhouse::{Client, Row};
use serde::Deserialize;
use weir_event::{EventId, Histogram, Scope, Timestamp};
use weir_store::ScaledUsd;
use weir_store::rollup::{CALLS, USAGE_15M};

use super::error::ConsumeError;
use crate::fold::{Figures, LATE_AFTER_MS, Past, PastBucket, PastWeight, Sums};

/// How long ClickHouse may work on a statement, and how long it is waited for: none goes on that nobody waits for.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(290);
const TIMEOUT: Duration = Duration::from_mins(5);
/// Rows of `logs` in a slice if nothing else is said.
const SLICE_ROWS_MAX: u64 = 500_000;

/// Rows of these tenants.
const OF_TENANTS: &str = "AND (account_id, gateway_id) IN {tenants:Array(Tuple(String, String))}";

/// Whose past is read.
#[derive(Clone, Copy, Debug)]
pub enum Tenants<'t> {
    /// Everybody's.
    All,
    /// That of some.
    These(&'t BTreeSet<Scope>),
}

impl Tenants<'_> {
    /// What is behind the other conditions of a statement.
    fn condition(self) -> &'static str {
        match self {
            Self::All => "",
            Self::These(_) => OF_TENANTS,
        }
    }

    fn bind(self, query: Query) -> Query {
        match self {
            Self::All => query,
            Self::These(scopes) => {
                let names = |scope: &Scope| (scope.account_id.to_string(), scope.gateway_id.to_string());
                query.param("tenants", scopes.iter().map(names).collect::<Vec<_>>())
            }
        }
    }
}

/// How many rows each quarter of an hour has, in order.
fn count_quarters(tenants: Tenants<'_>) -> String {
    let of_tenants = tenants.condition();
    format!(
        "SELECT toInt64(toUnixTimestamp(toStartOfFifteenMinutes(created_at))) * 1000 AS start_ms, \
             count() AS rows FROM logs \
         WHERE created_at >= fromUnixTimestamp64Milli({{since:Int64}}, 'UTC') \
             AND created_at < fromUnixTimestamp64Milli({{until:Int64}}, 'UTC') {of_tenants} \
         GROUP BY start_ms ORDER BY start_ms"
    )
}

/// A slice of the past. One statement over one table is one snapshot, and a row is of one slice: it is either in the sums and,
/// if it is recent, in the ids, or in neither. What is summed, and of which rows, is what the rollup of quarters has; what calls
/// took is counted here, for sums of maps take ClickHouse most of the time of such a statement.
///
/// In the order of time, as calls come: a series is quick at its newest buckets.
fn read_slice(tenants: Tenants<'_>) -> String {
    let of_tenants = tenants.condition();
    let sums = USAGE_15M.sums();
    let times = |name: &str| {
        let most = Histogram::VALUE_MAX;
        format!("groupArrayIf(toUInt32(least(ifNull(logs.{name}, 0), {most})), isNotNull(logs.{name}))")
    };
    let (durations, times_to_first_token) = (times("duration_ms"), times("time_to_first_token_ms"));
    format!(
        "SELECT account_id, gateway_id, token, model, provider, user_id, channel_id, \
             if(created_at >= fromUnixTimestamp64Milli({{by_second_from:Int64}}, 'UTC'), \
                 toInt64(toUnixTimestamp(created_at)), \
                 toInt64(toUnixTimestamp(toStartOfMinute(created_at)))) AS start_s, \
             {sums}, {durations} AS durations, {times_to_first_token} AS times_to_first_token, \
             countIf(ingested_at > created_at + toIntervalMillisecond({LATE_AFTER_MS})) AS late, \
             groupArrayIf(id, greatest(ingested_at, created_at) \
                 >= fromUnixTimestamp64Milli({{ids_from:Int64}}, 'UTC')) AS ids \
         FROM logs \
         WHERE created_at >= fromUnixTimestamp64Milli({{since:Int64}}, 'UTC') \
             AND created_at < fromUnixTimestamp64Milli({{until:Int64}}, 'UTC') AND {CALLS} {of_tenants} \
         GROUP BY account_id, gateway_id, token, model, provider, user_id, channel_id, start_s \
         ORDER BY start_s"
    )
}

/// How many requests of each series the past has.
fn weigh_past() -> String {
    format!(
        "SELECT account_id, gateway_id, token, model, provider, user_id, channel_id, count() AS requests \
         FROM logs \
         WHERE created_at >= fromUnixTimestamp64Milli({{since:Int64}}, 'UTC') \
             AND created_at < fromUnixTimestamp64Milli({{until:Int64}}, 'UTC') AND {CALLS} \
         GROUP BY account_id, gateway_id, token, model, provider, user_id, channel_id"
    )
}

/// Reads what the windows need of the past.
#[derive(Clone)]
pub struct History {
    client: Client,
    slice_rows_max: u64,
}

#[derive(Debug, Row, Deserialize)]
struct QuarterRow {
    start_ms: i64,
    rows: u64,
}

#[derive(Debug, Row, Deserialize)]
struct PastRow {
    account_id: String,
    gateway_id: String,
    token: String,
    model: String,
    provider: String,
    user_id: String,
    channel_id: String,
    start_s: i64,
    requests: u64,
    errors: u64,
    cached: u64,
    unpriced: u64,
    tokens_in: u64,
    tokens_out: u64,
    tokens_cache_read: u64,
    tokens_cache_write: u64,
    tokens_reasoning: u64,
    cost: ScaledUsd,
    // Windows have none.
    #[serde(rename = "quota")]
    _quota: i64,
    durations: Vec<u32>,
    times_to_first_token: Vec<u32>,
    late: u64,
    ids: Vec<[u8; 26]>,
}

#[derive(Debug, Row, Deserialize)]
struct WeightRow {
    account_id: String,
    gateway_id: String,
    token: String,
    model: String,
    provider: String,
    user_id: String,
    channel_id: String,
    requests: u64,
}

impl History {
    /// Reads through `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let limit = STATEMENT_TIMEOUT.as_secs().to_string();
        Self { client: client.with_setting("max_execution_time", limit), slice_rows_max: SLICE_ROWS_MAX }
    }

    /// The same, with as many rows of `logs` in a slice, unless a quarter of an hour has more: bounds what ClickHouse holds.
    #[must_use]
    pub fn with_slices_of(self, slice_rows_max: u64) -> Self {
        Self { slice_rows_max, ..self }
    }

    /// Reads the past, and hands it out part by part, oldest first, for as long as it is taken.
    pub async fn load(
        &self,
        past: Past,
        tenants: Tenants<'_>,
        mut take: impl FnMut(PastBucket) -> ControlFlow<()>,
    ) -> Result<(), ConsumeError> {
        let query = tenants.bind(self.client.query(&count_quarters(tenants)));
        let quarters = in_time(bound_to(query, &whole(past)).fetch_all()).await?;
        for slice in slices(&quarters, &whole(past), self.slice_rows_max) {
            if in_time(self.read(past, tenants, &slice, &mut take)).await?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Reads how heavy each series is in the past, and hands that out one by one.
    pub async fn weigh(&self, past: Past, take: impl FnMut(PastWeight)) -> Result<(), ConsumeError> {
        in_time(self.read_weights(past, take)).await
    }

    async fn read_weights(
        &self,
        past: Past,
        mut take: impl FnMut(PastWeight),
    ) -> Result<(), clickhouse::error::Error> {
        let mut rows = bound_to(self.client.query(&weigh_past()), &whole(past)).fetch::<WeightRow>()?;
        while let Some(row) = rows.next().await? {
            let Ok(scope) = Scope::parse(&row.account_id, &row.gateway_id) else { continue };
            let names = [row.token, row.model, row.provider, row.user_id, row.channel_id];
            take(PastWeight { scope, names, requests: row.requests });
        }
        Ok(())
    }

    async fn read(
        &self,
        past: Past,
        tenants: Tenants<'_>,
        slice: &Range<i64>,
        take: &mut impl FnMut(PastBucket) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, clickhouse::error::Error> {
        let query = tenants.bind(self.client.query(&read_slice(tenants)));
        let mut rows = bound_to(query, slice)
            .param("by_second_from", past.by_second_from_ms)
            .param("ids_from", past.ids_from_ms)
            .fetch::<PastRow>()?;
        while let Some(row) = rows.next().await? {
            if from_row(row).is_some_and(|bucket| take(bucket).is_break()) {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client knows a password.
        f.write_str("History")
    }
}

async fn in_time<T>(
    statement: impl Future<Output = Result<T, clickhouse::error::Error>>,
) -> Result<T, ConsumeError> {
    match tokio::time::timeout(TIMEOUT, statement).await {
        Ok(done) => done.map_err(ConsumeError::History),
        Err(_) => Err(ConsumeError::HistoryTimedOut),
    }
}

/// Bounds of `created_at`, in milliseconds.
fn bound_to(query: Query, range: &Range<i64>) -> Query {
    query.param("since", range.start).param("until", range.end)
}

fn whole(past: Past) -> Range<i64> {
    past.from_ms..past.until_ms + 1
}

/// Parts that have all of `whole` between them, in order, each with as many of the `quarters` as rows allow.
fn slices(quarters: &[QuarterRow], whole: &Range<i64>, rows_max: u64) -> Vec<Range<i64>> {
    let (mut slices, mut start, mut rows) = (Vec::new(), whole.start, 0_u64);
    for quarter in quarters {
        if rows.saturating_add(quarter.rows) > rows_max && rows > 0 {
            slices.push(start..quarter.start_ms);
            (start, rows) = (quarter.start_ms, 0);
        }
        rows = rows.saturating_add(quarter.rows);
    }
    // What comes while the others are read is in the last.
    slices.push(start..whole.end);
    slices
}

/// `None` for a row of a tenant that cannot be asked for, because its name is none.
fn from_row(row: PastRow) -> Option<PastBucket> {
    let scope = Scope::parse(&row.account_id, &row.gateway_id).ok()?;
    let sums = Sums {
        requests: row.requests,
        errors: row.errors,
        cached: row.cached,
        unpriced: row.unpriced,
        tokens_in: row.tokens_in,
        tokens_out: row.tokens_out,
        tokens_cache_read: row.tokens_cache_read,
        tokens_cache_write: row.tokens_cache_write,
        tokens_reasoning: row.tokens_reasoning,
        cost: row.cost,
    };
    Some(PastBucket {
        scope,
        token: row.token,
        model: row.model,
        provider: row.provider,
        user: row.user_id,
        channel: row.channel_id,
        start: Timestamp::from_millis(row.start_s.checked_mul(1_000)?).ok()?,
        figures: Figures {
            sums,
            duration: histogram(&row.durations),
            time_to_first_token: histogram(&row.times_to_first_token),
        },
        late: row.late,
        recent_ids: row.ids.into_iter().filter_map(|id| EventId::try_from(id).ok()).collect(),
    })
}

fn histogram(values: &[u32]) -> Histogram {
    let mut histogram = Histogram::new();
    for value in values {
        histogram.add((*value).into(), 1);
    }
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_clickhouse::{FakeClickHouse, Reply};

    #[tokio::test]
    async fn no_statement_goes_on_that_nobody_waits_for() {
        let clickhouse = FakeClickHouse::start(|_| Reply::Refused).await;
        History::new(clickhouse.client())
            .client
            .query(&count_quarters(Tenants::All))
            .execute()
            .await
            .unwrap_err();
        let asked = clickhouse.asked();
        assert!(asked.len() == 1 && asked[0].contains("max_execution_time=290"), "{asked:?}");
        assert!(STATEMENT_TIMEOUT < TIMEOUT);
    }

    #[test]
    fn slices_have_all_of_the_time_once_and_no_more_rows_than_they_may() {
        let of = |quarters: &[(i64, u64)]| {
            let quarters: Vec<_> =
                quarters.iter().map(|&(start_ms, rows)| QuarterRow { start_ms, rows }).collect();
            slices(&quarters, &(10..100), 9).iter().map(|slice| (slice.start, slice.end)).collect::<Vec<_>>()
        };
        assert_eq!(of(&[]), [(10, 100)]);
        // The first quarter began before.
        assert_eq!(of(&[(0, 1), (15, 2), (90, 3)]), [(10, 100)]);
        assert_eq!(of(&[(0, 8), (15, 1), (30, 1)]), [(10, 30), (30, 100)]);
        assert_eq!(of(&[(0, u64::MAX), (15, u64::MAX), (30, 1)]), [(10, 15), (15, 30), (30, 100)]);
    }
}
