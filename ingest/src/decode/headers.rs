//! The request headers that Weir takes, and no others: secrets never enter.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

use super::lenient::Lenient;

/// What Cloudflare writes in place of a value that it hides.
const REDACTED: &str = "REDACTED";

/// The headers of a traced request, by an allow-list. An API token is here only as its hash and a form that may be
/// shown; cookies and every header that is not named below are dropped while reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TracedHeaders {
    /// `cf-ray`, without the data centre after the hyphen.
    pub ray_id: Option<String>,
    /// `cf-connecting-ip`, else `x-real-ip`.
    pub ip: Option<String>,
    /// `cf-ipcountry`.
    pub country: Option<String>,
    /// `user-agent`.
    pub user_agent: Option<String>,
    /// `content-type`.
    pub content_type: Option<String>,
    /// `content-length`, in bytes.
    pub content_length: Option<u64>,
    /// The API token, of `authorization`, `api-key` or `x-api-key`, where it was not hidden.
    pub token: Option<HashedToken>,
}

/// An API token that can be told from others and not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashedToken {
    /// SHA-256, hex.
    pub hash: String,
    /// Its first three and last four characters, where enough is left between them.
    pub display: String,
}

impl HashedToken {
    /// Hashes a token; `None` for what Cloudflare hid.
    #[must_use]
    pub fn of(value: &str) -> Option<Self> {
        let token = value.split_once(' ').map_or(value, |(_scheme, token)| token).trim();
        if token.is_empty() || token == REDACTED {
            return None;
        }
        Some(Self { hash: hex::encode(Sha256::digest(token)), display: display_form(token) })
    }
}

/// `sk-…wxyz`: what a person recognises a token by. A short token shows nothing of itself.
fn display_form(token: &str) -> String {
    const SHOWN_FROM: usize = 16;
    const SHOWN_START: usize = 3;
    const SHOWN_END: usize = 4;
    let length = token.chars().count();
    if length < SHOWN_FROM {
        return "…".to_owned();
    }
    let start: String = token.chars().take(SHOWN_START).collect();
    let end: String = token.chars().skip(length - SHOWN_END).collect();
    format!("{start}…{end}")
}

impl<'de> Deserialize<'de> for TracedHeaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadersVisitor)
    }
}

struct HeadersVisitor;

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = TracedHeaders;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of headers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TracedHeaders, A::Error> {
        let mut headers = TracedHeaders::default();
        while let Some(mut name) = map.next_key::<String>()? {
            name.make_ascii_lowercase();
            if !is_taken(&name) {
                map.next_value::<IgnoredAny>()?;
            } else if let Lenient(Some(value)) = map.next_value()? {
                headers.take(&name, value);
            }
        }
        Ok(headers)
    }
}

const fn is_taken(name: &str) -> bool {
    matches!(
        name.as_bytes(),
        b"cf-ray"
            | b"cf-connecting-ip"
            | b"x-real-ip"
            | b"cf-ipcountry"
            | b"user-agent"
            | b"content-type"
            | b"content-length"
            | b"authorization"
            | b"api-key"
            | b"x-api-key"
    )
}

impl TracedHeaders {
    fn take(&mut self, name: &str, value: String) {
        match name {
            "cf-ray" => self.ray_id = Some(ray_of(&value)),
            "cf-connecting-ip" => self.ip = Some(value),
            "x-real-ip" => {
                self.ip.get_or_insert(value);
            }
            "cf-ipcountry" => self.country = Some(value),
            "user-agent" => self.user_agent = Some(value),
            "content-type" => self.content_type = Some(value),
            "content-length" => self.content_length = value.parse().ok(),
            "authorization" | "api-key" | "x-api-key" => {
                self.token = HashedToken::of(&value).or(self.token.take());
            }
            // `is_taken` lets no other name in.
            _ => {}
        }
    }
}

/// `8cb347e7f97794b7-LHR` names the same request as `8cb347e7f97794b7`.
pub(super) fn ray_of(value: &str) -> String {
    value.split_once('-').map_or(value, |(ray, _data_centre)| ray).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> TracedHeaders {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn names_are_read_in_any_case_and_the_rest_is_dropped() {
        let headers = read(
            r#"{"CF-Ray":"8cb347e7f97794b7-LHR","Cookie":"session=1","x-real-ip":"1.2.3.4","Content-Length":"177"}"#,
        );
        let expected = TracedHeaders {
            ray_id: Some("8cb347e7f97794b7".to_owned()),
            ip: Some("1.2.3.4".to_owned()),
            content_length: Some(177),
            ..TracedHeaders::default()
        };
        assert_eq!(headers, expected);
    }

    #[test]
    fn a_hidden_token_is_no_identity() {
        for json in
            [r#"{"api-key":"REDACTED"}"#, r#"{"authorization":"Bearer REDACTED"}"#, r#"{"authorization":""}"#]
        {
            assert_eq!(read(json).token, None, "{json}");
        }
    }

    #[test]
    fn a_token_is_kept_as_hash_and_display_only() {
        let token = read(r#"{"authorization":"Bearer sk-0123456789abcdef"}"#).token.unwrap();
        assert_eq!(token.hash, hex::encode(Sha256::digest("sk-0123456789abcdef")));
        assert_eq!(token.display, "sk-…cdef");
        assert_eq!(read(r#"{"api-key":"sk-0123456789abcdef"}"#).token.unwrap().hash, token.hash);
        assert_eq!(HashedToken::of("short").unwrap().display, "…");
    }

    #[test]
    fn an_unhidden_token_is_not_lost_to_a_hidden_one() {
        let token = read(r#"{"api-key":"sk-0123456789abcdef","authorization":"REDACTED"}"#).token;
        assert!(token.is_some());
    }
}
