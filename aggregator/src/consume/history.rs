//! Reads the past from `logs`, in one statement.

use std::ops::ControlFlow;
use std::time::Duration;

use clickhouse::{Client, Row};
use serde::Deserialize;
use weir_event::{EventId, Histogram, Scope, Timestamp};
use weir_store::ScaledUsd;
use weir_store::rollup::{CALLS, USAGE_15M};

use super::error::ConsumeError;
use crate::fold::{Figures, LATE_AFTER_MS, Past, PastBucket, PastWeight, Sums};

/// How long the past may take.
const TIMEOUT: Duration = Duration::from_mins(5);

/// One statement over one table is one snapshot: every row is either in the sums and, if it is recent, in the ids, or
/// in neither. What is summed, and of which rows, is what the rollup of quarters has; times are counted by the bins of the
/// windows.
fn read_past() -> String {
    let sums = USAGE_15M.sums();
    let times = |name: &str| {
        let bin = Histogram::floor_sql(&format!("ifNull(logs.{name}, 0)"));
        format!("sumMapIf([{bin}], [toUInt64(1)], isNotNull(logs.{name}))")
    };
    let (duration, time_to_first_token) = (times("duration_ms"), times("time_to_first_token_ms"));
    format!(
        "SELECT account_id, gateway_id, token, model, provider, user_id, channel_id, \
             if(created_at >= fromUnixTimestamp64Milli({{by_second_from:Int64}}, 'UTC'), \
                 toInt64(toUnixTimestamp(created_at)), \
                 toInt64(toUnixTimestamp(toStartOfMinute(created_at)))) AS start_s, \
             {sums}, {duration} AS durations, {time_to_first_token} AS first_tokens, \
             countIf(ingested_at > created_at + toIntervalMillisecond({LATE_AFTER_MS})) AS late, \
             groupArrayIf(id, greatest(ingested_at, created_at) \
                 >= fromUnixTimestamp64Milli({{ids_from:Int64}}, 'UTC')) AS ids \
         FROM logs \
         WHERE created_at >= fromUnixTimestamp64Milli({{from:Int64}}, 'UTC') \
             AND created_at <= fromUnixTimestamp64Milli({{until:Int64}}, 'UTC') AND {CALLS} \
         GROUP BY account_id, gateway_id, token, model, provider, user_id, channel_id, start_s"
    )
}

/// How many requests of each series the past has.
fn weigh_past() -> String {
    format!(
        "SELECT account_id, gateway_id, token, model, provider, user_id, channel_id, count() AS requests \
         FROM logs \
         WHERE created_at >= fromUnixTimestamp64Milli({{from:Int64}}, 'UTC') \
             AND created_at <= fromUnixTimestamp64Milli({{until:Int64}}, 'UTC') AND {CALLS} \
         GROUP BY account_id, gateway_id, token, model, provider, user_id, channel_id"
    )
}

/// Reads what the windows need of the past.
#[derive(Clone)]
pub struct History {
    client: Client,
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
    /// The first values of bins, and how many are in each.
    durations: (Vec<u64>, Vec<u64>),
    first_tokens: (Vec<u64>, Vec<u64>),
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
        Self { client }
    }

    /// Reads the past, and hands it out part by part, for as long as it is taken.
    pub async fn load(
        &self,
        past: Past,
        take: impl FnMut(PastBucket) -> ControlFlow<()>,
    ) -> Result<(), ConsumeError> {
        in_time(self.read(past, take)).await
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
        let query = self.client.query(&weigh_past());
        let query = query.param("from", past.from_ms).param("until", past.until_ms);
        let mut rows = query.fetch::<WeightRow>()?;
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
        mut take: impl FnMut(PastBucket) -> ControlFlow<()>,
    ) -> Result<(), clickhouse::error::Error> {
        let mut rows = self
            .client
            .query(&read_past())
            .param("by_second_from", past.by_second_from_ms)
            .param("ids_from", past.ids_from_ms)
            .param("from", past.from_ms)
            .param("until", past.until_ms)
            .fetch::<PastRow>()?;
        while let Some(row) = rows.next().await? {
            if from_row(row).is_some_and(|bucket| take(bucket).is_break()) {
                break;
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client knows a password.
        f.write_str("History")
    }
}

async fn in_time(
    reading: impl Future<Output = Result<(), clickhouse::error::Error>>,
) -> Result<(), ConsumeError> {
    match tokio::time::timeout(TIMEOUT, reading).await {
        Ok(done) => done.map_err(ConsumeError::History),
        Err(_) => Err(ConsumeError::HistoryTimedOut),
    }
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
            time_to_first_token: histogram(&row.first_tokens),
        },
        late: row.late,
        recent_ids: row.ids.into_iter().filter_map(|id| EventId::try_from(id).ok()).collect(),
    })
}

fn histogram((values, counts): &(Vec<u64>, Vec<u64>)) -> Histogram {
    let mut histogram = Histogram::new();
    for (value, count) in values.iter().zip(counts) {
        histogram.add(*value, *count);
    }
    histogram
}
