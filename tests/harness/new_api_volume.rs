//! Millions of rows of new-api's log for benchmarks, made inside ClickHouse.

use clickhouse::Client;
use weir_event::Scope;

use crate::volume::slices;

const ROWS: &str = include_str!("volume/new_api.sql");

/// How many rows, and until when.
#[derive(Clone, Copy, Debug)]
pub struct NewApiVolume {
    /// Rows of `logs`, all of one installation.
    pub rows: u64,
    /// The days that they spread over.
    pub days: u32,
    /// When the last one ends, in epoch milliseconds.
    pub until_ms: i64,
}

impl NewApiVolume {
    /// The gateway that is the installation.
    #[must_use]
    pub fn scope() -> Scope {
        Scope { account_id: "acme".parse().unwrap(), gateway_id: "new-api".parse().unwrap() }
    }

    /// Writes all rows in the order of their time, as they would have come.
    pub async fn fill(&self, client: &Client) {
        let Scope { account_id, gateway_id } = Self::scope();
        for (first, count) in slices(self.rows) {
            let insert = client
                .query_raw(ROWS)
                .param("account_id", account_id.as_str())
                .param("gateway_id", gateway_id.as_str())
                .param("seed", 1)
                .param("rows", self.rows)
                .param("days", self.days)
                .param("until_ms", self.until_ms)
                .param("first", first)
                .param("count", count);
            insert.execute().await.unwrap();
        }
    }
}
