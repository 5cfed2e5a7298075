//! Someone who is known, with what they may do.

use weir_event::{AccountId, Scope};

use super::place::{Forbidden, Place, Readable, Writable};

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    label: String,
    access: Access,
    reach: Reach,
}

/// What may be done with what was logged. Who may write may read too: Cloudflare's operations that read take either of
/// its two permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// To see it.
    Read,
    /// To see and to change it.
    Write,
}

/// Whose logs a principal may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everyone's.
    All,
    /// Those of these; of nobody if there are none.
    Only(Vec<Tenants>),
}

/// A part of all tenants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenants {
    /// An account with all its gateways.
    Account(AccountId),
    /// A gateway.
    Gateway(Scope),
}

impl Principal {
    /// `label` is fit for logs.
    #[must_use]
    pub fn new(label: impl Into<String>, access: Access, reach: Reach) -> Self {
        Self { label: label.into(), access, reach }
    }

    /// Who runs Weir, and may do everything.
    #[must_use]
    pub fn operator(label: impl Into<String>) -> Self {
        Self::new(label, Access::Write, Reach::All)
    }

    /// What logs call it.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The place, to be read.
    pub fn may_read<P: Place>(&self, place: P) -> Result<Readable<P>, Forbidden> {
        if self.reach.has(&place) { Ok(Readable::grant(place)) } else { Err(Forbidden::Place) }
    }

    /// The place, to be changed.
    pub fn may_write<P: Place>(&self, place: P) -> Result<Writable<P>, Forbidden> {
        let place = self.may_read(place)?;
        if self.access >= Access::Write { Ok(Writable::grant(place)) } else { Err(Forbidden::Access) }
    }
}

impl Reach {
    fn has(&self, place: &impl Place) -> bool {
        match self {
            Self::All => true,
            Self::Only(parts) => parts.iter().any(|part| place.is_within(part)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::AllTenants;

    fn scope(account: &str, gateway: &str) -> Scope {
        Scope::parse(account, gateway).unwrap()
    }

    fn reader(parts: Vec<Tenants>) -> Principal {
        Principal::new("reader", Access::Read, Reach::Only(parts))
    }

    fn check(principal: &Principal, expected: [bool; 5]) {
        let account = |name: &str| name.parse::<AccountId>().unwrap();
        let found = [
            principal.may_read(scope("acme", "chat")).is_ok(),
            principal.may_read(scope("acme", "other")).is_ok(),
            principal.may_read(scope("other", "chat")).is_ok(),
            principal.may_read(account("acme")).is_ok(),
            principal.may_read(AllTenants).is_ok(),
        ];
        assert_eq!(found, expected, "{principal:?}");
    }

    #[test]
    fn a_principal_reaches_what_it_was_given_and_nothing_beside_it() {
        let account = || Tenants::Account("acme".parse().unwrap());
        let gateway = |account, name| Tenants::Gateway(scope(account, name));
        check(&Principal::operator("me"), [true; 5]);
        check(&reader(Vec::new()), [false; 5]);
        check(&reader(vec![gateway("acme", "chat")]), [true, false, false, false, false]);
        check(&reader(vec![account()]), [true, true, false, true, false]);
        check(&reader(vec![account(), gateway("other", "chat")]), [true, true, true, true, false]);
        // Every gateway by name is still not the account, which gets new ones.
        check(
            &reader(vec![gateway("acme", "chat"), gateway("acme", "other")]),
            [true, true, false, false, false],
        );
    }

    #[test]
    fn who_may_write_may_read_and_not_the_other_way() {
        let may = |access, account| {
            let parts = vec![Tenants::Account("acme".parse().unwrap())];
            let principal = Principal::new("x", access, Reach::Only(parts));
            let place = scope(account, "chat");
            (principal.may_read(place.clone()).err(), principal.may_write(place).err())
        };
        assert_eq!(may(Access::Read, "acme"), (None, Some(Forbidden::Access)));
        assert_eq!(may(Access::Write, "acme"), (None, None));
        assert_eq!(may(Access::Write, "other"), (Some(Forbidden::Place), Some(Forbidden::Place)));
    }
}
