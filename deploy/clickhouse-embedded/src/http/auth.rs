//! Who may ask: one user, with a password or without.
//!
//! Credentials come as basic authentication, as `X-ClickHouse-User` and `X-ClickHouse-Key`, or in the URL, and not
//! in two of these ways at once. The password is kept only as a digest and compared in constant time.

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::query_string::Field;
use crate::exception::{Code, Exception};

/// The check at the door.
pub struct Gate {
    user: String,
    /// `None`: everyone is let in. The configuration allows that on loopback only.
    password: Option<[u8; 32]>,
}

impl Gate {
    /// A door for one user.
    #[must_use]
    pub fn new(user: impl Into<String>, password: Option<&str>) -> Self {
        Self { user: user.into(), password: password.map(|password| digest(password.as_bytes())) }
    }

    /// Lets the request in, or says why not.
    pub(super) fn check(&self, headers: &HeaderMap, fields: &[Field]) -> Result<(), Exception> {
        let given = credentials(headers, fields)?;
        let Some(expected) = &self.password else {
            return Ok(());
        };
        let (user, password) = given.unwrap_or_else(|| ("default".to_owned(), Vec::new()));
        let right =
            digest(&password).ct_eq(expected) & digest(user.as_bytes()).ct_eq(&digest(self.user.as_bytes()));
        if bool::from(right) {
            return Ok(());
        }
        Err(Exception::new(
            Code::AuthenticationFailed,
            format!(
                "{user}: Authentication failed: password is incorrect, or there is no user with such name"
            ),
        ))
    }
}

/// User and password as the request gives them, `None` if it gives none.
fn credentials(headers: &HeaderMap, fields: &[Field]) -> Result<Option<(String, Vec<u8>)>, Exception> {
    let header =
        |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let field =
        |name: &str| fields.iter().rev().find(|field| field.name == name).map(|field| field.value.clone());
    let from_headers = (header("x-clickhouse-user"), header("x-clickhouse-key"));
    let from_url = (field("user"), field("password"));
    let basic = headers.get(AUTHORIZATION);

    let in_headers = from_headers.0.is_some() || from_headers.1.is_some();
    let in_url = from_url.0.is_some() || from_url.1.is_some();
    if usize::from(in_headers) + usize::from(in_url) + usize::from(basic.is_some()) > 1 {
        return Err(Exception::new(
            Code::AuthenticationFailed,
            "Invalid authentication: it is not allowed to use several ways of authentication simultaneously",
        ));
    }
    let or_default = |user: Option<String>| user.unwrap_or_else(|| "default".to_owned());
    if in_headers {
        return Ok(Some((or_default(from_headers.0), from_headers.1.unwrap_or_default().into_bytes())));
    }
    if in_url {
        let user = from_url.0.map(|user| String::from_utf8_lossy(&user).into_owned());
        return Ok(Some((or_default(user), from_url.1.unwrap_or_default())));
    }
    basic.map(|value| decode_basic(value.as_bytes()).ok_or_else(not_basic)).transpose()
}

fn decode_basic(value: &[u8]) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = decode_base64(encoded.trim_ascii())?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some((String::from_utf8_lossy(&decoded[..colon]).into_owned(), decoded[colon + 1..].to_vec()))
}

fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.iter().position(|byte| *byte == b'=').map_or(text, |end| &text[..end]);
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for &byte in digits {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
    }
    Some(out)
}

fn digest(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn not_basic() -> Exception {
    Exception::new(
        Code::AuthenticationFailed,
        "Invalid authentication: only 'Basic' HTTP authentication is supported",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &'static str)], query: &str, allowed: bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let fields = super::super::query_string::parse(query).unwrap();
        let answer = Gate::new("weir", Some("pa:ss")).check(&map, &fields);
        assert_eq!(answer.is_ok(), allowed, "{headers:?} {query}");
        if let Err(exception) = answer {
            assert_eq!(exception.http_status(), 403);
            assert!(!exception.to_string().contains("pa:ss"), "{exception}");
        }
    }

    #[test]
    fn every_way_of_saying_it_is_understood() {
        check(&[("authorization", "Basic d2VpcjpwYTpzcw==")], "", true);
        check(&[("authorization", "basic d2VpcjpwYTpzcw")], "", true);
        check(&[("x-clickhouse-user", "weir"), ("x-clickhouse-key", "pa:ss")], "", true);
        check(&[], "user=weir&password=pa%3Ass", true);
    }

    #[test]
    fn everything_else_is_refused() {
        check(&[], "", false);
        check(&[("authorization", "Basic d2VpcjpwYTpzeA==")], "", false);
        check(&[("authorization", "Basic %%%")], "", false);
        check(&[("authorization", "Bearer d2VpcjpwYTpzcw==")], "", false);
        check(&[("x-clickhouse-key", "pa:ss")], "", false);
        check(&[("x-clickhouse-user", "weir")], "", false);
        check(&[("authorization", "Basic d2VpcjpwYTpzcw==")], "user=weir", false);
        check(&[], "user=default&password=pa%3Ass", false);
    }

    #[test]
    fn without_a_password_everyone_may_ask() {
        assert!(Gate::new("default", None).check(&HeaderMap::new(), &[]).is_ok());
    }
}
