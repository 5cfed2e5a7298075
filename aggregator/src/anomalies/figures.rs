//! What API tokens came to, from the rollup of minutes.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use clickhouse::{Client, Row};
use serde::Deserialize;
use tokio::time::timeout;
use weir_budget::Amount;

use crate::budgets::BudgetsError;

/// How long ClickHouse may work on an answer, and how long it is waited for: no statement goes on that nobody waits for.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(110);
const TIMEOUT: Duration = Duration::from_mins(2);

const READ: &str = "SELECT account_id, gateway_id, token, toInt64(toUnixTimestamp(min(minute))) AS first_s, \
    sum(requests) AS calls, sum(errors) AS failed, sum(cost) AS spent FROM usage_1m FINAL \
    WHERE minute >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') \
    AND minute < fromUnixTimestamp64Milli({until:Int64}, 'UTC') AND requests > 0 \
    GROUP BY account_id, gateway_id, token";

/// An API token of a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Token {
    pub(super) account_id: String,
    pub(super) gateway_id: String,
    pub(super) name: String,
}

/// What it came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// The first minute with a call, in epoch milliseconds.
    pub(super) first_ms: i64,
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) cost: Amount,
}

#[derive(Row, Deserialize)]
struct FiguresRow {
    account_id: String,
    gateway_id: String,
    token: String,
    first_s: i64,
    calls: u64,
    failed: u64,
    spent: i128,
}

/// What every token came to in the minutes that begin within a time, in epoch milliseconds.
pub(super) async fn read(client: &Client, time: Range<i64>) -> Result<HashMap<Token, Figures>, BudgetsError> {
    let query = client.query_raw(READ).param("from", time.start).param("until", time.end);
    let query = query.with_setting("max_execution_time", STATEMENT_TIMEOUT.as_secs().to_string());
    let rows = timeout(TIMEOUT, query.fetch_all::<FiguresRow>()).await.map_err(|_| BudgetsError::TimedOut)?;
    let rows = rows.map_err(BudgetsError::Store)?.into_iter();
    let figures = rows.map(|row| {
        let FiguresRow { account_id, gateway_id, token, first_s, calls, failed, spent } = row;
        let figures = Figures {
            first_ms: first_s * 1_000,
            requests: calls,
            errors: failed,
            cost: Amount::from_units(spent),
        };
        (Token { account_id, gateway_id, name: token }, figures)
    });
    Ok(figures.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_clickhouse::{FakeClickHouse, Reply};

    #[tokio::test]
    async fn no_statement_goes_on_that_nobody_waits_for() {
        let clickhouse = FakeClickHouse::start(|_| Reply::Refused).await;
        read(&clickhouse.client(), 0..1).await.unwrap_err();
        let asked = clickhouse.asked();
        assert!(asked.len() == 1 && asked[0].contains("max_execution_time=110"), "{asked:?}");
        assert!(STATEMENT_TIMEOUT < TIMEOUT);
    }
}
