//! Someone who is known, with what they may do.

use std::fmt;
use std::str::FromStr;

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

/// A text does not say what may be done, or where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAGrant {
    /// Not the name of an [`Access`].
    #[error("a permission is read or write")]
    Access,
    /// Not the name of a [`Role`](super::Role).
    #[error("a role is common, admin or root")]
    Role,
    /// Not [`Tenants`].
    #[error("not an account, nor an account and a gateway with '/' between")]
    Tenants,
    /// A list without anything in it.
    #[error("there is none")]
    Empty,
}

/// What stands for everyone in a list of tenants.
const ALL: &str = "*";

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

impl Access {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Read, Self::Write];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    /// What a list of names allows together.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, NotAGrant> {
        let each: Vec<Self> = names.into_iter().map(str::parse).collect::<Result<_, _>>()?;
        each.into_iter().max().ok_or(NotAGrant::Empty)
    }
}

impl FromStr for Access {
    type Err = NotAGrant;

    fn from_str(name: &str) -> Result<Self, NotAGrant> {
        Self::ALL.into_iter().find(|access| access.as_str() == name).ok_or(NotAGrant::Access)
    }
}

impl FromStr for Tenants {
    type Err = NotAGrant;

    fn from_str(text: &str) -> Result<Self, NotAGrant> {
        let parsed = match text.split_once('/') {
            Some((account_id, gateway_id)) => Scope::parse(account_id, gateway_id).map(Self::Gateway),
            None => text.parse().map(Self::Account),
        };
        parsed.map_err(|_| NotAGrant::Tenants)
    }
}

impl fmt::Display for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(account_id) => account_id.fmt(f),
            Self::Gateway(Scope { account_id, gateway_id }) => write!(f, "{account_id}/{gateway_id}"),
        }
    }
}

impl Reach {
    /// Reads what [`Self::to_texts`] gives.
    pub fn from_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, NotAGrant> {
        let texts: Vec<_> = texts.into_iter().collect();
        match texts.as_slice() {
            [] => Err(NotAGrant::Empty),
            [ALL] => Ok(Self::All),
            parts => parts.iter().map(|part| part.parse()).collect::<Result<_, _>>().map(Self::Only),
        }
    }

    /// A list: `*`, or accounts and `account/gateway`.
    #[must_use]
    pub fn to_texts(&self) -> Vec<String> {
        match self {
            Self::All => vec![ALL.to_owned()],
            Self::Only(parts) => parts.iter().map(ToString::to_string).collect(),
        }
    }

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
    fn a_grant_is_read_from_a_table_or_not_at_all() {
        let check = |texts: &[&str], expected: Option<usize>| {
            let reach = Reach::from_texts(texts.iter().copied());
            let count = reach.as_ref().ok().map(|reach| match reach {
                Reach::All => 0,
                Reach::Only(parts) => parts.len(),
            });
            assert_eq!(count, expected, "{texts:?}");
            if let Ok(reach) = reach {
                assert_eq!(reach.to_texts(), texts);
            }
        };
        check(&["*"], Some(0));
        check(&["acme"], Some(1));
        check(&["acme/chat", "other"], Some(2));
        for bad in [&[][..], &["*", "acme"], &["acme/*"], &["acme/"], &[""], &["a b"], &["acme/chat/x"]] {
            check(bad, None);
        }
        assert_eq!(Access::from_names(["read"]), Ok(Access::Read));
        assert_eq!(Access::from_names(["write", "read"]), Ok(Access::Write));
        assert_eq!(Access::from_names(["read", "admin"]), Err(NotAGrant::Access));
        assert_eq!(Access::from_names([]), Err(NotAGrant::Empty));
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
