//! Reads the past from `logs`, in one statement.

use std::collections::BTreeSet;
use std::time::Duration;

use clickhouse::{Client, Row};
use serde::Deserialize;
use weir_event::{EventId, Scope, Timestamp};
use weir_store::ScaledUsd;
use weir_store::rollup::{CALLS, USAGE_1M};

use super::error::ConsumeError;
use crate::fold::{Past, PastBucket, Sums, WarmUp};
use crate::publish::ScopeWindow;

/// How long the past may take.
const TIMEOUT: Duration = Duration::from_mins(5);

/// One statement over one table is one snapshot: every row is either in the sums and, if it is recent, in the ids, or
/// in neither. What is summed, and of which rows, is what the rollup of minutes has.
fn read_past() -> String {
    let sums = USAGE_1M.sums();
    format!(
        "SELECT account_id, gateway_id, token, model, \
             if(created_at >= fromUnixTimestamp64Milli({{by_second_from:Int64}}, 'UTC'), \
                 toInt64(toUnixTimestamp(created_at)), \
                 toInt64(toUnixTimestamp(toStartOfMinute(created_at)))) AS start_s, \
             {sums}, \
             groupArrayIf(id, greatest(ingested_at, created_at) \
                 >= fromUnixTimestamp64Milli({{ids_from:Int64}}, 'UTC')) AS ids \
         FROM logs \
         WHERE created_at >= fromUnixTimestamp64Milli({{from:Int64}}, 'UTC') \
             AND created_at <= fromUnixTimestamp64Milli({{until:Int64}}, 'UTC') AND {CALLS} \
         GROUP BY account_id, gateway_id, token, model, start_s"
    )
}

/// Reads what the windows need of the past.
#[derive(Clone)]
pub struct History {
    client: Client,
}

/// Which minutes have to be computed anew after the past was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// Those of rows that were stored, or ended, lately: the process that was to write their rollups may have ended.
    Recent,
    /// All: messages that told of them are lost.
    All,
}

#[derive(Debug, Row, Deserialize)]
struct PastRow {
    account_id: String,
    gateway_id: String,
    token: String,
    model: String,
    start_s: i64,
    requests: u64,
    errors: u64,
    cached: u64,
    unpriced: u64,
    tokens_in: u64,
    tokens_out: u64,
    cost: ScaledUsd,
    ids: Vec<[u8; 26]>,
}

impl History {
    /// Reads through `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Loads the past into `warm_up`. Gives the minutes that are `stale`.
    pub async fn load(
        &self,
        past: Past,
        stale: Stale,
        warm_up: &mut WarmUp,
    ) -> Result<BTreeSet<ScopeWindow>, ConsumeError> {
        match tokio::time::timeout(TIMEOUT, self.read(past, stale, warm_up)).await {
            Ok(minutes) => minutes.map_err(ConsumeError::History),
            Err(_) => Err(ConsumeError::HistoryTimedOut),
        }
    }

    async fn read(
        &self,
        past: Past,
        stale: Stale,
        warm_up: &mut WarmUp,
    ) -> Result<BTreeSet<ScopeWindow>, clickhouse::error::Error> {
        let mut rows = self
            .client
            .query(&read_past())
            .param("by_second_from", past.by_second_from_ms)
            .param("ids_from", past.ids_from_ms)
            .param("from", past.from_ms)
            .param("until", past.until_ms)
            .fetch::<PastRow>()?;
        let mut minutes = BTreeSet::new();
        while let Some(row) = rows.next().await? {
            let is_stale = stale == Stale::All || !row.ids.is_empty();
            let Some(bucket) = from_row(row) else {
                continue;
            };
            warm_up.load(&bucket);
            if is_stale {
                minutes.insert(ScopeWindow { scope: bucket.scope, start: bucket.start.minute() });
            }
        }
        Ok(minutes)
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client knows a password.
        f.write_str("History")
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
        cost: row.cost,
    };
    Some(PastBucket {
        scope,
        token: row.token,
        model: row.model,
        start: Timestamp::from_millis(row.start_s.checked_mul(1_000)?).ok()?,
        sums,
        recent_ids: row.ids.into_iter().filter_map(|id| EventId::try_from(id).ok()).collect(),
    })
}
