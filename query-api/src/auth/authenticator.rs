//! `Authorization: Bearer <token>`.

use warp::http::HeaderMap;
use warp::http::header::AUTHORIZATION;
pub use weir_service::auth::AuthError;
use weir_service::auth::BearerTokens;

use super::principal::Principal;

/// Knows the configured tokens. Their holders may do everything.
#[derive(Clone, Debug)]
pub struct Authenticator {
    tokens: BearerTokens,
}

impl Authenticator {
    /// Lets the holders of `tokens` in, and nobody else.
    #[must_use]
    pub fn new(tokens: BearerTokens) -> Self {
        Self { tokens }
    }

    /// Finds out who sent `headers`. Two `Authorization` headers are refused: which of them counts would be a matter
    /// of chance, and another one for a proxy in between.
    pub fn authenticate(&self, headers: &HeaderMap) -> Result<Principal, AuthError> {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let header = match (all.next(), all.next()) {
            (None, _) => None,
            (Some(header), None) => Some(header.to_str().map_err(|_| AuthError::Malformed)?),
            (Some(_), Some(_)) => return Err(AuthError::Malformed),
        };
        let caller = self.tokens.authenticate(header)?;
        Ok(Principal::operator(caller.label))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[&[u8]], expected: Result<&str, AuthError>) {
        let authenticator = Authenticator::new(BearerTokens::from_entries(["grafana:right"]).unwrap());
        let mut map = HeaderMap::new();
        for value in headers {
            map.append(AUTHORIZATION, warp::http::HeaderValue::from_bytes(value).unwrap());
        }
        let found = authenticator.authenticate(&map);
        assert_eq!(
            found.as_ref().map(Principal::label),
            expected.as_ref().map(|label| *label),
            "{headers:?}"
        );
    }

    #[test]
    fn one_right_token_is_let_in() {
        check(&[b"Bearer right"], Ok("grafana"));
        check(&[], Err(AuthError::Missing));
        check(&[b"Bearer wrong"], Err(AuthError::Unknown));
        check(&[b"Bearer \xff"], Err(AuthError::Malformed));
        check(&[b"Bearer right", b"Bearer wrong"], Err(AuthError::Malformed));
        check(&[b"Bearer right", b"Bearer right"], Err(AuthError::Malformed));
    }
}
