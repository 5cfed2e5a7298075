//! The users of new-api installations in ClickHouse: who they are, and the hashes of their access tokens.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use weir_event::Scope;
use weir_service::auth::TokenDigest;

use super::Identity;
use crate::auth::{KnownUser, User};

/// A row of `users`. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns are described in the migration")]
pub struct UserRow {
    pub account_id: String,
    pub gateway_id: String,
    pub id: i64,
    pub name: String,
    pub role: String,
    pub group: String,
    pub status: String,
    pub sha256: String,
    pub display: String,
    pub created_at: i64,
    pub version: u64,
}

impl Identity for UserRow {
    const TABLE: &'static str = "users";
    const LIVING: &'static str = "status != 'removed'";
    const ORDER: &'static str = "account_id, gateway_id, id";
    type Known = KnownUser;

    fn label(&self) -> String {
        format!("{}/{}/{}", self.account_id, self.gateway_id, self.id)
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn known(&self) -> Option<KnownUser> {
        let scope = Scope::parse(&self.account_id, &self.gateway_id).ok()?;
        // One without a name would have the logs of all who have none.
        let name = Some(&*self.name).filter(|name| !name.trim().is_empty())?;
        Some(KnownUser {
            digest: TokenDigest::from_hex(&self.sha256).ok()?,
            user: User::new(self.id, name, self.role.parse().ok()?, scope),
            group: self.group.clone(),
            is_enabled: is_enabled(&self.status)?,
        })
    }
}

/// What a status says; nothing where it is none.
pub(super) fn is_enabled(status: &str) -> Option<bool> {
    match status {
        "enabled" => Some(true),
        "disabled" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_whose_row_is_not_understood_is_let_in_nowhere() {
        let good = UserRow {
            account_id: "acc".to_owned(),
            gateway_id: "gw".to_owned(),
            id: 7,
            name: "alice".to_owned(),
            role: "admin".to_owned(),
            group: String::new(),
            status: "enabled".to_owned(),
            sha256: "ab".repeat(32),
            display: String::new(),
            created_at: 0,
            version: 1,
        };
        assert!(good.known().is_some_and(|user| user.is_enabled));
        let disabled = UserRow { status: "disabled".to_owned(), ..good.clone() };
        assert!(disabled.known().is_some_and(|user| !user.is_enabled));
        for bad in [
            UserRow { sha256: String::new(), ..good.clone() },
            UserRow { account_id: "a/b".to_owned(), ..good.clone() },
            UserRow { role: "owner".to_owned(), ..good.clone() },
            UserRow { status: "removed".to_owned(), ..good.clone() },
            UserRow { name: " ".to_owned(), ..good.clone() },
        ] {
            assert!(bad.known().is_none(), "{bad:?}");
        }
    }
}
