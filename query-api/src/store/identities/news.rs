//! What the directories are told: everything, where something changed. They ask every few seconds, and there may be many keys.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use weir_service::config::ClickHouseConfig;

use super::users::is_enabled;
use super::{Fingerprint, Identity, IdentityTable, KeyRow, UserRow, Which, understood};
use crate::auth::KnownKey;
use crate::store::StoreError;

/// A table whose rows were told before.
pub struct News<R> {
    table: IdentityTable<R>,
    told: Mutex<Option<Fingerprint>>,
}

/// The relay keys, with what the users say of those whose they are.
pub struct KeyNews {
    keys: IdentityTable<KeyRow>,
    users: IdentityTable<UserRow>,
    told: Mutex<Option<[Fingerprint; 2]>>,
}

impl<R: Identity> News<R> {
    /// Nothing was told yet.
    #[must_use]
    pub fn new(config: &ClickHouseConfig) -> Self {
        Self { table: IdentityTable::new(config), told: Mutex::default() }
    }

    /// Those that are somebody; nothing if they are what this gave last.
    pub async fn read(&self) -> Result<Option<Vec<R::Known>>, StoreError> {
        if is_told(&self.told, self.table.fingerprint(Which::Living).await?) {
            return Ok(None);
        }
        let rows = self.table.living().await?;
        tell(&self.told, Fingerprint::of(&rows));
        Ok(Some(rows.iter().filter_map(understood).collect()))
    }
}

impl KeyNews {
    /// Nothing was told yet.
    #[must_use]
    pub fn new(config: &ClickHouseConfig) -> Self {
        Self { keys: IdentityTable::new(config), users: IdentityTable::new(config), told: Mutex::default() }
    }

    /// Those that are somebody's; nothing if they are what this gave last. A user who was never known keeps nobody out; one
    /// who was removed does.
    pub async fn read(&self) -> Result<Option<Vec<KnownKey>>, StoreError> {
        let (keys, users) =
            tokio::try_join!(self.keys.fingerprint(Which::Living), self.users.fingerprint(Which::All))?;
        if is_told(&self.told, [keys, users]) {
            return Ok(None);
        }
        let (keys, users) = tokio::try_join!(self.keys.living(), self.users.all())?;
        tell(&self.told, [Fingerprint::of(&keys), Fingerprint::of(&users)]);
        Ok(Some(with_owners(&keys, &users)))
    }
}

fn with_owners(keys: &[KeyRow], users: &[UserRow]) -> Vec<KnownKey> {
    let out = users.iter().filter(|user| is_enabled(&user.status) != Some(true));
    let out: HashSet<_> = out.map(|user| (&*user.account_id, &*user.gateway_id, user.id)).collect();
    let known = keys.iter().filter_map(|row| {
        let owner = (&*row.account_id, &*row.gateway_id, row.user_id);
        understood(row).map(|known| KnownKey { is_owner_enabled: !out.contains(&owner), ..known })
    });
    known.collect()
}

// A value is whole at every unlock, so a panic elsewhere does not spoil it.

fn is_told<T: PartialEq>(told: &Mutex<Option<T>>, news: T) -> bool {
    *told.lock().unwrap_or_else(PoisonError::into_inner) == Some(news)
}

fn tell<T>(told: &Mutex<Option<T>>, news: T) {
    *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(news);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_out_with_its_user_and_by_nobody_elses() {
        let user = |id, status: &str| UserRow {
            account_id: "acc".to_owned(),
            gateway_id: "gw".to_owned(),
            id,
            name: format!("user {id}"),
            role: "common".to_owned(),
            group: String::new(),
            status: status.to_owned(),
            sha256: String::new(),
            display: String::new(),
            created_at: 0,
            version: 1,
        };
        let key = |user_id| KeyRow {
            sha256: "ab".repeat(32),
            display: String::new(),
            account_id: "acc".to_owned(),
            gateway_id: "gw".to_owned(),
            token_id: 1,
            name: "key".to_owned(),
            user_id,
            status: "enabled".to_owned(),
            expires_at: None,
            granted_quota: None,
            used_before: 0,
            counted_from: None,
            created_at: 0,
            version: 1,
        };
        let of_another = UserRow { gateway_id: "other".to_owned(), ..user(1, "disabled") };
        let users =
            [user(1, "enabled"), user(2, "disabled"), user(3, "removed"), user(4, "unheard-of"), of_another];
        let keys = [key(1), key(2), key(3), key(4), key(5), key(0)];
        let let_in: Vec<_> = with_owners(&keys, &users).iter().map(|known| known.is_owner_enabled).collect();
        assert_eq!(let_in, [true, false, false, false, true, true]);
    }
}
