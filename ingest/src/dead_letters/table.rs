//! The table `dead_letters`, as its letters are read and deleted.

use std::fmt;

use clickhouse::query::{Query, RowCursor};
use clickhouse::{Client, Row};
use serde::Deserialize;
use weir_service::config::ClickHouseConfig;

use super::error::LettersError;
use super::filter::{Bound, Filter};

pub(super) struct Table {
    client: Client,
}

/// What a letter says of itself, without its record.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub(super) struct Head {
    pub(super) received_at: i64,
    pub(super) account_id: String,
    pub(super) gateway_id: String,
    pub(super) digest: String,
    pub(super) source: String,
    pub(super) batch: String,
    pub(super) position: u64,
    pub(super) reason: String,
    pub(super) settled_as: String,
}

/// A whole letter.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub(super) struct Letter {
    pub(super) received_at: i64,
    pub(super) write_id: u64,
    pub(super) account_id: String,
    pub(super) gateway_id: String,
    pub(super) digest: String,
    pub(super) source: String,
    pub(super) form: String,
    pub(super) batch: String,
    pub(super) position: u64,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) reason: String,
    pub(super) detail: String,
    #[serde(with = "serde_bytes")]
    pub(super) raw: Vec<u8>,
    pub(super) settled_at: Option<i64>,
    pub(super) settled_as: String,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").finish_non_exhaustive()
    }
}

impl Table {
    pub(super) fn new(config: &ClickHouseConfig) -> Self {
        let (url, password) = (config.url.as_str(), config.password.expose());
        Self { client: weir_store::client(url, &config.database, &config.user, password) }
    }

    /// What the letters say of themselves, the latest first, at most `limit`.
    pub(super) async fn heads(&self, filter: &Filter, limit: u64) -> Result<Vec<Head>, LettersError> {
        let query = self.select("SELECT ?fields FROM dead_letters FINAL", filter, LATEST_FIRST).bind(limit);
        query.fetch_all().await.map_err(LettersError::clickhouse("list letters"))
    }

    /// Whole letters, the latest first, at most `limit`.
    pub(super) fn letters(&self, filter: &Filter, limit: u64) -> Result<RowCursor<Letter>, LettersError> {
        let query = self.select("SELECT ?fields FROM dead_letters FINAL", filter, LATEST_FIRST).bind(limit);
        query.fetch().map_err(LettersError::clickhouse("read letters"))
    }

    /// How many letters there are.
    pub(super) async fn count(&self, filter: &Filter) -> Result<u64, LettersError> {
        let query = self.select("SELECT count() FROM dead_letters FINAL", filter, "");
        query.fetch_one().await.map_err(LettersError::clickhouse("count letters"))
    }

    /// Deletes letters that came before a time, with every row of each up to then: an earlier one must not take the
    /// place of the one that counted. A letter that comes again meanwhile stays.
    pub(super) async fn delete(&self, filter: &Filter) -> Result<(), LettersError> {
        const DELETE: &str = "DELETE FROM dead_letters WHERE received_at < fromUnixTimestamp64Milli(?, 'UTC') \
            AND (account_id, gateway_id, digest) IN \
                (SELECT account_id, gateway_id, digest FROM dead_letters FINAL";
        let until = filter.until.expect("a purge has an end").millis();
        let (condition, bounds) = filter.condition();
        let query = self.client.query(&format!("{DELETE} WHERE {condition})")).bind(until);
        bind(query, bounds).execute().await.map_err(LettersError::clickhouse("delete letters"))
    }

    fn select(&self, head: &str, filter: &Filter, tail: &str) -> Query {
        let (condition, bounds) = filter.condition();
        bind(self.client.query(&format!("{head} WHERE {condition} {tail}")), bounds)
    }
}

const LATEST_FIRST: &str = "ORDER BY received_at DESC, batch, position, digest LIMIT ?";

/// Texts are bound, names of columns are our own.
fn bind(query: Query, bounds: Vec<Bound<'_>>) -> Query {
    bounds.into_iter().fold(query, |query, bound| match bound {
        Bound::Text(text) => query.bind(text),
        Bound::Millis(millis) => query.bind(millis),
    })
}

impl Head {
    /// Account and gateway; `-` where it names none.
    pub(super) fn whose(&self) -> String {
        let gateway = if self.gateway_id.is_empty() { "-" } else { &self.gateway_id };
        format!("{}/{gateway}", self.account_id)
    }
}
