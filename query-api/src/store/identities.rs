//! The tables of those who may ask: API tokens, users, relay keys. Of what each shows there is a hash.

mod keys;
mod news;
mod tokens;
mod users;

use std::marker::PhantomData;

use clickhouse::{Client, RowOwned, RowRead, RowWrite};
use weir_service::config::ClickHouseConfig;

use super::error::StoreError;
use crate::auth::Entry;

pub use keys::KeyRow;
pub use news::{KeyNews, News};
pub use tokens::TokenRow;
pub use users::UserRow;

/// A row of such a table. A change is a newer version of the whole.
pub trait Identity: RowOwned + RowRead + RowWrite + Send + Sync {
    /// The table.
    const TABLE: &'static str;
    /// A condition for those rows of it that are somebody, as SQL.
    const LIVING: &'static str;
    /// What it is listed by, as SQL.
    const ORDER: &'static str;
    /// What the directory knows of it.
    type Known: Entry;

    /// What logs call it.
    fn label(&self) -> String;

    /// The later one of a row is in force.
    fn version(&self) -> u64;

    /// What the directory is to know; nothing where it cannot be understood: what it may do is not guessed.
    fn known(&self) -> Option<Self::Known>;
}

/// One of the tables. Clones share connections.
pub struct IdentityTable<R> {
    client: Client,
    rows: PhantomData<fn() -> R>,
}

/// What rows are known by without being read. A change has a later version than all that there are, so it makes another one of
/// it. It is taken of what was read, and not asked for beside it: another replica may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fingerprint {
    rows: u64,
    versions: u64,
}

/// Which rows of such a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    /// [`IdentityTable::living`].
    Living,
    /// [`IdentityTable::all`].
    All,
}

impl<R: Identity> IdentityTable<R> {
    /// Prepares a client; nothing is connected yet.
    #[must_use]
    pub fn new(config: &ClickHouseConfig) -> Self {
        let (url, password) = (config.url.as_str(), config.password.expose());
        Self { client: weir_store::client(url, &config.database, &config.user, password), rows: PhantomData }
    }

    /// The rows of those that are somebody, in their order.
    pub async fn living(&self) -> Result<Vec<R>, StoreError> {
        self.read(&format!("WHERE {}", R::LIVING)).await
    }

    /// All rows, also of those that are nobody any more, in their order.
    pub async fn all(&self) -> Result<Vec<R>, StoreError> {
        self.read("").await
    }

    /// Writes rows, in place of those of the same key with an earlier version.
    pub async fn put<'r>(&self, rows: impl IntoIterator<Item = &'r R>) -> Result<(), StoreError>
    where
        R: 'r,
    {
        let mut insert = self.client.insert::<R>(R::TABLE).await?;
        for row in rows {
            insert.write(row).await?;
        }
        Ok(insert.end().await?)
    }

    /// The fingerprint of these, for less than to read them.
    async fn fingerprint(&self, which: Which) -> Result<Fingerprint, StoreError> {
        let condition = match which {
            Which::Living => format!("WHERE {}", R::LIVING),
            Which::All => String::new(),
        };
        let statement = format!("SELECT count(), sum(version) FROM {} FINAL {condition}", R::TABLE);
        let (rows, versions) = self.client.query(&statement).fetch_one().await?;
        Ok(Fingerprint { rows, versions })
    }

    async fn read(&self, condition: &str) -> Result<Vec<R>, StoreError> {
        let statement = format!("SELECT ?fields FROM {} FINAL {condition} ORDER BY {}", R::TABLE, R::ORDER);
        Ok(self.client.query(&statement).fetch_all().await?)
    }
}

impl Fingerprint {
    fn of<R: Identity>(rows: &[R]) -> Self {
        // As ClickHouse adds up.
        let versions = rows.iter().fold(0_u64, |sum, row| sum.wrapping_add(row.version()));
        Self { rows: rows.len() as u64, versions }
    }
}

fn understood<R: Identity>(row: &R) -> Option<R::Known> {
    let known = row.known();
    if known.is_none() {
        tracing::warn!(table = R::TABLE, id = row.label(), "a row cannot be understood");
    }
    known
}

impl<R> Clone for IdentityTable<R> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), rows: PhantomData }
    }
}
