//! A user of a new-api installation, with what they may see of it. An installation is one tenant here.

use std::str::FromStr;

use weir_event::Scope;
use weir_service::auth::TokenDigest;

use super::directory::Entry;
use super::place::{Forbidden, OwnLogs, Readable, Writable};
use super::principal::NotAGrant;

/// Who is asking, in new-api's terms. Each belongs to one tenant, and reaches nothing of any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    id: i64,
    name: String,
    role: Role,
    scope: Scope,
}

/// What a user is. Who is more may do all that who is less may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sees their own logs.
    Common,
    /// Sees those of everyone in the tenant.
    Admin,
    /// Who runs the installation.
    Root,
}

/// A user as the directory has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownUser {
    /// The SHA-256 of their access token.
    pub digest: TokenDigest,
    /// Who they are.
    pub user: User,
    /// Their group, for clients that show it.
    pub group: String,
    /// Whether they may come in.
    pub is_enabled: bool,
}

impl User {
    /// `id` and `name` are what new-api's rows have as `user_id` and `username`.
    #[must_use]
    pub fn new(id: i64, name: impl Into<String>, role: Role, scope: Scope) -> Self {
        Self { id, name: name.into(), role, scope }
    }

    /// Their number in the tenant.
    #[must_use]
    pub const fn id(&self) -> i64 {
        self.id
    }

    /// Their name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What they are.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// What logs call them: tenant and number.
    #[must_use]
    pub fn label(&self) -> String {
        let Scope { account_id, gateway_id } = &self.scope;
        format!("{account_id}/{gateway_id}/{}", self.id)
    }

    /// All logs of their tenant, for admins.
    pub fn may_read(&self) -> Result<Readable<Scope>, Forbidden> {
        if self.role >= Role::Admin { Ok(Readable::grant(self.scope.clone())) } else { Err(Forbidden::Place) }
    }

    /// All logs of their tenant, to be deleted: for who is at least `least`, and an admin.
    pub fn may_write(&self, least: Role) -> Result<Writable<Scope>, Forbidden> {
        let place = self.may_read()?;
        if self.role >= least { Ok(Writable::grant(place)) } else { Err(Forbidden::Access) }
    }

    /// Their own logs.
    #[must_use]
    pub fn own_logs(&self) -> Readable<OwnLogs> {
        Readable::grant(OwnLogs { scope: self.scope.clone(), user_id: self.id, user_name: self.name.clone() })
    }
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Common, Self::Admin, Self::Root];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Common => "common",
            Self::Admin => "admin",
            Self::Root => "root",
        }
    }

    /// Its number, as clients of new-api know it.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Common => 1,
            Self::Admin => 10,
            Self::Root => 100,
        }
    }
}

impl FromStr for Role {
    type Err = NotAGrant;

    fn from_str(name: &str) -> Result<Self, NotAGrant> {
        Self::ALL.into_iter().find(|role| role.as_str() == name).ok_or(NotAGrant::Role)
    }
}

impl Entry for KnownUser {
    const KIND: &'static str = "users";

    fn digest(&self) -> TokenDigest {
        self.digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(role: Role) -> User {
        User::new(7, "alice", role, Scope::parse("acc", "gw").unwrap())
    }

    #[test]
    fn each_role_reaches_what_it_may_and_no_other_tenant() {
        let check = |role, least, expected: (Option<Forbidden>, Option<Forbidden>)| {
            let user = user(role);
            assert_eq!((user.may_read().err(), user.may_write(least).err()), expected, "{role:?} {least:?}");
            if let Ok(place) = user.may_write(least) {
                assert_eq!(**place, Scope::parse("acc", "gw").unwrap());
            }
        };
        let nothing = (Some(Forbidden::Place), Some(Forbidden::Place));
        // However little is asked for, a common user deletes nothing.
        check(Role::Common, Role::Common, nothing);
        check(Role::Common, Role::Admin, nothing);
        check(Role::Admin, Role::Admin, (None, None));
        check(Role::Admin, Role::Root, (None, Some(Forbidden::Access)));
        check(Role::Root, Role::Root, (None, None));
    }

    #[test]
    fn everyone_reaches_their_own_logs_and_these_say_whose_they_are() {
        for role in Role::ALL {
            let own = user(role).own_logs();
            assert_eq!((own.user_id(), own.user_name()), (7, "alice"));
            assert_eq!(*own.scope(), Scope::parse("acc", "gw").unwrap());
        }
        assert_eq!(user(Role::Root).label(), "acc/gw/7");
    }

    #[test]
    fn roles_have_the_names_and_numbers_that_clients_know() {
        for (role, name, number) in
            [(Role::Common, "common", 1), (Role::Admin, "admin", 10), (Role::Root, "root", 100)]
        {
            assert_eq!((role.as_str(), role.number(), name.parse()), (name, number, Ok(role)));
        }
        assert_eq!("guest".parse::<Role>(), Err(NotAGrant::Role));
    }
}
