//! Whose event it is: an account and one of its gateways.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An account: 1 to 64 ASCII letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(String);

/// A gateway of an account, as Cloudflare names them: 1 to 64 characters, `^[a-z0-9_]+(?:-[a-z0-9_]+)*$`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatewayId(String);

/// The tenant of an event or of a query. It is never a filter: what has no scope cannot be asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Whose.
    pub account_id: AccountId,
    /// Which of theirs.
    pub gateway_id: GatewayId,
}

/// Why a text does not name an account or a gateway.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Not an [`AccountId`].
    #[error("an account id is 1 to 64 letters, digits, '-' and '_'")]
    Account,
    /// Not a [`GatewayId`].
    #[error("a gateway id is 1 to 64 lower-case letters, digits and '_', in groups joined by single '-'")]
    Gateway,
}

const LEN_MAX: usize = 64;

impl Scope {
    /// The tenant of these two names, as a table has them.
    pub fn parse(account_id: &str, gateway_id: &str) -> Result<Self, ScopeError> {
        Ok(Self { account_id: account_id.parse()?, gateway_id: gateway_id.parse()? })
    }
}

impl FromStr for AccountId {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=LEN_MAX).contains(&text.len());
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if fits && plain { Ok(Self(text.to_owned())) } else { Err(ScopeError::Account) }
    }
}

impl FromStr for GatewayId {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        if text.len() <= LEN_MAX && text.split('-').all(word) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ScopeError::Gateway)
        }
    }
}

/// What both names share: they are texts that were checked.
macro_rules! checked_text {
    ($name:ident) => {
        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

checked_text!(AccountId);
checked_text!(GatewayId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateway_names_follow_cloudflare() {
        for good in ["a", "my-gateway", "a_b-c1", &"x".repeat(64)] {
            assert!(good.parse::<GatewayId>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "a--b", "A", "a b", "a/b", "é", &"x".repeat(65)] {
            assert_eq!(bad.parse::<GatewayId>(), Err(ScopeError::Gateway), "{bad}");
        }
    }

    #[test]
    fn a_scope_has_two_names_that_are_ones() {
        let scope = Scope::parse("acc", "gw").unwrap();
        assert_eq!((scope.account_id.as_str(), scope.gateway_id.as_str()), ("acc", "gw"));
        assert_eq!(Scope::parse("a/b", "gw"), Err(ScopeError::Account));
        assert_eq!(Scope::parse("acc", ""), Err(ScopeError::Gateway));
    }

    #[test]
    fn account_names_are_safe_in_a_path() {
        assert!("023e105f4ecef8ad9ca31a8372d0c353".parse::<AccountId>().is_ok());
        for bad in ["", "a/b", "a b", "..", "a'b", &"x".repeat(65)] {
            assert_eq!(bad.parse::<AccountId>(), Err(ScopeError::Account), "{bad}");
        }
    }
}
