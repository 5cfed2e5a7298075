//! What a caller may read or change. Only a [`Principal`](super::Principal), a [`User`](super::User) and a
//! [`KnownKey`](super::KnownKey) give these out.

use std::ops::Deref;

use weir_event::{AccountId, Scope};
use weir_service::auth::TokenDigest;

use super::principal::Tenants;

/// Whose something is.
pub trait Place {
    /// Whether all of it belongs to `tenants`.
    fn is_within(&self, tenants: &Tenants) -> bool;
}

/// Everyone, at once: what cannot be told apart by tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllTenants;

/// What a user did in a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnLogs {
    pub(super) scope: Scope,
    pub(super) user_id: i64,
    pub(super) user_name: String,
}

/// What a relay key was used for in a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLogs {
    pub(super) scope: Scope,
    pub(super) token_hashes: [TokenDigest; 2],
    pub(super) token_id: Option<i64>,
}

/// A place that its caller may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readable<P>(P);

/// A place that its caller may change, and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writable<P>(Readable<P>);

/// What a known caller may not do: an HTTP 403. It is the same whether there is anything in the place or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Ask for a place.
    #[error("caller may not ask for this account and gateway")]
    Place,
    /// Change what is there.
    #[error("caller may read and not write")]
    Access,
}

impl Place for Scope {
    fn is_within(&self, tenants: &Tenants) -> bool {
        match tenants {
            Tenants::Account(account_id) => self.account_id == *account_id,
            Tenants::Gateway(scope) => self == scope,
        }
    }
}

/// An account with all its gateways.
impl Place for AccountId {
    fn is_within(&self, tenants: &Tenants) -> bool {
        match tenants {
            Tenants::Account(account_id) => self == account_id,
            Tenants::Gateway(_) => false,
        }
    }
}

impl Place for AllTenants {
    fn is_within(&self, _tenants: &Tenants) -> bool {
        false
    }
}

impl OwnLogs {
    /// The tenant.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The user's number: what rows have as `user_id`, in decimal.
    #[must_use]
    pub const fn user_id(&self) -> i64 {
        self.user_id
    }

    /// The user's name: what rows have as `user_name`, as far as it is not another one by now.
    #[must_use]
    pub fn user_name(&self) -> &str {
        &self.user_name
    }
}

impl KeyLogs {
    /// The tenant.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What rows may have as `token_hash`: SHA-256 of the key without and with `sk-` before it.
    #[must_use]
    pub const fn token_hashes(&self) -> &[TokenDigest; 2] {
        &self.token_hashes
    }

    /// What rows may have as `token_id`, in decimal: 1 and up, or nothing that rows could have.
    #[must_use]
    pub const fn token_id(&self) -> Option<i64> {
        self.token_id
    }
}

impl<P> Readable<P> {
    pub(super) const fn grant(place: P) -> Self {
        Self(place)
    }
}

impl<P> Writable<P> {
    pub(super) const fn grant(place: Readable<P>) -> Self {
        Self(place)
    }
}

impl<P> Deref for Readable<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.0
    }
}

impl<P> Deref for Writable<P> {
    type Target = Readable<P>;

    fn deref(&self) -> &Readable<P> {
        &self.0
    }
}
