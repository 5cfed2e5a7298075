//! The table `dead_letters`, as its letters are read and deleted.

use std::fmt;

use clickhouse::query::{Query, RowCursor};
use clickhouse::{Client, Row};
use serde::Deserialize;
use weir_service::config::ClickHouseConfig;

use super::error::LettersError;
use super::filter::{Bound, Filter};

/// Letters that are read together, and how much of their records: exceeded by one.
const PAGE_LETTERS_MAX: usize = 500;
const PAGE_BYTES_MAX: usize = 16 << 20;

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

/// What a letter is known by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Name {
    account_id: String,
    gateway_id: String,
    digest: String,
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

    /// The letters after `last`, in an order of their own: some at a time, so that nobody has to hold them all.
    pub(super) async fn page(&self, filter: &Filter, last: &Name) -> Result<Vec<Letter>, LettersError> {
        // In these words the primary key is looked at; comparing tuples would read everything for every page (26.7).
        const AFTER: &str = "AND account_id >= ? AND (account_id > ? OR gateway_id > ? OR (gateway_id = ? AND digest > ?)) \
            ORDER BY account_id, gateway_id, digest LIMIT ?";
        let failed = || LettersError::clickhouse("read letters");
        let query = self.select("SELECT ?fields FROM dead_letters FINAL", filter, AFTER);
        let Name { account_id, gateway_id, digest } = last;
        let names = [account_id, account_id, gateway_id, gateway_id, digest];
        let query = names.into_iter().fold(query, Query::bind).bind(PAGE_LETTERS_MAX as u64);
        // What the server has in hand at once.
        let mut letters = query.with_setting("max_block_size", "64").fetch::<Letter>().map_err(failed())?;
        let (mut page, mut bytes) = (Vec::new(), 0);
        while bytes < PAGE_BYTES_MAX {
            let Some(letter) = letters.next().await.map_err(failed())? else { break };
            bytes += letter.raw.len();
            page.push(letter);
        }
        Ok(page)
    }

    /// Says of letters that they are dealt with: a newer row of each, which keeps when it came. One that came again
    /// meanwhile is another, and stays.
    pub(super) async fn settle(
        &self,
        letters: &[&Letter],
        settled_as: &str,
        at_ms: i64,
    ) -> Result<(), LettersError> {
        const COLUMNS: &str = "received_at, write_id, account_id, gateway_id, digest, source, form, batch, position, \
            attributes, reason, detail, raw";
        if letters.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = letters
            .iter()
            .map(|letter| (&*letter.account_id, &*letter.gateway_id, &*letter.digest, letter.write_id))
            .collect();
        let settle = format!(
            "INSERT INTO dead_letters ({COLUMNS}, settled_at, settled_as) \
             SELECT {COLUMNS}, fromUnixTimestamp64Milli(?, 'UTC'), ? FROM dead_letters FINAL \
             WHERE (account_id, gateway_id, digest, write_id) IN ? AND settled_at IS NULL"
        );
        let query = self.client.query(&settle).bind(at_ms).bind(settled_as).bind(names);
        query.execute().await.map_err(LettersError::clickhouse("settle letters"))
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

impl Letter {
    pub(super) fn name(&self) -> Name {
        Name {
            account_id: self.account_id.clone(),
            gateway_id: self.gateway_id.clone(),
            digest: self.digest.clone(),
        }
    }
}

impl Head {
    /// Account and gateway; `-` where it names none.
    pub(super) fn whose(&self) -> String {
        let gateway = if self.gateway_id.is_empty() { "-" } else { &self.gateway_id };
        format!("{}/{gateway}", self.account_id)
    }
}
