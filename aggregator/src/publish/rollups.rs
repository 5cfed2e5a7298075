//! Computes rollup rows from `logs`. The one place that writes `usage_1m`.

use std::time::Duration;

use clickhouse::Client;
use serde::Serialize;
use weir_service::clock::SharedClock;

use super::error::PublishError;
use super::minute::ScopeMinute;

/// Minutes in one statement, at most: bounds what it reads at once, and its binds to some 20 KB of URL.
pub(super) const MINUTES_PER_STATEMENT_MAX: usize = 100;
/// How long ClickHouse may take for a statement before it is given up and asked for again.
const STATEMENT_TIMEOUT: Duration = Duration::from_mins(1);

/// Computes the given minutes of the given tenants anew.
///
/// The second half of the union names every group that has a row already, with nothing in it: one that is gone from
/// `logs` is written with 0 requests, which is how a `ReplacingMergeTree` forgets it. Costs are summed where known.
///
/// The bounds of `created_at` are of its own type, `DateTime64`. Against a bound of type `DateTime`, ClickHouse 26.7
/// takes `< 12:01:00` for `<= 12:00:59` when it chooses what to read, and leaves out what begins after that.
///
/// Only calls are requests, see [`weir_event::EventKind::is_call`].
const COMPUTE: &str = "\
INSERT INTO usage_1m (account_id, gateway_id, minute, provider, model, token, \
    requests, errors, cached, unpriced, tokens_in, tokens_out, cost, version) \
SELECT account_id, gateway_id, minute, provider, model, token, \
    sum(requests), sum(errors), sum(cached), sum(unpriced), sum(tokens_in), sum(tokens_out), sum(cost), \
    {version:UInt64} \
FROM ( \
    SELECT account_id, gateway_id, toStartOfMinute(created_at) AS minute, provider, model, token, \
        count() AS requests, countIf(NOT success) AS errors, countIf(logs.cached) AS cached, \
        countIf(logs.cost IS NULL) AS unpriced, sum(ifNull(logs.tokens_in, 0)) AS tokens_in, \
        sum(ifNull(logs.tokens_out, 0)) AS tokens_out, sum(ifNull(logs.cost, toDecimal128(0, 18))) AS cost \
    FROM logs \
    WHERE created_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') \
        AND created_at < fromUnixTimestamp64Milli({until:Int64}, 'UTC') \
        AND kind IN ('consume', 'error') \
        AND (account_id, gateway_id, toStartOfMinute(created_at)) \
            IN {minutes:Array(Tuple(String, String, DateTime('UTC')))} \
    GROUP BY account_id, gateway_id, minute, provider, model, token \
    UNION ALL \
    SELECT DISTINCT account_id, gateway_id, minute, provider, model, token, 0, 0, 0, 0, 0, 0, toDecimal128(0, 18) \
    FROM usage_1m \
    WHERE (account_id, gateway_id, minute) IN {minutes:Array(Tuple(String, String, DateTime('UTC')))} \
) \
GROUP BY account_id, gateway_id, minute, provider, model, token";

/// The latest version of any rollup row.
const LATEST_VERSION: &str = "SELECT max(version) FROM usage_1m";

/// Writes rollups to ClickHouse.
#[derive(Clone)]
pub struct Rollups {
    client: Client,
}

/// Gives out versions of rollup rows: the time in milliseconds, and always more than any that was used before, so
/// that the later computation wins whatever the clock does.
#[derive(Debug)]
pub struct Versions {
    clock: SharedClock,
    last: u64,
}

impl Rollups {
    /// Writes through `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Computes `minutes` anew, as `version`.
    pub async fn compute(&self, minutes: &[ScopeMinute], version: u64) -> Result<(), PublishError> {
        let Some((since, until)) = span(minutes) else {
            return Ok(());
        };
        let statement = self
            .client
            .query(COMPUTE)
            .param("version", version)
            .param("since", since)
            .param("until", until)
            .param("minutes", bind(minutes))
            .execute();
        limited(statement).await
    }

    /// The latest version that is in use.
    pub async fn latest_version(&self) -> Result<u64, PublishError> {
        limited(self.client.query(LATEST_VERSION).fetch_one()).await
    }

    /// Whether ClickHouse answers.
    pub async fn ping(&self) -> Result<(), PublishError> {
        limited(self.client.query("SELECT 1").fetch_one::<u8>()).await.map(|_| ())
    }
}

impl std::fmt::Debug for Rollups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client knows a password.
        f.write_str("Rollups")
    }
}

impl Versions {
    /// Goes on from `last`.
    #[must_use]
    pub fn after(last: u64, clock: SharedClock) -> Self {
        Self { clock, last }
    }

    /// The next version.
    #[expect(clippy::should_implement_trait, reason = "it never ends, and nothing iterates over it")]
    pub fn next(&mut self) -> u64 {
        let now = u64::try_from(self.clock.now_ms()).unwrap_or(0);
        self.last = now.max(self.last + 1);
        self.last
    }
}

async fn limited<T>(
    statement: impl Future<Output = Result<T, clickhouse::error::Error>>,
) -> Result<T, PublishError> {
    match tokio::time::timeout(STATEMENT_TIMEOUT, statement).await {
        Ok(answer) => answer.map_err(PublishError::Statement),
        Err(_) => Err(PublishError::TimedOut),
    }
}

/// From the start of the first minute to the end of the last, in milliseconds: lets ClickHouse skip other partitions.
fn span(minutes: &[ScopeMinute]) -> Option<(i64, i64)> {
    let starts = || minutes.iter().map(|minute| minute.start.millis());
    Some((starts().min()?, starts().max()? + 60_000))
}

/// `DateTime` binds are texts: inside of a tuple ClickHouse does not read a number as one.
fn bind(minutes: &[ScopeMinute]) -> Vec<impl Serialize + '_> {
    let tuple = |minute: &ScopeMinute| minute.start_s().to_string();
    minutes
        .iter()
        .map(|minute| (minute.scope.account_id.as_str(), minute.scope.gateway_id.as_str(), tuple(minute)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use weir_service::clock::ManualClock;

    use super::*;

    #[test]
    fn versions_grow_whatever_the_clock_does() {
        let clock = ManualClock::at(1_000);
        let mut versions = Versions::after(500, Arc::new(clock.clone()));
        assert_eq!(versions.next(), 1_000);
        assert_eq!(versions.next(), 1_001);
        clock.set(5_000);
        assert_eq!(versions.next(), 5_000);
        clock.set(-1);
        assert_eq!(versions.next(), 5_001);
        let mut after_restart = Versions::after(9_000, Arc::new(clock));
        assert_eq!(after_restart.next(), 9_001);
    }
}
