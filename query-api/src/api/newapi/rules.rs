//! What differs between the versions in rows: how kinds are numbered, what names stand for, what users see as ids.

use weir_event::EventKind;

use super::dialect::Dialect;
use super::pattern::Patterns;
use crate::metrics::Route;

/// What is asked. Failures are told by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// What there is here.
    Status,
    /// Who the caller is.
    User,
    /// A page of all rows of a tenant.
    List,
    /// A page of a user's own.
    OwnList,
    /// Statistics.
    Stat,
    /// A user's own.
    OwnStat,
    /// Rows by a word.
    Search,
    /// A user's own.
    OwnSearch,
    /// The rows of a relay key.
    OfKey,
    /// Sums by hour.
    Hours,
    /// A user's own.
    OwnHours,
    /// What a relay key was granted.
    Subscription,
    /// What it has used, as OpenAI tells it.
    Billing,
    /// What it was granted and has used.
    KeyUsage,
    /// That logs go, or how far that is.
    Removal,
}

/// The kinds with their numbers, but for the two that are numbered in two ways.
const KINDS: [(EventKind, u8); 5] = [
    (EventKind::Topup, 1),
    (EventKind::Consume, 2),
    (EventKind::Manage, 3),
    (EventKind::Refund, 6),
    (EventKind::Login, 7),
];

impl Question {
    /// How metrics and spans name it.
    pub(super) const fn route(self) -> Route {
        match self {
            Self::Status => Route::NewApiStatus,
            Self::User => Route::NewApiUser,
            Self::List => Route::NewApiList,
            Self::OwnList => Route::NewApiOwnList,
            Self::Stat => Route::NewApiStat,
            Self::OwnStat => Route::NewApiOwnStat,
            Self::Search => Route::NewApiSearch,
            Self::OwnSearch => Route::NewApiOwnSearch,
            Self::OfKey => Route::NewApiKeyList,
            Self::Hours => Route::NewApiHours,
            Self::OwnHours => Route::NewApiOwnHours,
            Self::Subscription => Route::NewApiSubscription,
            Self::Billing => Route::NewApiBilling,
            Self::KeyUsage => Route::NewApiKeyUsage,
            Self::Removal => Route::NewApiDelete,
        }
    }

    /// What OpenAI's clients are told that a failure is of; nothing where others ask.
    pub(super) const fn openai_type(self) -> Option<&'static str> {
        match self {
            Self::Subscription => Some("upstream_error"),
            Self::Billing => Some("new_api_error"),
            Self::Status
            | Self::User
            | Self::List
            | Self::OwnList
            | Self::Stat
            | Self::OwnStat
            | Self::Search
            | Self::OwnSearch
            | Self::OfKey
            | Self::Hours
            | Self::OwnHours
            | Self::KeyUsage
            | Self::Removal => None,
        }
    }
}

impl Dialect {
    /// The number of a kind.
    pub(super) fn type_of(self, kind: EventKind) -> u8 {
        let same = KINDS.iter().find(|(one, _)| *one == kind).map(|(_, number)| *number);
        same.unwrap_or_else(|| if self.numbers_errors_first() == (kind == EventKind::Error) { 4 } else { 5 })
    }

    /// The kind that a number means.
    pub(super) fn kind_of(self, number: i64) -> Option<EventKind> {
        EventKind::ALL.iter().copied().find(|kind| i64::from(self.type_of(*kind)) == number)
    }

    /// Whether 4 is an error and 5 the system, or the other way round.
    const fn numbers_errors_first(self) -> bool {
        match self {
            Self::Documented => true,
            Self::Upstream09 | Self::Upstream10 => false,
        }
    }

    /// Rows on a page where it is not said.
    pub(super) const fn page_size(self) -> i64 {
        match self {
            Self::Documented => 20,
            Self::Upstream09 | Self::Upstream10 => 10,
        }
    }

    /// How a model's name is read.
    pub(super) const fn patterns(self) -> Patterns {
        match self {
            Self::Documented | Self::Upstream09 => Patterns::Always,
            Self::Upstream10 => Patterns::Explicit,
        }
    }

    /// How a user's name is read; to the letter where there is nothing to be said.
    pub(super) const fn user_patterns(self) -> Option<Patterns> {
        match self {
            Self::Documented | Self::Upstream09 => None,
            Self::Upstream10 => Some(Patterns::Explicit),
        }
    }

    /// Whether lists are filtered by the ids of requests.
    pub(super) const fn knows_request_ids(self) -> bool {
        match self {
            Self::Upstream09 => false,
            Self::Documented | Self::Upstream10 => true,
        }
    }

    /// Whether users see the place of a row as its id, or else what of its own is left by 1,024.
    pub(super) const fn shows_places(self) -> bool {
        match self {
            Self::Documented | Self::Upstream09 => false,
            Self::Upstream10 => true,
        }
    }

    /// Whether users are told the name and the type of the channel that an error was of. Upstream leaves both in `other`, though it
    /// takes the channel's name from everything else that users see.
    pub(super) const fn names_failed_channels(self) -> bool {
        match self {
            Self::Documented => false,
            Self::Upstream09 | Self::Upstream10 => true,
        }
    }

    /// Whether there is no search any more.
    pub(super) const fn has_retired_search(self) -> bool {
        match self {
            Self::Documented | Self::Upstream09 => false,
            Self::Upstream10 => true,
        }
    }

    /// Whether hours have the names of what they could be split by too.
    pub(super) const fn splits_hours(self) -> bool {
        match self {
            Self::Documented | Self::Upstream09 => false,
            Self::Upstream10 => true,
        }
    }

    /// Whether admins may ask for hours by user, of all models together.
    pub(super) const fn has_hours_by_user(self) -> bool {
        match self {
            Self::Documented | Self::Upstream09 => false,
            Self::Upstream10 => true,
        }
    }

    /// What is said where something cannot be had, if it depends on what that is. 0.9 tells zeros where statistics fail; here
    /// nobody is told that nothing was used when nobody knows.
    pub(super) const fn regret(self, question: Question) -> Option<&'static str> {
        use Question::{List, OfKey, OwnList, OwnSearch, OwnStat, Search, Stat};
        match (self, question) {
            (Self::Documented, List | OwnList | OfKey) => Some("获取日志失败"),
            (Self::Documented, Stat | OwnStat) => Some("获取统计信息失败"),
            (Self::Documented, Search | OwnSearch) => Some("搜索日志失败"),
            (Self::Upstream10, OwnList) => Some("查询日志失败"),
            (Self::Upstream10, Stat | OwnStat) => Some("查询统计数据失败"),
            // In words that fit all that can be asked.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_number_of_its_own() {
        for dialect in Dialect::ALL {
            let mut numbers: Vec<_> = EventKind::ALL.iter().map(|kind| dialect.type_of(*kind)).collect();
            for (kind, number) in EventKind::ALL.iter().zip(&numbers) {
                assert_eq!(dialect.kind_of(i64::from(*number)), Some(*kind));
            }
            numbers.sort_unstable();
            assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7]);
            assert_eq!((dialect.kind_of(0), dialect.kind_of(8), dialect.kind_of(-2)), (None, None, None));
        }
        let errors = Dialect::ALL.map(|dialect| dialect.type_of(EventKind::Error));
        assert_eq!(errors, [4, 5, 5]);
    }
}
