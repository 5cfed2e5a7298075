//! The unit of a rollup: one UTC window of one tenant.

use std::collections::{BTreeSet, HashSet};

use weir_event::bus::{DirtyMessage, UsageEntry};
use weir_event::{Scope, Timestamp};

/// A tenant and the start of a window: a minute, or a quarter of an hour.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeWindow {
    /// Whose.
    pub scope: Scope,
    /// Its start.
    pub start: Timestamp,
}

impl ScopeWindow {
    /// The minutes that `entries` touch.
    #[must_use]
    pub fn minutes_of(entries: &[UsageEntry]) -> BTreeSet<Self> {
        let distinct: HashSet<_> =
            entries.iter().map(|entry| (&entry.scope, entry.created_at.minute())).collect();
        distinct.into_iter().map(|(scope, start)| Self { scope: scope.clone(), start }).collect()
    }

    /// The minutes that `dirty` names; any time inside of one stands for it.
    #[must_use]
    pub fn minutes_of_dirty(dirty: &DirtyMessage) -> BTreeSet<Self> {
        let minute = |time: &Timestamp| Self { scope: dirty.scope.clone(), start: time.minute() };
        dirty.minutes.iter().map(minute).collect()
    }

    /// Its start in seconds since 1970, as ClickHouse's `DateTime` has it.
    #[must_use]
    pub fn start_s(&self) -> i64 {
        self.start.millis() / 1_000
    }
}
