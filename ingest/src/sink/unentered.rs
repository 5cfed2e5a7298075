//! What became of records that no write has entered in the ledger yet: there was nothing to store of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Encoded;
use super::group::{Account, Accounts};

/// Waits for the next write to be entered with. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Unentered(Arc<Mutex<Accounts>>);

impl Unentered {
    /// Adds what became of records of a batch.
    pub(super) fn add(&self, batch: &Encoded, account: Account) {
        let source = (batch.source(), batch.account_id().clone());
        self.give_back(Accounts::from([(source, account)]));
    }

    /// All of it, for a write to enter.
    pub(super) fn take(&self) -> Accounts {
        std::mem::take(&mut *self.lock())
    }

    /// What was taken, and not entered.
    pub(super) fn give_back(&self, accounts: Accounts) {
        let mut unentered = self.lock();
        for (source, account) in accounts {
            unentered.entry(source).or_default().add(account);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Accounts> {
        // Counts are whole between two additions.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
