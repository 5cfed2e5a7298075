//! The API tokens in ClickHouse: their hashes, and what they are for.

use clickhouse::{Client, Row};
use serde::{Deserialize, Serialize};
use weir_service::auth::TokenDigest;
use weir_service::config::ClickHouseConfig;

use super::error::StoreError;
use crate::auth::{Access, KnownToken, Principal, Reach};

/// The table `api_tokens`. Clones share connections.
#[derive(Clone)]
pub struct TokenTable {
    client: Client,
}

/// A row of it. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns are described in the migration")]
pub struct TokenRow {
    pub id: String,
    pub sha256: String,
    pub display: String,
    pub name: String,
    pub permissions: Vec<String>,
    pub tenants: Vec<String>,
    pub email: String,
    pub created_at: i64,
    pub expires_at: Option<i64>,
    pub revoked_at: Option<i64>,
    pub version: u64,
}

impl TokenTable {
    /// Prepares a client; nothing is connected yet.
    #[must_use]
    pub fn new(config: &ClickHouseConfig) -> Self {
        let (url, password) = (config.url.as_str(), config.password.expose());
        Self { client: weir_store::client(url, &config.database, &config.user, password) }
    }

    /// The tokens that were not revoked. One whose row cannot be understood is nobody's: what it may do is not guessed.
    pub async fn good(&self) -> Result<Vec<KnownToken>, StoreError> {
        let rows = self.client.query("SELECT ?fields FROM api_tokens FINAL WHERE revoked_at IS NULL");
        let rows = rows.fetch_all::<TokenRow>().await?;
        let known = rows.iter().filter_map(|row| {
            let known = row.known();
            if known.is_none() {
                tracing::warn!(id = row.id, "the row of an api token cannot be understood");
            }
            known
        });
        Ok(known.collect())
    }

    /// All of them, also those that are no longer good, the oldest first.
    pub async fn all(&self) -> Result<Vec<TokenRow>, StoreError> {
        let rows = self.client.query("SELECT ?fields FROM api_tokens FINAL ORDER BY created_at, id");
        Ok(rows.fetch_all().await?)
    }

    /// The row of a token.
    pub async fn find(&self, id: &str) -> Result<Option<TokenRow>, StoreError> {
        let row = self.client.query("SELECT ?fields FROM api_tokens FINAL WHERE id = ?").bind(id);
        Ok(row.fetch_optional().await?)
    }

    /// Writes a row, in place of those of the same id with an earlier version.
    pub async fn put(&self, row: &TokenRow) -> Result<(), StoreError> {
        let mut insert = self.client.insert::<TokenRow>("api_tokens").await?;
        insert.write(row).await?;
        Ok(insert.end().await?)
    }
}

impl TokenRow {
    fn known(&self) -> Option<KnownToken> {
        let access = Access::from_names(self.permissions.iter().map(String::as_str)).ok()?;
        let reach = Reach::from_texts(self.tenants.iter().map(String::as_str)).ok()?;
        Some(KnownToken {
            digest: TokenDigest::from_hex(&self.sha256).ok()?,
            email: Some(self.email.clone()).filter(|email| !email.is_empty()),
            expires_at_ms: self.expires_at,
            principal: Principal::new(&self.id, access, reach),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_not_understood_lets_nobody_in() {
        let good = TokenRow {
            id: "1".to_owned(),
            sha256: "ab".repeat(32),
            display: String::new(),
            name: String::new(),
            permissions: vec!["read".to_owned()],
            tenants: vec!["acme".to_owned()],
            email: String::new(),
            created_at: 0,
            expires_at: None,
            revoked_at: None,
            version: 1,
        };
        assert!(good.known().is_some_and(|token| token.email.is_none()));
        let texts = |text: &str| vec![text.to_owned()];
        for bad in [
            TokenRow { sha256: "ab".to_owned(), ..good.clone() },
            TokenRow { permissions: texts("admin"), ..good.clone() },
            TokenRow { permissions: Vec::new(), ..good.clone() },
            TokenRow { tenants: Vec::new(), ..good.clone() },
            TokenRow { tenants: texts("acme/*"), ..good.clone() },
        ] {
            assert!(bad.known().is_none(), "{bad:?}");
        }
    }
}
