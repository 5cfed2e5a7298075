//! Which new-api it is that clients believe to speak with, and what differs between them.

use std::borrow::Cow;
use std::time::Duration;

use crate::auth::{Role, ShownKey};

/// A version of new-api's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// As it is documented, and where that is silent as [`Self::Upstream09`] does it.
    Documented,
    /// As new-api 0.9 does it.
    Upstream09,
    /// As new-api 1.0 does it.
    Upstream10,
}

/// What messages are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Chinese,
    English,
}

/// What is answered of a relay key that is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stranger {
    /// That it is not known, or that it may not: the same words for both.
    IsRefused,
    /// That there are no logs of it.
    HasNothing,
    /// That it is not known; of one that may not, that it may not.
    IsTold,
}

/// So many requests of one client in any time of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// 1 to 1,000.
    pub requests: u32,
    /// A millisecond to a day.
    pub window: Duration,
}

impl Limit {
    /// Whether it can be kept: what is known of all clients together has a bound by that.
    #[must_use]
    pub fn is_kept(self) -> bool {
        let windows = Duration::from_millis(1)..=Duration::from_hours(24);
        (1..=1_000).contains(&self.requests) && windows.contains(&self.window)
    }
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Documented, Self::Upstream09, Self::Upstream10];

    /// Its name in a configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Upstream09 => "upstream-0.9",
            Self::Upstream10 => "upstream-1.0",
        }
    }

    /// Reads a name; `upstream` is the newest.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "upstream" => Some(Self::Upstream10),
            other => Self::ALL.into_iter().find(|dialect| dialect.as_str() == other),
        }
    }

    /// How many requests a client may send, to all of the API.
    #[must_use]
    pub const fn limit(self) -> Limit {
        let requests = match self {
            Self::Documented | Self::Upstream09 => 180,
            Self::Upstream10 => 360,
        };
        Limit { requests, window: Duration::from_mins(3) }
    }

    /// How many of them may show a relay key. Only 1.0 has such a limit; who runs a documented one is kept from a flood.
    #[must_use]
    pub const fn key_limit(self) -> Option<Limit> {
        match self {
            Self::Documented => Some(Limit { requests: 120, window: Duration::from_mins(1) }),
            Self::Upstream09 => None,
            Self::Upstream10 => Some(Limit { requests: 20, window: Duration::from_mins(20) }),
        }
    }

    /// What failures are told in, by the header `Accept-Language`. The first language of it counts.
    pub(super) fn language(self, accepted: Option<&str>) -> Language {
        let is_chinese =
            || accepted.is_some_and(|text| text.trim_start().to_ascii_lowercase().starts_with("zh"));
        match self {
            Self::Documented | Self::Upstream09 => Language::Chinese,
            Self::Upstream10 if is_chinese() => Language::Chinese,
            Self::Upstream10 => Language::English,
        }
    }

    /// Whether callers say who they are beside their token, in `New-Api-User`.
    pub(super) const fn asks_for_user(self) -> bool {
        match self {
            Self::Documented | Self::Upstream09 => true,
            Self::Upstream10 => false,
        }
    }

    /// What it takes to remove logs.
    pub(super) const fn removes_logs(self) -> Role {
        match self {
            Self::Documented | Self::Upstream09 => Role::Admin,
            Self::Upstream10 => Role::Root,
        }
    }

    /// Whether logs are removed by a task that is asked after, and not while their caller waits.
    pub(super) const fn has_tasks(self) -> bool {
        match self {
            Self::Documented | Self::Upstream09 => false,
            Self::Upstream10 => true,
        }
    }

    /// Whether callers who are refused are told so in a status and a code, and not in a message alone.
    pub(super) const fn tells_codes(self) -> bool {
        match self {
            Self::Documented | Self::Upstream09 => false,
            Self::Upstream10 => true,
        }
    }

    /// The access token of a header `Authorization`; nothing where that counts as none.
    pub(super) fn access_token(self, authorization: &str) -> Option<Cow<'_, str>> {
        match self {
            // The word counts wherever it stands, and as it is written here.
            Self::Documented | Self::Upstream09 => {
                (!authorization.is_empty()).then(|| authorization.replacen("Bearer ", "", 1).into())
            }
            Self::Upstream10 => {
                let words: Vec<_> = authorization.split_whitespace().collect();
                match words[..] {
                    [token] => Some(token.into()),
                    [scheme, token] if scheme.eq_ignore_ascii_case("bearer") => Some(token.into()),
                    _ => None,
                }
            }
        }
    }

    /// The relay key that a call shows in a parameter `key` or in a header `Authorization`.
    pub(super) fn relay_key<'k>(
        self,
        parameter: Option<&'k str>,
        authorization: Option<&'k str>,
    ) -> Option<ShownKey<'k>> {
        let of_parameter = || parameter.map(ShownKey::new).filter(|key| !key.is_empty());
        let of_header = || authorization.map(ShownKey::of_header).filter(|key| !key.is_empty());
        match self {
            Self::Documented => of_parameter().or_else(of_header),
            Self::Upstream09 => of_parameter(),
            Self::Upstream10 => of_header().map(ShownKey::without_channel).filter(|key| !key.is_empty()),
        }
    }

    /// What is answered of a relay key that is nobody's.
    pub(super) const fn stranger(self) -> Stranger {
        match self {
            Self::Documented => Stranger::IsRefused,
            Self::Upstream09 => Stranger::HasNothing,
            Self::Upstream10 => Stranger::IsTold,
        }
    }

    /// The headers that a page of another site may send. `*` does not stand for `Authorization`, so that such a page cannot
    /// show its key to 1.0, nor to what is documented if that were not said there.
    pub(super) const fn allowed_headers(self) -> &'static str {
        match self {
            Self::Documented => "*,Authorization",
            Self::Upstream09 | Self::Upstream10 => "*",
        }
    }

    /// Whether a page of another site is told that it may send cookies. Browsers do not take that where everyone may
    /// ask, and there are no cookies here: it is said where clients may look for it.
    pub(super) const fn allows_credentials(self) -> bool {
        match self {
            Self::Documented => false,
            Self::Upstream09 | Self::Upstream10 => true,
        }
    }

    /// What 1.0 says of itself in every answer, and to callers that it knows.
    pub(super) const fn tells_version(self) -> bool {
        match self {
            Self::Documented | Self::Upstream09 => false,
            Self::Upstream10 => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialects_are_known_by_their_names() {
        for dialect in Dialect::ALL {
            assert_eq!(Dialect::from_name(dialect.as_str()), Some(dialect));
        }
        assert_eq!(Dialect::from_name("upstream"), Some(Dialect::Upstream10));
        assert_eq!(Dialect::from_name("1.0"), None);
    }

    #[test]
    fn access_tokens_are_read_as_each_version_reads_them() {
        let check = |header: &str, old: Option<&str>, new: Option<&str>| {
            for (dialect, expected) in
                [(Dialect::Documented, old), (Dialect::Upstream09, old), (Dialect::Upstream10, new)]
            {
                assert_eq!(dialect.access_token(header).as_deref(), expected, "{dialect:?} {header:?}");
            }
        };
        check("", None, None);
        check("t", Some("t"), Some("t"));
        check("Bearer t", Some("t"), Some("t"));
        check("bearer t", Some("bearer t"), Some("t"));
        check("BEARER  t", Some("BEARER  t"), Some("t"));
        check("tBearer ", Some("t"), Some("tBearer"));
        check("Bearer Bearer t", Some("Bearer t"), None);
        check("Basic t", Some("Basic t"), None);
        check("Bearer", Some("Bearer"), Some("Bearer"));
        check("Bearer a b", Some("a b"), None);
    }

    #[test]
    fn relay_keys_are_read_where_each_version_looks_for_them() {
        let check = |parameter, header, expected: [Option<&str>; 3]| {
            let expected = expected.map(|key| key.map(|key| ShownKey::new(key).digest()));
            let found = Dialect::ALL.map(|dialect| dialect.relay_key(parameter, header));
            assert_eq!(found.map(|key| key.map(ShownKey::digest)), expected, "{parameter:?} {header:?}");
        };
        check(None, None, [None; 3]);
        check(Some("sk-a"), None, [Some("a"), Some("a"), None]);
        check(Some("a-7"), None, [Some("a-7"), Some("a-7"), None]);
        check(None, Some("Bearer sk-a-7"), [Some("a-7"), None, Some("a")]);
        check(None, Some("bearer  a "), [Some("a"), None, Some("a")]);
        check(None, Some("sk-a"), [Some("a"), None, Some("a")]);
        check(Some("a"), Some("Bearer b"), [Some("a"), Some("a"), Some("b")]);
        check(Some(""), Some("sk-"), [None; 3]);
        check(Some(""), Some("Bearer sk-b"), [Some("b"), None, Some("b")]);
        check(Some("sk-"), Some("b"), [Some("b"), None, Some("b")]);
    }

    #[test]
    fn only_the_newest_asks_for_a_language() {
        let check = |accepted, expected: Language| {
            assert_eq!(Dialect::Upstream10.language(accepted), expected, "{accepted:?}");
            for old in [Dialect::Documented, Dialect::Upstream09] {
                assert_eq!(old.language(accepted), Language::Chinese);
            }
        };
        check(None, Language::English);
        check(Some("de-DE,zh;q=0.9"), Language::English);
        check(Some("zh-CN,en;q=0.9"), Language::Chinese);
        check(Some("ZH-tw"), Language::Chinese);
        check(Some(""), Language::English);
    }
}
