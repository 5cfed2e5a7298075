//! What a caller may read or change. Only a [`Principal`](super::Principal) gives these out.

use std::ops::Deref;

use weir_event::{AccountId, Scope};

use super::principal::Tenants;

/// Whose something is.
pub trait Place {
    /// Whether all of it belongs to `tenants`.
    fn is_within(&self, tenants: &Tenants) -> bool;
}

/// Everyone, at once: what cannot be told apart by tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllTenants;

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
