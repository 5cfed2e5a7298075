//! The endpoints that alerts may go to, from a file.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use serde::Deserialize;
use url::Url;
use weir_event::AccountId;

use super::signature::{Key, KeyError};

/// Endpoints by name.
#[derive(Clone, Debug, Default)]
pub struct Endpoints(BTreeMap<String, Endpoint>);

/// Where alerts go, and what signs them.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `http` or `https`.
    pub url: Url,
    /// What signs.
    pub(super) key: Key,
    accounts: Accounts,
}

/// Whose budgets may lead to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Accounts {
    /// Everybody's.
    All,
    /// Those of these accounts; nobody's if there are none.
    These(BTreeSet<AccountId>),
}

/// Why the budgets of an account do not lead to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoWay {
    /// There is none of this name.
    Unknown,
    /// It is not for this account.
    Foreign,
}

/// Stands for every account.
const ALL_ACCOUNTS: &str = "*";

/// A file does not say where alerts go. No variant's text holds what is in the file, for that has secrets.
#[derive(Debug, thiserror::Error)]
pub enum EndpointsError {
    /// It is not there.
    #[error("file with webhooks cannot be read")]
    Read(#[source] io::Error),
    /// It is no TOML, or has something else in it.
    #[error("line {0} is not of [name] with url = \"..\", secret = \"..\" and accounts = [\"..\"]")]
    Malformed(usize),
    /// A name that cannot be said in a budget.
    #[error("{0:?} is not a name of 1 to 64 letters, digits, '-' and '_'")]
    Name(String),
    /// An address that nothing can be sent to.
    #[error("[{0}] has no url that begins with http:// or https://")]
    Url(String),
    /// A key that cannot sign.
    #[error("[{0}] has a secret that cannot sign")]
    Secret(String, #[source] KeyError),
    /// What is no account, or `*` beside others.
    #[error("[{0}] has accounts that are neither ids of accounts nor [\"*\"]")]
    Accounts(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    url: String,
    secret: String,
    /// Nobody is let in by forgetting to say who is.
    #[serde(default)]
    accounts: Vec<String>,
}

impl Endpoints {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, EndpointsError> {
        Self::parse(&std::fs::read_to_string(path).map_err(EndpointsError::Read)?)
    }

    /// Each by its name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Endpoint)> {
        self.0.iter()
    }

    /// Whether the budgets of an account lead to the endpoint of this name.
    pub fn way(&self, name: &str, account_id: &AccountId) -> Result<(), NoWay> {
        let endpoint = self.0.get(name).ok_or(NoWay::Unknown)?;
        if endpoint.is_for(account_id) { Ok(()) } else { Err(NoWay::Foreign) }
    }

    fn parse(text: &str) -> Result<Self, EndpointsError> {
        let entries: BTreeMap<String, Entry> = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            EndpointsError::Malformed(
                text.as_bytes().iter().take(start).filter(|byte| **byte == b'\n').count() + 1,
            )
        })?;
        let mut endpoints = BTreeMap::new();
        for (name, Entry { url, secret, accounts }) in entries {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) {
                return Err(EndpointsError::Name(name));
            }
            let url = Url::parse(&url)
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            let url = url.ok_or_else(|| EndpointsError::Url(name.clone()))?;
            let key = Key::parse(&secret).map_err(|error| EndpointsError::Secret(name.clone(), error))?;
            let accounts =
                Accounts::parse(&accounts).ok_or_else(|| EndpointsError::Accounts(name.clone()))?;
            endpoints.insert(name, Endpoint { url, key, accounts });
        }
        Ok(Self(endpoints))
    }
}

impl Endpoint {
    /// Whether the budgets of an account may lead to it.
    #[must_use]
    pub fn is_for(&self, account_id: &AccountId) -> bool {
        match &self.accounts {
            Accounts::All => true,
            Accounts::These(accounts) => accounts.contains(account_id),
        }
    }

