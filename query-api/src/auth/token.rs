//! An API token: what is shown once, what of it may be shown later, and what the directory knows of it.

use std::fmt;

use weir_service::auth::TokenDigest;

use super::credential::{AuthError, Credential};
use super::directory::{Directory, Entry};
use super::principal::Principal;

/// How every token begins, so that people, and programs that look for leaked secrets, know one.
const PREFIX: &str = "weir_";
const DIGITS: usize = 64;
/// How much of a token may be shown: of its 64 digits, the first and the last four.
const SHOWN: usize = 4;

/// A token that was just made. It is shown once and kept nowhere.
pub struct NewToken(String);

/// A token that is good, as the directory has it.
#[derive(Clone, Debug)]
pub struct KnownToken {
    /// Its SHA-256.
    pub digest: TokenDigest,
    /// The address that it may be shown with instead of alone.
    pub email: Option<String>,
    /// From when on it is no longer good, in milliseconds since 1970.
    pub expires_at_ms: Option<i64>,
    /// Whose it is.
    pub principal: Principal,
}

impl NewToken {
    /// A token of 256 bits, which have to be random.
    #[must_use]
    pub fn from_random(bits: [u8; DIGITS / 2]) -> Self {
        Self(format!("{PREFIX}{}", hex::encode(bits)))
    }

    /// The token.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What may be shown of it.
    #[must_use]
    pub fn display(&self) -> String {
        let (beginning, end) = (&self.0[..PREFIX.len() + SHOWN], &self.0[self.0.len() - SHOWN..]);
        format!("{beginning}…{end}")
    }

    /// Its SHA-256.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(&self.0)
    }
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<token>")
    }
}

impl KnownToken {
    /// Whether `sent`, whose digest is this one's, may come in at `now_ms`.
    #[must_use]
    pub fn admits(&self, sent: Credential<'_>, now_ms: i64) -> bool {
        let is_good = self.expires_at_ms.is_none_or(|end| now_ms < end);
        is_good
            && match sent {
                Credential::Bearer { .. } => true,
                Credential::Key { email, .. } => {
                    self.email.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(email))
                }
            }
    }
}

impl Entry for KnownToken {
    const KIND: &'static str = "api tokens";

    fn digest(&self) -> TokenDigest {
        self.digest
    }
}

impl Directory<KnownToken> {
    /// Whose token it is. Waits for a read where it is not known, or no longer good: nobody is told which of them.
    pub async fn principal_of(&self, sent: Credential<'_>) -> Result<Principal, AuthError> {
        if !may_be_token(sent.token()) {
            return Err(AuthError::Unknown);
        }
        let admits = |token: &KnownToken, now_ms| token.admits(sent, now_ms);
        let token = self.find(TokenDigest::of(sent.token()), admits).await?;
        if admits(&token, self.now_ms()) { Ok(token.principal) } else { Err(AuthError::Unknown) }
    }
}

/// Whether a text can be a token of the directory at all. What cannot is nobody's, and nothing has to be looked up.
fn may_be_token(text: &str) -> bool {
    text.strip_prefix(PREFIX).is_some_and(|digits| {
        digits.len() == DIGITS && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Access, Reach};

    #[test]
    fn a_token_is_known_by_its_form_and_shows_little_of_itself() {
        let token = NewToken::from_random([0xab; 32]);
        assert_eq!(token.expose(), format!("weir_{}", "ab".repeat(32)));
        assert_eq!(token.display(), "weir_abab…abab");
        assert_eq!(format!("{token:?}"), "<token>");
        assert!(may_be_token(token.expose()));
        let upper = token.expose().to_uppercase();
        for other in ["", "weir_", "weir_abab", &token.expose()[1..], &upper, &format!("{}0", token.expose())]
        {
            assert!(!may_be_token(other), "{other}");
        }
    }

    #[test]
    fn a_token_is_good_until_it_expires_and_with_its_own_address_only() {
        let check = |email: Option<&str>, expires_at_ms, sent: Credential<'_>, expected: bool| {
            let token = KnownToken {
                digest: TokenDigest::of("t"),
                email: email.map(str::to_owned),
                expires_at_ms,
                principal: Principal::new("x", Access::Read, Reach::All),
            };
            assert_eq!(token.admits(sent, 1_000), expected, "{token:?}");
        };
        let (alone, with) = (Credential::Bearer { token: "t" }, |email| Credential::Key { email, key: "t" });
        check(None, None, alone, true);
        check(None, Some(1_001), alone, true);
        check(None, Some(1_000), alone, false);
        check(Some("Ops@Example.com"), None, alone, true);
        check(Some("Ops@Example.com"), None, with("ops@eXample.COM"), true);
        check(Some("Ops@Example.com"), None, with("ops@example.co"), false);
        check(Some("Ops@Example.com"), Some(1_000), with("ops@example.com"), false);
        check(None, None, with(""), false);
        check(None, None, with("ops@example.com"), false);
    }
}
