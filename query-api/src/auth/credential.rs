//! What a caller shows: `Authorization: Bearer <token>`, or `X-Auth-Email` with `X-Auth-Key`.

use warp::http::header::{AUTHORIZATION, HeaderName};
use warp::http::{HeaderMap, HeaderValue};
use weir_service::auth::bearer_token;

const EMAIL: HeaderName = HeaderName::from_static("x-auth-email");
const KEY: HeaderName = HeaderName::from_static("x-auth-key");

/// What a caller shows. It has not been looked up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credential<'h> {
    /// A token alone.
    Bearer {
        /// It.
        token: &'h str,
    },
    /// A token with the address that it was made for.
    Key {
        /// The address, in any case.
        email: &'h str,
        /// The token.
        key: &'h str,
    },
}

/// Why a caller is not let in. It is an HTTP 401, or a 503 where nobody can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Nothing was shown.
    #[error("no credential")]
    Missing,
    /// What was shown is in no form that we know, or may be read in two ways.
    #[error("credential is malformed or ambiguous")]
    Malformed,
    /// The token is none of ours, or no longer, or not with that address. Nobody is told which of them.
    #[error("unknown token")]
    Unknown,
    /// The token may be one of ours: the directory cannot be read.
    #[error("tokens cannot be looked up")]
    Unavailable,
}

impl<'h> Credential<'h> {
    /// Reads the headers of a request. Of several credentials it would be a matter of chance which one counts, and another
    /// one for a proxy in between: they are refused.
    pub fn from_headers(headers: &'h HeaderMap) -> Result<Self, AuthError> {
        match [AUTHORIZATION, EMAIL, KEY].map(|name| single(headers, &name)) {
            [Ok(None), Ok(None), Ok(None)] => Err(AuthError::Missing),
            [Ok(Some(header)), Ok(None), Ok(None)] => {
                let token = bearer_token(header).ok_or(AuthError::Malformed)?;
                Ok(Self::Bearer { token })
            }
            [Ok(None), Ok(Some(email)), Ok(Some(key))] => Ok(Self::Key { email, key }),
            // One without the other, several, or something that is no text.
            _ => Err(AuthError::Malformed),
        }
    }

    /// The token, with or without an address.
    #[must_use]
    pub const fn token(self) -> &'h str {
        match self {
            Self::Bearer { token } => token,
            Self::Key { key, .. } => key,
        }
    }
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, AuthError> {
    let mut all = headers.get_all(name).iter();
    match (all.next().map(HeaderValue::to_str), all.next()) {
        (None, _) => Ok(None),
        (Some(Ok(text)), None) => Ok(Some(text)),
        (Some(_), _) => Err(AuthError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&HeaderName, &[u8])], expected: Result<Credential<'_>, AuthError>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        assert!(Credential::from_headers(&map) == expected, "{headers:?}");
    }

    #[test]
    fn one_credential_is_read_and_several_are_refused() {
        let (bearer, email, key) =
            ((&AUTHORIZATION, &b"Bearer t"[..]), (&EMAIL, &b"a@b"[..]), (&KEY, &b"t"[..]));
        check(&[bearer], Ok(Credential::Bearer { token: "t" }));
        check(&[email, key], Ok(Credential::Key { email: "a@b", key: "t" }));
        check(&[], Err(AuthError::Missing));
        for several in [&[bearer, bearer][..], &[bearer, email, key], &[bearer, key], &[bearer, email]] {
            check(several, Err(AuthError::Malformed));
        }
        for odd in [&[email][..], &[key], &[email, key, key], &[email, email, key]] {
            check(odd, Err(AuthError::Malformed));
        }
        check(&[(&AUTHORIZATION, b"Basic t")], Err(AuthError::Malformed));
        check(&[(&AUTHORIZATION, b"Bearer \xff")], Err(AuthError::Malformed));
        check(&[(&EMAIL, b"\xff"), key], Err(AuthError::Malformed));
    }
}
