//! What is asked of ClickHouse.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clickhouse::{Client, Row};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use weir_budget::Budget;
use weir_event::Scope;
use weir_service::telemetry::chain;
use weir_sql::{Steps, Sum, spent_by_step};
use weir_store::deletion::STATEMENT_BYTES_MAX;
use weir_store::{BudgetRow, columns};

use super::error::BudgetsError;

/// How long ClickHouse may work on one answer, and how long it is waited for: no statement goes on that nobody waits for.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(35);
/// Statements at once, of all gateways together.
const STATEMENTS_MAX: usize = 16;

/// Reads budgets, and what was used of them.
#[derive(Clone)]
pub(super) struct Store {
    client: Client,
    turns: Arc<Semaphore>,
}

/// A budget, and since when it has its terms as far as the table says: when it was written last, in epoch milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) budget: Budget,
    pub(super) since_ms: i64,
}

/// What was used within a step of time: one sum for each that was asked for.
#[derive(Debug, Row, Deserialize)]
pub(super) struct SpentStep {
    /// In seconds since 1970.
    pub(super) at_s: i64,
    pub(super) sums: Vec<i128>,
}

impl Store {
    pub(super) fn new(client: Client) -> Self {
        let client = client
            .with_setting("max_execution_time", STATEMENT_TIMEOUT.as_secs().to_string())
            .with_setting("max_query_size", STATEMENT_BYTES_MAX.to_string());
        Self { client, turns: Arc::new(Semaphore::new(STATEMENTS_MAX)) }
    }

    /// What the table is: another number after every change of it, and maybe also after none. It reads one column, so it may
    /// be asked often.
    pub(super) async fn edition(&self) -> Result<u64, BudgetsError> {
        // Every change is a row with a version of its own.
        let statement = "SELECT sum(sipHash64(version)) FROM budgets";
        in_time(self.client.query_raw(statement).fetch_one()).await
    }

    /// All that are to be looked at. One that this program does not understand is left out.
    pub(super) async fn budgets(&self) -> Result<Vec<Agreed>, BudgetsError> {
        let columns = columns::<BudgetRow>();
        let statement = format!(
            "SELECT {columns}, toUnixTimestamp64Milli(version) AS since_ms FROM budgets FINAL WHERE NOT deleted AND enabled"
        );
        let rows = in_time(self.client.query_raw(&statement).fetch_all::<(BudgetRow, i64)>()).await?;
        let read = |(row, since_ms): &(BudgetRow, i64)| {
            let budget = Budget::from_row(row);
            let budget = budget.inspect_err(|error| {
                tracing::debug!(budget = row.id, error = chain(error), "a budget is left out");
            });
            budget.ok().map(|budget| Agreed { budget, since_ms: *since_ms })
        };
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Sums of a gateway by step.
    pub(super) async fn spent(
        &self,
        scope: &Scope,
        sums: &[Sum<'_>],
        steps: Steps<'_>,
    ) -> Result<Vec<SpentStep>, BudgetsError> {
        let query = spent_by_step(scope, sums, steps).query(&self.client);
        // It is never closed.
        let _turn = self.turns.acquire().await;
        in_time(query.fetch_all()).await
    }
}

async fn in_time<T>(
    answer: impl Future<Output = Result<T, clickhouse::error::Error>>,
) -> Result<T, BudgetsError> {
    timeout(TIMEOUT, answer).await.map_err(|_| BudgetsError::TimedOut)?.map_err(BudgetsError::Store)
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client knows a password.
        f.write_str("Store")
    }
}
