//! Computes rollup rows from `logs`. The one place that writes them.

use std::ops::Range;
use std::time::Duration;

use clickhouse::Client;
use clickhouse::query::Query;
use serde::Serialize;
use weir_store::rollup::{Rollup, Windows};

use super::error::PublishError;
use super::window::ScopeWindow;

/// Minutes in one statement, at most: bounds what it reads at once, and its binds to some 20 KB of URL.
pub(super) const MINUTES_PER_STATEMENT_MAX: usize = 100;
/// How long ClickHouse may work on a statement, and how long it is waited for before it is given up and asked for again: none
/// goes on that nobody waits for.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(55);
const TIMEOUT: Duration = Duration::from_mins(1);

/// Writes rollups to ClickHouse.
#[derive(Clone)]
pub struct Rollups {
    pub(super) client: Client,
}

impl Rollups {
    /// Writes through `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let limit = STATEMENT_TIMEOUT.as_secs().to_string();
        Self { client: client.with_setting("max_execution_time", limit) }
    }

    /// Computes `windows` of `rollup` anew.
    pub async fn compute(&self, rollup: &Rollup, windows: &[ScopeWindow]) -> Result<(), PublishError> {
        let Some(span) = span(windows, rollup.width_ms) else {
            return Ok(());
        };
        let statement = rollup.compute(Windows::Bound);
        let query = bound_to(self.client.query_raw(&statement), &span).param("windows", bind(windows));
        limited(query.execute()).await
    }

    /// Whether ClickHouse answers, and has the tables.
    pub async fn look_for_life(&self) -> Result<(), PublishError> {
        const LOOK: &str = "SELECT count() FROM usage_1m WHERE false";
        limited(self.client.query(LOOK).fetch_one::<u64>()).await.map(|_| ())
    }
}

impl std::fmt::Debug for Rollups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client knows a password.
        f.write_str("Rollups")
    }
}

/// Bounds of time, in milliseconds.
pub(super) fn bound_to(query: Query, span: &Range<i64>) -> Query {
    query.param("since", span.start).param("until", span.end)
}

pub(super) async fn limited<T>(
    statement: impl Future<Output = Result<T, clickhouse::error::Error>>,
) -> Result<T, PublishError> {
    match tokio::time::timeout(TIMEOUT, statement).await {
        Ok(answer) => answer.map_err(PublishError::Statement),
        Err(_) => Err(PublishError::TimedOut),
    }
}

/// From the start of the first window to the end of the last, in milliseconds: lets ClickHouse skip other partitions.
fn span(windows: &[ScopeWindow], width_ms: i64) -> Option<Range<i64>> {
    let starts = || windows.iter().map(|window| window.start.millis());
    Some(starts().min()?..starts().max()? + width_ms)
}

/// `DateTime` binds are texts: inside of a tuple ClickHouse does not read a number as one.
fn bind(windows: &[ScopeWindow]) -> Vec<impl Serialize + '_> {
    let tuple = |window: &ScopeWindow| window.start_s().to_string();
    windows
        .iter()
        .map(|window| (window.scope.account_id.as_str(), window.scope.gateway_id.as_str(), tuple(window)))
        .collect()
}

#[cfg(test)]
mod tests {
    use weir_event::{Scope, Timestamp};
    use weir_store::rollup::USAGE_1M;

    use super::*;
    use crate::fake_clickhouse::{FakeClickHouse, Reply};

    #[tokio::test]
    async fn no_statement_goes_on_that_nobody_waits_for() {
        let clickhouse = FakeClickHouse::start(|_| Reply::Refused).await;
        let rollups = Rollups::new(clickhouse.client());
        let minute = ScopeWindow { scope: Scope::parse("acc", "gw").unwrap(), start: Timestamp::MIN };
        rollups.compute(&USAGE_1M, &[minute]).await.unwrap_err();
        rollups.look_for_life().await.unwrap_err();
        let asked = clickhouse.asked();
        assert_eq!(asked.len(), 2);
        assert!(asked.iter().all(|request| request.contains("max_execution_time=55")), "{asked:?}");
        assert!(STATEMENT_TIMEOUT < TIMEOUT);
    }
}