    /// Whether no budget leads to it: it is not said whose may.
    #[must_use]
    pub fn is_for_nobody(&self) -> bool {
        matches!(&self.accounts, Accounts::These(accounts) if accounts.is_empty())
    }
}

impl Accounts {
    fn parse(names: &[String]) -> Option<Self> {
        if names == [ALL_ACCOUNTS] {
            return Some(Self::All);
        }
        names.iter().map(|name| name.parse().ok()).collect::<Option<_>>().map(Self::These)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn endpoints_have_names_addresses_and_keys() {
        let text = format!("[ops]\nurl = \"https://example.com/hooks?x=1\"\nsecret = \"{SECRET}\"\n");
        let endpoints = Endpoints::parse(&text).unwrap();
        let (name, endpoint) = endpoints.iter().next().unwrap();
        assert_eq!((name.as_str(), endpoint.url.as_str()), ("ops", "https://example.com/hooks?x=1"));
        assert_eq!(Endpoints::parse("").unwrap().iter().count(), 0);
    }

    #[test]
    fn an_endpoint_is_for_the_accounts_that_it_says_and_else_for_none() {
        let entry = |name: &str, accounts: &str| {
            format!("[{name}]\nurl = \"https://a\"\nsecret = \"{SECRET}\"\n{accounts}\n")
        };
        let text = [
            entry("none", ""),
            entry("empty", "accounts = []"),
            entry("two", "accounts = [\"a\", \"b\"]"),
            entry("all", "accounts = [\"*\"]"),
        ];
        let endpoints = Endpoints::parse(&text.concat()).unwrap();
        let way = |name: &str, account: &str| endpoints.way(name, &account.parse().unwrap());
        for (name, a, c) in [
            ("none", Err(NoWay::Foreign), Err(NoWay::Foreign)),
            ("empty", Err(NoWay::Foreign), Err(NoWay::Foreign)),
            ("two", Ok(()), Err(NoWay::Foreign)),
            ("all", Ok(()), Ok(())),
            ("more", Err(NoWay::Unknown), Err(NoWay::Unknown)),
        ] {
            assert_eq!((way(name, "a"), way(name, "c")), (a, c), "{name}");
        }
        let for_nobody = endpoints.iter().filter(|(_, endpoint)| endpoint.is_for_nobody());
        assert_eq!(for_nobody.map(|(name, _)| name).collect::<Vec<_>>(), ["empty", "none"]);
    }

    #[test]
    fn what_cannot_be_used_is_told_without_a_secret() {
        let check = |text: &str, expected: &str| {
            let error = Endpoints::parse(&text.replace("SECRET", SECRET)).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(!format!("{error:?}").contains("MfKQ9r8"), "{error:?}");
        };
        let line = |n| {
            format!("line {n} is not of [name] with url = \"..\", secret = \"..\" and accounts = [\"..\"]")
        };
        check("[ops]\nurl = \"https://a\"\nsecret = \"SECRET", &line(3));
        check("[ops]\nurl = \"https://a\"\nsecret = \"SECRET\"\ncolor = 1", &line(4));
        check("SECRET", &line(1));
        check(
            "[\"a b\"]\nurl = \"https://a\"\nsecret = \"SECRET\"",
            "\"a b\" is not a name of 1 to 64 letters, digits, '-' and '_'",
        );
        check(
            "[ops]\nurl = \"file:///etc/passwd\"\nsecret = \"SECRET\"",
            "[ops] has no url that begins with http:// or https://",
        );
        check("[ops]\nurl = \"https://a\"\nsecret = \"!SECRET\"", "[ops] has a secret that cannot sign");
        for accounts in ["[\"a\", \"*\"]", "[\"\"]", "[\"a b\"]"] {
            check(
                &format!("[ops]\nurl = \"https://a\"\nsecret = \"SECRET\"\naccounts = {accounts}"),
                "[ops] has accounts that are neither ids of accounts nor [\"*\"]",
            );
        }
    }
}
