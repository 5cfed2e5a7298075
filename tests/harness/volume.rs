//! Millions of log rows for benchmarks, made inside ClickHouse in a minute or two.
//!
//! The rows of a seed are the same in every run. They are skewed as traffic is: one gateway has a third of them, and the
//! other gateways, models and tokens are as frequent as words are. A token uses three models and has five users. Ids are event
//! ids, with the time in front.

use clickhouse::Client;
use weir_event::Scope;

const LOGS: &str = include_str!("volume/logs.sql");
const BODIES: &str = include_str!("volume/bodies.sql");
/// Rows of one insert: ClickHouse cuts longer ones itself.
const SLICE: u64 = 500_000;
/// Where the rows' time ends if nothing else is said: fixed, so that a day's rows are the same whenever a benchmark runs.
const UNTIL_MS: i64 = 1_763_683_200_000;

/// How many rows, and which.
#[derive(Clone, Copy, Debug)]
pub struct Volume {
    /// Rows of `logs`.
    pub rows: u64,
    /// The days that they spread over.
    pub days: u32,
    /// The end of these days, in milliseconds since 1970.
    pub until_ms: i64,
    /// What all that looks random is made of.
    pub seed: u64,
    /// One row in so many has bodies.
    pub bodies_every: u64,
}

/// The first row and the number of rows of each insert.
pub(crate) fn slices(rows: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..rows.div_ceil(SLICE)).map(move |slice| (slice * SLICE, SLICE.min(rows - slice * SLICE)))
}

impl Volume {
    /// So many rows within 45 days, with bodies for one in 50.
    #[must_use]
    pub const fn of(rows: u64) -> Self {
        Self { rows, days: 45, until_ms: UNTIL_MS, seed: 1, bodies_every: 50 }
    }

    /// The gateway that has a third of the rows.
    #[must_use]
    pub fn big_gateway() -> Scope {
        Scope { account_id: "acme".parse().unwrap(), gateway_id: "main".parse().unwrap() }
    }

    /// One that has a twentieth.
    #[must_use]
    pub fn small_gateway() -> Scope {
        Scope { account_id: "account-2".parse().unwrap(), gateway_id: "gateway-2".parse().unwrap() }
    }

    /// Writes all rows in the order of their time, as they would have come, and then the bodies.
    pub async fn fill(&self, client: &Client) {
        for (first, count) in slices(self.rows) {
            self.insert(client, first, count).await;
        }
        let insert = client.query_raw(BODIES).param("every", self.bodies_every);
        insert.execute().await.unwrap();
    }

    /// Writes `count` rows from row `first` on. Those behind the last are of the time after it.
    pub async fn insert(&self, client: &Client, first: u64, count: u64) {
        let insert = client
            .query_raw(LOGS)
            .param("seed", self.seed)
            .param("rows", self.rows)
            .param("days", self.days)
            .param("until_ms", self.until_ms)
            .param("first", first)
            .param("count", count);
        insert.execute().await.unwrap();
    }
}
