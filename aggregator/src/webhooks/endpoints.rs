//! The endpoints that alerts may go to, from a file.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::Deserialize;
use url::Url;

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
}

/// A file does not say where alerts go. No variant's text holds what is in the file, for that has secrets.
#[derive(Debug, thiserror::Error)]
pub enum EndpointsError {
    /// It is not there.
    #[error("file with webhooks cannot be read")]
    Read(#[source] io::Error),
    /// It is no TOML, or has something else in it.
    #[error("line {0} is not of [name] with url = \"..\" and secret = \"..\"")]
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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    url: String,
    secret: String,
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

    fn parse(text: &str) -> Result<Self, EndpointsError> {
        let entries: BTreeMap<String, Entry> = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            EndpointsError::Malformed(
                text.as_bytes().iter().take(start).filter(|byte| **byte == b'\n').count() + 1,
            )
        })?;
        let mut endpoints = BTreeMap::new();
        for (name, Entry { url, secret }) in entries {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) {
                return Err(EndpointsError::Name(name));
            }
            let url = Url::parse(&url)
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            let url = url.ok_or_else(|| EndpointsError::Url(name.clone()))?;
            let key = Key::parse(&secret).map_err(|error| EndpointsError::Secret(name.clone(), error))?;
            endpoints.insert(name, Endpoint { url, key });
        }
        Ok(Self(endpoints))
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
    fn what_cannot_be_used_is_told_without_a_secret() {
        let check = |text: &str, expected: &str| {
            let error = Endpoints::parse(&text.replace("SECRET", SECRET)).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(!format!("{error:?}").contains("MfKQ9r8"), "{error:?}");
        };
        let line = |n| format!("line {n} is not of [name] with url = \"..\" and secret = \"..\"");
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
    }
}
