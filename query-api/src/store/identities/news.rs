//! What the directories are told: everything, where something changed. They ask every few seconds, and there may be many keys.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use weir_service::config::ClickHouseConfig;

use super::users::is_enabled;
use super::{Fingerprint, Identity, IdentityTable, KeyRow, UserRow, understood};
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
        if is_told(&self.told, self.table.fingerprint().await?) {
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

    /// Those that are somebody's; nothing if they are what this gave last. Of a user who is not known, nothing is.
    pub async fn read(&self) -> Result<Option<Vec<KnownKey>>, StoreError> {
        let (keys, users) = tokio::try_join!(self.keys.fingerprint(), self.users.fingerprint())?;
        if is_told(&self.told, [keys, users]) {
            return Ok(None);
        }
        let (keys, users) = tokio::try_join!(self.keys.living(), self.users.living())?;
        tell(&self.told, [Fingerprint::of(&keys), Fingerprint::of(&users)]);
        Ok(Some(with_owners(&keys, &users)))
    }
}

fn with_owners(keys: &[KeyRow], users: &[UserRow]) -> Vec<KnownKey> {
    let disabled = users.iter().filter(|user| is_enabled(&user.status) == Some(false));
    let disabled: HashSet<_> = disabled.map(|user| (&*user.account_id, &*user.gateway_id, user.id)).collect();
    let known = keys.iter().filter_map(|row| {
        let owner = (&*row.account_id, &*row.gateway_id, row.user_id);
        understood(row).map(|known| KnownKey { is_owner_enabled: !disabled.contains(&owner), ..known })
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
