//! What is kept of the texts of a gateway.

use weir_event::{AccountId, GatewayId, Scope};
use weir_service::config::{InvalidValue, Value};

use crate::glob::Glob;

/// What is kept of the bodies, and so of all texts; each keeps less than the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// Everything, as it came.
    Store,
    /// Everything but what the rules find.
    Redact,
    /// The same, and of each body only its beginning.
    Heads,
    /// No body.
    None,
}

/// A policy and the gateways that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyEntry {
    account: Glob,
    gateway: Glob,
    policy: Policy,
}

/// The policies of all gateways: the first entry that fits is the gateway's, and [`Policy::Redact`] where none does.
///
/// That is so because bodies are what people wrote, and a bill does not need them: what Weir is for works without a
/// secret in its tables, and who wants them as they came says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies(Vec<PolicyEntry>);

impl Policy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Store, Self::Redact, Self::Heads, Self::None];

    /// Its name in the configuration and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Redact => "redact",
            Self::Heads => "heads",
            Self::None => "none",
        }
    }
}

impl Policies {
    /// The entries in their order.
    #[must_use]
    pub const fn new(entries: Vec<PolicyEntry>) -> Self {
        Self(entries)
    }

    /// The policy of a gateway.
    #[must_use]
    pub fn of(&self, scope: &Scope) -> Policy {
        let fits = |entry: &&PolicyEntry| {
            entry.account.fits(scope.account_id.as_str()) && entry.gateway.fits(scope.gateway_id.as_str())
        };
        self.0.iter().find(fits).map_or(Policy::Redact, |entry| entry.policy)
    }

    /// The policy of a record that could not be read: its gateway's. Where that is not known, the one that keeps the
    /// least of those that any gateway of the account may have.
    #[must_use]
    pub fn of_letter(&self, account_id: &AccountId, gateway_id: Option<&GatewayId>) -> Policy {
        if let Some(gateway_id) = gateway_id {
            return self.of(&Scope { account_id: account_id.clone(), gateway_id: gateway_id.clone() });
        }
        let mut least = None;
        for entry in self.0.iter().filter(|entry| entry.account.fits(account_id.as_str())) {
            least = least.max(Some(entry.policy));
            if entry.gateway.is_any() {
                return least.unwrap_or(Policy::Redact);
            }
        }
        least.max(Some(Policy::Redact)).unwrap_or(Policy::Redact)
    }

    /// Whether some gateway may have a policy.
    #[must_use]
    pub fn may_be(&self, policy: Policy) -> bool {
        let all = self.0.iter().position(PolicyEntry::is_for_all);
        let reached = all.map_or(self.0.as_slice(), |last| &self.0[..=last]);
        reached.iter().any(|entry| entry.policy == policy) || (all.is_none() && policy == Policy::Redact)
    }

    /// The first entry that no gateway comes to, counted from 1, since one before it is for all.
    #[must_use]
    pub fn unreachable(&self) -> Option<usize> {
        let all = self.0.iter().position(PolicyEntry::is_for_all)?;
        (all + 1 < self.0.len()).then_some(all + 2)
    }
}

impl PolicyEntry {
    fn is_for_all(&self) -> bool {
        self.account.is_any() && self.gateway.is_any()
    }
}

impl Value for PolicyEntry {
    const EXPECTED: &'static str =
        "account/gateway=policy, such as acc/*=none; policies are store, redact, heads and none";

    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        let (scope, policy) = text.split_once('=').ok_or(InvalidValue::OtherKind)?;
        let (account, gateway) = scope.split_once('/').ok_or(InvalidValue::OtherKind)?;
        let policy = Policy::ALL.into_iter().find(|known| known.name() == policy.trim());
        match (Glob::read(account), Glob::read(gateway), policy) {
            (Some(account), Some(gateway), Some(policy)) => Ok(Self { account, gateway, policy }),
            (_, _, _) => Err(InvalidValue::OtherKind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies(entries: &[&str]) -> Policies {
        Policies::new(entries.iter().map(|entry| PolicyEntry::from_text(entry).unwrap()).collect())
    }

    fn check(entries: &[&str], scope: &str, expected: Policy) {
        let (account, gateway) = scope.split_once('/').unwrap();
        let scope = Scope { account_id: account.parse().unwrap(), gateway_id: gateway.parse().unwrap() };
        assert_eq!(policies(entries).of(&scope), expected, "{entries:?} {scope:?}");
    }

    #[test]
    fn the_first_entry_that_fits_is_the_gateways() {
        let entries = ["acc/secret=none", "acc/dev-*=store", "acc/*=heads", "*/*-x-*-y=none", "*/gw=store"];
        check(&entries, "acc/secret", Policy::None);
        check(&entries, "acc/dev-1", Policy::Store);
        check(&entries, "acc/dev", Policy::Heads);
        check(&entries, "other/a-x-b-y", Policy::None);
        check(&entries, "other/a-x-y", Policy::Redact);
        check(&entries, "other/gw", Policy::Store);
        check(&entries, "other/gw2", Policy::Redact);
        check(&[], "acc/gw", Policy::Redact);
        check(&["acc / gw = none"], "acc/gw", Policy::None);
        check(&["a*a/gw=none"], "a/gw", Policy::Redact);
        check(&["a*a/gw=none"], "aa/gw", Policy::None);
    }

    #[test]
    fn a_record_of_no_known_gateway_is_kept_as_little_as_any_of_its_account() {
        let check = |entries: &[&str], expected| {
            assert_eq!(policies(entries).of_letter(&"acc".parse().unwrap(), None), expected, "{entries:?}");
        };
        check(&[], Policy::Redact);
        check(&["acc/a=store", "acc/*=heads", "*/*=none"], Policy::Heads);
        check(&["acc/a=none", "*/*=store"], Policy::None);
        check(&["other/a=none", "*/*=store"], Policy::Store);
        check(&["acc/a=store"], Policy::Redact);
        let known = policies(&["acc/a=none"]).of_letter(&"acc".parse().unwrap(), Some(&"b".parse().unwrap()));
        assert_eq!(known, Policy::Redact);
    }

    #[test]
    fn an_entry_says_who_and_what() {
        for bad in
            ["", "acc", "acc/gw", "acc/gw=", "acc/gw=keep", "=none", "/=none", "a b/c=none", "acc=none"]
        {
            assert_eq!(PolicyEntry::from_text(bad), Err(InvalidValue::OtherKind), "{bad}");
        }
    }

    #[test]
    fn what_comes_after_an_entry_for_all_is_never_reached() {
        assert_eq!(policies(&["a/*=none", "*/*=store"]).unreachable(), None);
        assert_eq!(policies(&["*/*=store", "a/*=none"]).unreachable(), Some(2));
        assert!(!policies(&["*/*=store", "a/*=none"]).may_be(Policy::None));
        assert!(!policies(&["*/*=store"]).may_be(Policy::Redact));
        assert!(policies(&["a/*=store"]).may_be(Policy::Redact));
    }
}
