//! Bearer tokens: who may call.
//!
//! Tokens are kept as SHA-256 digests only and compared in constant time over the whole set, so that neither a
//! memory dump nor the time an answer takes gives one away. This module never logs and never returns a token.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// Why a call is not let in. Every variant is an HTTP 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is no `Authorization` header.
    #[error("no authorization header")]
    Missing,
    /// The header is there and is not `Bearer <token>`.
    #[error("authorization header is not a bearer token")]
    Malformed,
    /// The token is not one of ours.
    #[error("unknown bearer token")]
    Unknown,
}

/// Why a configured token cannot be used. No variant repeats the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Nothing, or nothing after the label.
    #[error("token is empty")]
    Empty,
    /// A character that cannot stand in an `Authorization: Bearer` header (RFC 6750 section 2.1).
    #[error("token has a character that a bearer token cannot have")]
    Character,
    /// `sha256:` without 64 hexadecimal digits after it.
    #[error("sha256 digest is not 64 hexadecimal digits")]
    Digest,
    /// A label with other characters than `a-z A-Z 0-9 _ - .`.
    #[error("label has a character other than letters, digits, '_', '-' and '.'")]
    Label,
    /// The same token twice: which label it has would be a matter of chance.
    #[error("token is listed twice")]
    Duplicate,
}

/// The set of tokens that are let in.
#[derive(Clone, Default)]
pub struct BearerTokens {
    tokens: Vec<Token>,
}

/// The token that a call came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller<'a> {
    /// Position in the configured list.
    pub index: usize,
    /// The label it was configured with, or its position as text: fit for logs and metrics.
    pub label: &'a str,
}

/// The SHA-256 of a token. Two are compared in constant time.
#[derive(Clone, Copy)]
pub struct TokenDigest([u8; 32]);

#[derive(Clone)]
struct Token {
    label: String,
    digest: TokenDigest,
}

impl BearerTokens {
    /// Reads a configured list. An entry is `[label:]token` or `[label:]sha256:<64 hex digits>`; without a label
    /// it is called by its position.
    pub fn from_entries<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, TokenError> {
        let mut tokens = Self::default();
        for entry in entries {
            tokens.add(Token::from_entry(entry, tokens.len())?)?;
        }
        Ok(tokens)
    }

    /// The same and one more, of which only the SHA-256 is known: 64 hexadecimal digits. Several tokens may have one label.
    pub fn with_digest(mut self, label: &str, sha256: &str) -> Result<Self, TokenError> {
        self.add(Token::of_digest(label, sha256)?)?;
        Ok(self)
    }

    fn add(&mut self, token: Token) -> Result<(), TokenError> {
        if self.tokens.iter().any(|known| known.digest == token.digest) {
            return Err(TokenError::Duplicate);
        }
        self.tokens.push(token);
        Ok(())
    }

    /// Whether nobody is let in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// How many tokens there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// What each token is called, in their order.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().map(|token| token.label.as_str())
    }

    /// Checks the value of an `Authorization` header.
    pub fn authenticate(&self, authorization: Option<&str>) -> Result<Caller<'_>, AuthError> {
        let header = authorization.ok_or(AuthError::Missing)?;
        let token = bearer_token(header).ok_or(AuthError::Malformed)?;
        self.caller_of(token).ok_or(AuthError::Unknown)
    }

    /// Finds a bare token. Takes the same time whichever entry matches, and when none does.
    #[must_use]
    pub fn caller_of(&self, token: &str) -> Option<Caller<'_>> {
        let digest = TokenDigest::of(token);
        let mut found = Choice::from(0);
        let mut found_index = 0_u64;
        for (index, known) in (0_u64..).zip(&self.tokens) {
            let same = known.digest.0.ct_eq(&digest.0);
            found_index.conditional_assign(&index, same);
            found |= same;
        }
        if !bool::from(found) {
            return None;
        }
        let index = usize::try_from(found_index).ok()?;
        self.tokens.get(index).map(|token| Caller { index, label: &token.label })
    }
}

impl fmt::Debug for BearerTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.labels()).finish()
    }
}

/// The token of `Authorization: Bearer <token>`; the scheme's case does not matter (RFC 9110 section 11.1).
#[must_use]
pub fn bearer_token(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && check_characters(token).is_ok()).then_some(token)
}

impl TokenDigest {
    /// That of `token`.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, TokenError> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest).map_err(|_| TokenError::Digest)?;
        Ok(Self(digest))
    }

    /// 64 hexadecimal digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    /// The first 64 bits: what may be looked up by in a table, because nobody can choose a token by its digest. What is
    /// found so is still to be compared.
    #[must_use]
    pub fn beginning(self) -> u64 {
        u64::from_be_bytes(*self.0.first_chunk().expect("32 bytes begin with 8"))
    }
}

impl PartialEq for TokenDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenDigest {}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<digest>")
    }
}

