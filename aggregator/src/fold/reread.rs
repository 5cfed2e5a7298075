//! Tenants whose rows were changed: their past is read again, beside everything else.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use weir_event::bus::UsageEntry;
use weir_event::{Scope, Timestamp};

use super::ids::RecentIds;
use super::state::{Fold, Limits};
use super::warm_up::WarmUp;
use super::windows::Windows;

/// How many tenants a reading is of, at most: where rows of more are changed, all of the past is read.
const TENANTS_MAX: usize = 256;
/// How many tenants may have been read again, at most, before all of the past is.
const ORIGINS_MAX: usize = 4_096;
/// How many entries of theirs may come while they are read, at most: with more, all of the past is read.
const ASIDE_MAX: usize = 100_000;

/// What is known of tenants whose rows were changed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Those whose windows have rows as they were before, with the highest sequence of the messages that said so.
    outdated: BTreeMap<Scope, u64>,
    /// Where the windows of those begin that were read again.
    origins: HashMap<Scope, Origin>,
    aside: Option<Aside>,
}

/// What the windows of a tenant were made from, if not from what those of all others were.
#[derive(Debug)]
struct Origin {
    /// Messages up to this one were in the past that was read.
    last_sequence: u64,
    /// Its ids: those that were read, and those that came since. What was known of its ids before is of windows that are gone.
    ids: RecentIds,
}

/// What comes of tenants while their past is read: with the sequence of its message, and when it came.
#[derive(Debug)]
struct Aside {
    scopes: BTreeSet<Scope>,
    entries: Vec<(u64, UsageEntry, Timestamp)>,
}

/// Tenants whose past is to be read again.
#[derive(Debug)]
pub struct Reread {
    scopes: BTreeSet<Scope>,
    windows: Windows,
    limits: Limits,
}

impl Changes {
    /// Of tenants whose past is being read, each with `ids` of its own.
    pub(super) fn of(scopes: &BTreeSet<Scope>, ids: impl Fn() -> RecentIds) -> Self {
        let origin = |scope: &Scope| (scope.clone(), Origin { last_sequence: 0, ids: ids() });
        Self { origins: scopes.iter().map(origin).collect(), ..Self::default() }
    }

    /// Whether what a message says of a tenant was in its past when that was read again.
    pub(super) fn was_read(&self, scope: &Scope, sequence: u64) -> bool {
        self.origins.get(scope).is_some_and(|origin| sequence <= origin.last_sequence)
    }

    /// Where the ids of a tenant are: its own, or `common` with those of all others.
    pub(super) fn ids_of<'i>(&'i mut self, scope: &Scope, common: &'i mut RecentIds) -> &'i mut RecentIds {
        self.origins.get_mut(scope).map_or(common, |origin| &mut origin.ids)
    }

    /// The ids of each tenant that has its own.
    pub(super) fn ids(&self) -> impl Iterator<Item = &RecentIds> {
        self.origins.values().map(|origin| &origin.ids)
    }

    /// All ids, with the `common` ones.
    pub(super) fn ids_of_all<'i>(
        &'i mut self,
        common: &'i mut RecentIds,
    ) -> impl Iterator<Item = &'i mut RecentIds> {
        std::iter::once(common).chain(self.origins.values_mut().map(|origin| &mut origin.ids))
    }

    pub(super) fn is_outdated(&self, scope: &Scope) -> bool {
        self.outdated.contains_key(scope)
    }
}

impl Reread {
    /// Whose past is to be read.
    #[must_use]
    pub fn scopes(&self) -> &BTreeSet<Scope> {
        &self.scopes
    }

    /// Begins with nothing, at a time before the past is read.
    #[must_use]
    pub fn begin(self, now: Timestamp) -> WarmUp {
        WarmUp::begin_some(&self.scopes, self.windows, self.limits, now)
    }
}

impl Fold {
    /// Rows of `minutes` of a tenant were changed in ClickHouse, says the message that has `sequence` in the stream. If a window
    /// reaches back to any of them, its past has to be read again: what is folded cannot be taken out. A message that
    /// the reading was later than tells it nothing new. Gives whether the past has to be read.
    pub fn outdate(&mut self, sequence: u64, scope: &Scope, minutes: &[Timestamp], now: Timestamp) -> bool {
        self.windows.observe(now);
        let is_news = self.sequences.insert(sequence) && !self.changes.was_read(scope, sequence);
        if !is_news || !self.windows.hold_any(minutes) {
            return false;
        }
        if self.changes.outdated.len() < TENANTS_MAX || self.changes.is_outdated(scope) {
            // One that was published before may come later.
            let latest = self.changes.outdated.entry(scope.clone()).or_default();
            *latest = sequence.max(*latest);
        } else {
            self.read_everything_again();
        }
        true
    }

    /// Whether the past of some tenants has to be read again.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        !self.changes.outdated.is_empty()
    }

    /// What has to be read again, if anything: from here on what comes of these tenants is kept aside as well, until
    /// [`Self::finish_reread`] or [`Self::give_reread_up`].
    pub fn begin_reread(&mut self, limits: Limits, now: Timestamp) -> Option<Reread> {
        if !self.is_outdated() {
            return None;
        }
        let scopes: BTreeSet<Scope> = self.changes.outdated.keys().cloned().collect();
        self.changes.aside = Some(Aside { scopes: scopes.clone(), entries: Vec::new() });
        let mut windows = self.windows.empty_like(&limits, now);
        if self.windows.is_tight() {
            // Nobody else is to lose a place by it.
            let places = scopes.iter().flat_map(|scope| self.windows.places_of(scope));
            windows.choose(Some(places.collect::<HashSet<_>>()));
        }
        Some(Reread { scopes, windows, limits })
    }

    /// Nobody reads any more. What is outdated stays so.
    pub fn give_reread_up(&mut self) {
        self.changes.aside = None;
    }

    /// Puts windows that were read in the place of those that there are, and folds what has come since. `last_sequence` is the
    /// stream's last at a time after the reading was begun and before the past was read.
    pub fn finish_reread(&mut self, read: Self, last_sequence: u64) {
        let Some(Aside { scopes, entries }) = self.changes.aside.take() else { return };
        let Self { mut windows, changes: Changes { origins, .. }, .. } = read;
        self.windows.replace(&scopes, &mut windows);
        for (scope, origin) in origins {
            self.changes.origins.insert(scope, Origin { last_sequence, ..origin });
        }
        self.changes.outdated.retain(|scope, sequence| !scopes.contains(scope) || *sequence > last_sequence);
        for (sequence, entry, came_at) in entries {
            if sequence > last_sequence {
                self.fold(&entry, came_at);
            }
        }
        if self.changes.origins.len() > ORIGINS_MAX {
            self.read_everything_again();
        }
    }

    /// Keeps an entry for the windows that are being read, if it is theirs.
    pub(super) fn keep_aside(&mut self, sequence: u64, entry: &UsageEntry, now: Timestamp) {
        let Some(aside) = &mut self.changes.aside else { return };
        if !aside.scopes.contains(&entry.scope) {
            return;
        }
        if aside.entries.len() < ASIDE_MAX {
            aside.entries.push((sequence, entry.clone(), now));
        } else {
            self.read_everything_again();
        }
    }

    fn read_everything_again(&mut self) {
        self.warm = false;
        self.give_reread_up();
    }
}
