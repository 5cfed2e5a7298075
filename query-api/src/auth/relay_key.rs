//! A key that a new-api installation gave out to call models with. Whoever has it may see what it was used for.

use weir_event::Scope;
use weir_service::auth::TokenDigest;

use super::directory::Entry;
use super::place::{KeyLogs, Readable};

/// How new-api shows its keys. They are stored, and known here, without it.
const PREFIX: &str = "sk-";

/// A key as the directory has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// The SHA-256 of the key, without `sk-`.
    pub digest: TokenDigest,
    /// Whose logs it is in.
    pub scope: Scope,
    /// Its number in the tenant, where that is known: 1 and up.
    pub token_id: Option<i64>,
    /// Its name.
    pub name: String,
    /// Whose it is, where that is known: 1 and up.
    pub user_id: Option<i64>,
    /// Whether it was not disabled.
    pub is_enabled: bool,
    /// Whether its user was not either.
    pub is_owner_enabled: bool,
    /// From when on it is no longer good for calls, in milliseconds since 1970.
    pub expires_at_ms: Option<i64>,
    /// The quota that it was ever granted; nothing where that is unlimited.
    pub granted_quota: Option<i64>,
    /// The quota that it had used before its logs are counted.
    pub used_before: i64,
    /// From when on they are, by when their calls ended, in milliseconds since 1970; nothing where all are.
    pub counted_from_ms: Option<i64>,
}

/// A key as it was shown, without `sk-`.
#[derive(Clone, Copy)]
pub struct ShownKey<'k>(&'k str);

impl<'k> ShownKey<'k> {
    /// Both forms of a key are the same key: one `sk-` at its beginning does not count.
    #[must_use]
    pub fn new(text: &'k str) -> Self {
        Self(text.strip_prefix(PREFIX).unwrap_or(text))
    }

    /// The key of a header `Authorization`, whose scheme may be missing.
    #[must_use]
    pub fn of_header(authorization: &'k str) -> Self {
        let bare = authorization.strip_prefix("Bearer ").or_else(|| authorization.strip_prefix("bearer "));
        Self::new(bare.map_or(authorization, str::trim))
    }

    /// The same without what follows its first `-`, where new-api's callers name a channel.
    #[must_use]
    pub fn without_channel(self) -> Self {
        Self(self.0.split('-').next().unwrap_or_default())
    }

    /// It, as it is stored.
    #[must_use]
    pub const fn text(self) -> &'k str {
        self.0
    }

    /// Whether there is nothing of it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// What it is known by.
    #[must_use]
    pub fn digest(self) -> TokenDigest {
        TokenDigest::of(self.0)
    }

    /// As callers send it, and so as sources hash it that see requests.
    fn digest_as_sent(self) -> TokenDigest {
        TokenDigest::of(&format!("{PREFIX}{}", self.0))
    }
}

impl KnownKey {
    /// What logs call it: tenant, and as much of its hash as is enough to find it.
    #[must_use]
    pub fn label(&self) -> String {
        let Scope { account_id, gateway_id } = &self.scope;
        format!("{account_id}/{gateway_id}/{:016x}", self.digest.beginning())
    }

    /// What `shown`, by which this was found, was used for.
    #[must_use]
    pub fn logs(&self, shown: ShownKey<'_>) -> Readable<KeyLogs> {
        Readable::grant(KeyLogs {
            scope: self.scope.clone(),
            token_hashes: [self.digest, shown.digest_as_sent()],
            token_id: self.token_id,
        })
    }
}

impl Entry for KnownKey {
    const KIND: &'static str = "relay keys";

    fn digest(&self) -> TokenDigest {
        self.digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_with_and_without_its_beginning() {
        let check = |text: &str, expected: &str| {
            assert_eq!(ShownKey::new(text).digest(), TokenDigest::of(expected), "{text}");
        };
        check("sk-abc", "abc");
        check("abc", "abc");
        check("sk-sk-abc", "sk-abc");
        check("sk-abc-7", "abc-7");
        assert_eq!(ShownKey::new("sk-abc-7-x").without_channel().digest(), TokenDigest::of("abc"));
        assert!(ShownKey::new("sk-").is_empty() && ShownKey::new("-7").without_channel().is_empty());
    }

    #[test]
    fn the_logs_of_a_key_are_those_of_both_its_forms_and_of_its_number() {
        let known = KnownKey {
            digest: TokenDigest::of("abc"),
            scope: Scope::parse("acc", "gw").unwrap(),
            token_id: Some(7),
            name: String::new(),
            user_id: None,
            is_enabled: true,
            is_owner_enabled: true,
            expires_at_ms: None,
            granted_quota: None,
            used_before: 0,
            counted_from_ms: None,
        };
        let logs = known.logs(ShownKey::new("abc"));
        assert_eq!((logs.scope(), logs.token_id()), (&known.scope, Some(7)));
        assert_eq!(*logs.token_hashes(), [TokenDigest::of("abc"), TokenDigest::of("sk-abc")]);
        assert_eq!(known.logs(ShownKey::new("sk-abc")), logs);
    }
}
