//! The API tokens in ClickHouse: their hashes, and what they are for.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use weir_service::auth::TokenDigest;

use super::Identity;
use crate::auth::{Access, KnownToken, Principal, Reach};

/// A row of `api_tokens`. Times are milliseconds since 1970.
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

impl Identity for TokenRow {
    const TABLE: &'static str = "api_tokens";
    const LIVING: &'static str = "revoked_at IS NULL";
    const ORDER: &'static str = "created_at, id";
    type Known = KnownToken;

    fn label(&self) -> String {
        self.id.clone()
    }

    fn version(&self) -> u64 {
        self.version
    }

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
