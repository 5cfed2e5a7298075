//! From the headers of a request to who sent it.

use warp::http::HeaderMap;
use weir_service::auth::BearerTokens;

use super::credential::{AuthError, Credential};
use super::directory::Directory;
use super::principal::Principal;
use super::token::KnownToken;

/// Knows everyone who may ask: the holders of the configured tokens, who may do everything, and those of the tokens in the
/// directory.
#[derive(Clone, Debug)]
pub struct Authenticator {
    operators: BearerTokens,
    directory: Directory<KnownToken>,
}

impl Authenticator {
    /// Lets these in, and nobody else.
    #[must_use]
    pub const fn new(operators: BearerTokens, directory: Directory<KnownToken>) -> Self {
        Self { operators, directory }
    }

    /// Finds out who sent `headers`. May wait until the directory has been read anew, since a token that is not known may be
    /// new.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Principal, AuthError> {
        let sent = Credential::from_headers(headers)?;
        if let Credential::Bearer { token } = sent
            && let Some(caller) = self.operators.caller_of(token)
        {
            return Ok(Principal::operator(caller.label));
        }
        self.directory.principal_of(sent).await
    }
}