impl Token {
    fn from_entry(entry: &str, index: usize) -> Result<Self, TokenError> {
        // A bearer token has no ':', so the first one ends a label or the word sha256.
        let (label, value) = match entry.split_once(':') {
            Some((label, value)) if label != "sha256" => (label.to_owned(), value),
            Some(_) | None => (index.to_string(), entry),
        };
        if let Some(sha256) = value.strip_prefix("sha256:") {
            return Self::of_digest(&label, sha256);
        }
        check_label(&label)?;
        check_characters(value)?;
        Ok(Self { label, digest: TokenDigest::of(value) })
    }

    fn of_digest(label: &str, sha256: &str) -> Result<Self, TokenError> {
        check_label(label)?;
        let digest = TokenDigest::from_hex(sha256)?;
        Ok(Self { label: label.to_owned(), digest })
    }
}

fn check_label(label: &str) -> Result<(), TokenError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if !label.is_empty() && label.chars().all(allowed) { Ok(()) } else { Err(TokenError::Label) }
}

fn check_characters(token: &str) -> Result<(), TokenError> {
    if token.is_empty() {
        return Err(TokenError::Empty);
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    if token.chars().all(allowed) { Ok(()) } else { Err(TokenError::Character) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf hello-token | sha256sum`
    const HELLO_SHA256: &str = "sha256:1a659e2ea31ab6f0ac2c9a9ba262d574a53263bc55bca387f12260872a78dd18";

    fn tokens(entries: &[&str]) -> BearerTokens {
        BearerTokens::from_entries(entries.iter().copied()).unwrap()
    }

    #[test]
    fn a_known_token_is_let_in_under_its_label() {
        let tokens = tokens(&["first-token", "gateway:second-token", "third-token"]);
        let caller = tokens.authenticate(Some("Bearer second-token")).unwrap();
        assert_eq!(caller, Caller { index: 1, label: "gateway" });
        let caller = tokens.authenticate(Some("bearer  third-token")).unwrap();
        assert_eq!(caller, Caller { index: 2, label: "2" });
    }

    #[test]
    fn others_are_kept_out_with_a_reason() {
        let tokens = tokens(&["right"]);
        let check = |header, expected| assert_eq!(tokens.authenticate(header), Err(expected), "{header:?}");
        check(None, AuthError::Missing);
        check(Some(""), AuthError::Malformed);
        check(Some("Bearer"), AuthError::Malformed);
        check(Some("Bearer "), AuthError::Malformed);
        check(Some("Basic right"), AuthError::Malformed);
        check(Some("Bearer two words"), AuthError::Malformed);
        check(Some("Bearer wrong"), AuthError::Unknown);
        check(Some("Bearer righ"), AuthError::Unknown);
        check(Some("Bearer right="), AuthError::Unknown);
    }

    #[test]
    fn an_empty_set_lets_nobody_in() {
        assert_eq!(BearerTokens::default().authenticate(Some("Bearer x")), Err(AuthError::Unknown));
    }

    #[test]
    fn a_token_may_be_configured_by_its_digest_alone() {
        let digest = Sha256::digest(b"hello-token");
        let hex = digest.iter().fold(String::from("ops:sha256:"), |hex, byte| format!("{hex}{byte:02X}"));
        let tokens = tokens(&[&hex]);
        assert_eq!(tokens.caller_of("hello-token").map(|caller| caller.label), Some("ops"));
        assert_eq!(tokens.caller_of(&hex), None, "the digest itself is not a token");
        assert!(BearerTokens::from_entries([HELLO_SHA256]).is_ok());
        let hello = HELLO_SHA256.strip_prefix("sha256:").unwrap();
        let both = BearerTokens::from_entries(["ops:old"]).unwrap().with_digest("ops", hello).unwrap();
        let callers = ["old", "hello-token"].map(|token| both.caller_of(token).unwrap());
        assert_eq!(callers, [Caller { index: 0, label: "ops" }, Caller { index: 1, label: "ops" }]);
        assert_eq!(both.with_digest("new", hello).map(|tokens| tokens.len()), Err(TokenError::Duplicate));
    }

    #[test]
    fn bad_entries_are_refused() {
        let check = |entries: &[&str], expected| {
            let refused = BearerTokens::from_entries(entries.iter().copied()).map(|tokens| tokens.len());
            assert_eq!(refused, Err(expected), "{entries:?}");
        };
        check(&[""], TokenError::Empty);
        check(&["label:"], TokenError::Empty);
        check(&["with space"], TokenError::Character);
        check(&["sha256:1234"], TokenError::Digest);
        check(&["x:sha256:zz"], TokenError::Digest);
        check(&[":token"], TokenError::Label);
        check(&["my label:token"], TokenError::Label);
        check(&["a:same", "b:same"], TokenError::Duplicate);
    }

    #[test]
    fn debug_shows_labels_and_no_token() {
        let shown = format!("{:?}", tokens(&["gateway:very-secret"]));
        assert_eq!(shown, r#"["gateway"]"#);
    }
}
