//! The rollups and `logs`, as they are compared and written anew.

use std::ops::Range;
use std::time::Duration;

use clickhouse::query::Query;
use clickhouse::{Client, Row};
use serde::Deserialize;
use weir_service::config::ClickHouseConfig;
use weir_store::rollup::{Rollup, Tenants, Windows};

use super::AuditError;
use super::request::Selection;
use super::slices::slices;

/// How long ClickHouse may take for a statement.
const STATEMENT_TIMEOUT: Duration = Duration::from_mins(5);

/// What is chosen of the tables.
pub(super) struct Tables {
    client: Client,
    pub(super) selection: Selection,
}

/// A group that is not what its rows come to.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub(super) struct Group {
    pub(super) account_id: String,
    pub(super) gateway_id: String,
    pub(super) start_ms: i64,
    /// The values of the rollup's keys.
    pub(super) keys: Vec<String>,
    /// Of each figure that differs: its name, what the rows come to, what the rollup has.
    pub(super) figures: Vec<(String, String, String)>,
    /// When the latest of its rows was stored, 0 where there is none.
    pub(super) stored_ms: i64,
}

/// How many groups differ: of those, all, and the ones of which a row was stored lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Row, Deserialize)]
pub(super) struct Differing {
    pub(super) groups: u64,
    pub(super) unsettled: u64,
}

#[derive(Row, Deserialize)]
struct QuarterRow {
    start_ms: i64,
    rows: u64,
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client knows a password.
        f.debug_struct("Tables").field("selection", &self.selection).finish_non_exhaustive()
    }
}

impl Group {
    /// Whether it is the same group as `other`, whatever its figures are.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.start_ms == other.start_ms
            && self.gateway_id == other.gateway_id
            && self.account_id == other.account_id
            && self.keys == other.keys
    }
}

impl Tables {
    pub(super) fn new(config: &ClickHouseConfig, selection: Selection) -> Self {
        let (url, password) = (config.url.as_str(), config.password.expose());
        Self { client: weir_store::client(url, &config.database, &config.user, password), selection }
    }

    /// The server's time, in milliseconds since 1970.
    pub(super) async fn now_ms(&self) -> Result<i64, AuditError> {
        let query = self.client.query_raw("SELECT toUnixTimestamp64Milli(now64(3))");
        within("ask for its time", query.fetch_one()).await
    }

    /// The chosen time in parts, and how many rows there are in all, of both tables.
    pub(super) async fn slices(&self, rollup: &Rollup) -> Result<(Vec<Range<i64>>, u64), AuditError> {
        let query = self.query(&rollup.rows_by_quarter(self.tenants()), &self.selection.range);
        let quarters: Vec<QuarterRow> = within("count rows", query.fetch_all()).await?;
        let quarters: Vec<_> = quarters.iter().map(|quarter| (quarter.start_ms, quarter.rows)).collect();
        Ok((slices(&quarters), quarters.iter().map(|(_, rows)| rows).sum()))
    }

    /// The groups of `rollup` in `slice` that differ, at most `limit`.
    pub(super) async fn differing(
        &self,
        rollup: &Rollup,
        slice: &Range<i64>,
        limit: usize,
    ) -> Result<Vec<Group>, AuditError> {
        let groups = rollup.differing_groups(self.windows());
        let query = self
            .query(&format!("{groups} ORDER BY start_ms, account_id, gateway_id, keys LIMIT {limit}"), slice);
        within("hold a rollup against its rows", query.fetch_all()).await
    }

    /// How many they are, and of how many of them a row was stored since `settled_ms`.
    pub(super) async fn count_differing(
        &self,
        rollup: &Rollup,
        slice: &Range<i64>,
        settled_ms: i64,
    ) -> Result<Differing, AuditError> {
        let groups = rollup.differing_groups(self.windows());
        let count = format!(
            "SELECT count() AS groups, countIf(stored_ms >= {{settled:Int64}}) AS unsettled FROM ({groups})"
        );
        let query = self.query(&count, slice).param("settled", settled_ms);
        within("hold a rollup against its rows", query.fetch_one()).await
    }

    /// Computes all windows of `rollup` in `slice` anew.
    pub(super) async fn compute(&self, rollup: &Rollup, slice: &Range<i64>) -> Result<(), AuditError> {
        let query = self.query(&rollup.compute(self.windows()), slice);
        within("compute a rollup", query.execute()).await
    }

    fn windows(&self) -> Windows<'static> {
        Windows::All(self.tenants())
    }

    fn tenants(&self) -> Tenants {
        let Selection { account, gateway, .. } = &self.selection;
        Tenants { of_account: account.is_some(), of_gateway: gateway.is_some() }
    }

    fn query(&self, statement: &str, range: &Range<i64>) -> Query {
        let mut query =
            self.client.query_raw(statement).param("since", range.start).param("until", range.end);
        if let Some(account) = &self.selection.account {
            query = query.param("account_id", account.as_str());
        }
        if let Some(gateway) = &self.selection.gateway {
            query = query.param("gateway_id", gateway.as_str());
        }
        // What nobody waits for any more ends by itself.
        query.with_setting("max_execution_time", STATEMENT_TIMEOUT.as_secs().to_string())
    }
}

async fn within<T>(
    what: &'static str,
    statement: impl Future<Output = Result<T, clickhouse::error::Error>>,
) -> Result<T, AuditError> {
    match tokio::time::timeout(STATEMENT_TIMEOUT, statement).await {
        Ok(answer) => answer.map_err(|source| AuditError::ClickHouse { what, source }),
        Err(_) => Err(AuditError::TimedOut { what }),
    }
}
