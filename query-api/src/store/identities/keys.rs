//! The relay keys of new-api installations in ClickHouse: their hashes, and whose they are.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use weir_event::Scope;
use weir_service::auth::TokenDigest;

use super::Identity;
use super::users::is_enabled;
use crate::auth::KnownKey;

/// A row of `relay_keys`. Times are milliseconds since 1970, and numbers are 0 where they are not known.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns are described in the migration")]
pub struct KeyRow {
    pub sha256: String,
    pub display: String,
    pub account_id: String,
    pub gateway_id: String,
    pub token_id: i64,
    pub name: String,
    pub user_id: i64,
    pub status: String,
    pub expires_at: Option<i64>,
    pub granted_quota: Option<i64>,
    pub used_before: i64,
    pub counted_from: Option<i64>,
    pub created_at: i64,
    pub version: u64,
}

impl KeyRow {
    /// How many digits of its hash are what it is called.
    const ID_DIGITS: usize = 16;

    /// What it is called.
    #[must_use]
    pub fn id(&self) -> &str {
        self.sha256.get(..Self::ID_DIGITS).unwrap_or(&self.sha256)
    }
}

impl Identity for KeyRow {
    const TABLE: &'static str = "relay_keys";
    const LIVING: &'static str = "status != 'removed'";
    const ORDER: &'static str = "account_id, gateway_id, token_id, created_at, sha256";
    type Known = KnownKey;

    fn label(&self) -> String {
        self.id().to_owned()
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn known(&self) -> Option<KnownKey> {
        let number = |number| Some(number).filter(|number| *number > 0);
        Some(KnownKey {
            digest: TokenDigest::from_hex(&self.sha256).ok()?,
            scope: Scope::parse(&self.account_id, &self.gateway_id).ok()?,
            token_id: number(self.token_id),
            name: self.name.clone(),
            user_id: number(self.user_id),
            is_enabled: is_enabled(&self.status)?,
            is_owner_enabled: true,
            expires_at_ms: self.expires_at,
            granted_quota: self.granted_quota,
            used_before: self.used_before,
            counted_from_ms: self.counted_from,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_whose_row_is_not_understood_is_nobodys() {
        let good = KeyRow {
            sha256: "ab".repeat(32),
            display: String::new(),
            account_id: "acc".to_owned(),
            gateway_id: "gw".to_owned(),
            token_id: 0,
            name: String::new(),
            user_id: 3,
            status: "disabled".to_owned(),
            expires_at: None,
            granted_quota: None,
            used_before: 0,
            counted_from: None,
            created_at: 0,
            version: 1,
        };
        let known = good.known().unwrap();
        assert_eq!((known.token_id, known.user_id, known.is_enabled), (None, Some(3), false));
        assert_eq!(good.id(), "abababababababab");
        for bad in [
            KeyRow { sha256: "ab".to_owned(), ..good.clone() },
            KeyRow { gateway_id: String::new(), ..good.clone() },
            KeyRow { status: String::new(), ..good.clone() },
        ] {
            assert!(bad.known().is_none(), "{bad:?}");
        }
    }
}
