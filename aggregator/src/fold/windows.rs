//! The windows of every series: where an entry's figures are put, and what is kept.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use weir_event::bus::UsageEntry;
use weir_event::{Scope, Timestamp};

use super::buckets::Buckets;
use super::figures::{Part, Source};
use super::heavy::Candidates;
use super::lengths::WindowLengths;
use super::names::{NameIds, Names};
use super::series::{Floors, Series};
use super::state::Limits;

/// How far ahead of our clock an event may be and still be kept, in milliseconds.
pub const AHEAD_MAX_MS: i64 = 5 * MINUTE_MS;
/// For how much longer than a window needs it a bucket is kept, in milliseconds: how far the clock may be set back.
pub const SLACK_MS: i64 = 10 * MINUTE_MS;
/// How long after it was committed a row may be published and still be known from the warm-up, in milliseconds.
pub const OVERLAP_MS: i64 = 10 * MINUTE_MS;
/// An entry that comes longer after its end than this, in milliseconds, is counted as late.
pub const LATE_AFTER_MS: i64 = MINUTE_MS;

pub(super) const SECOND_MS: i64 = 1_000;
pub(super) const MINUTE_MS: i64 = 60 * SECOND_MS;
pub(super) const HOUR_MS: i64 = 60 * MINUTE_MS;

/// How often what series weigh is halved.
const HALVE_AFTER_MS: i64 = 10 * MINUTE_MS;
/// How many series may lose their places between two sweeps.
const VICTIMS_MAX: usize = 1_024;
/// So many tenants are kept at least, however few series are.
const TENANTS_LEAST: usize = 1_000;
/// A candidate is so many times as heavy as a series whose place it takes: two of the same weight do not take turns.
const HEAVIER: u64 = 2;

/// Whose figures: a tenant's, and what a series is told apart by, in the order of [`weir_event::Dimension::ALL`].
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Key<'a> {
    pub(super) scope: &'a Scope,
    pub(super) names: [&'a str; 5],
}

/// Where the figures of an event went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// Into a series of its names.
    Kept,
    /// Into the tenant's rest, for there are too many series.
    InRest,
    /// Nowhere: no window reaches back to it.
    Late,
    /// Nowhere: it is too far in the future.
    Skewed,
    /// Nowhere: there are more tenants than are kept.
    Homeless,
}

/// The series of a tenant.
#[derive(Debug)]
pub(super) struct Scoped {
    pub(super) series: HashMap<NameIds, Box<Series>>,
    /// What there was no series for.
    pub(super) rest: Option<Box<Series>>,
    /// By the minute of their end, as requests: calls that came late.
    late: Buckets,
    /// Until then a window may reach back to calls that there was no place for, in milliseconds.
    lacks_until_ms: i64,
}

/// All windows.
#[derive(Debug)]
pub(super) struct Windows {
    pub(super) scopes: HashMap<Scope, Scoped>,
    pub(super) names: Names,
    pub(super) lengths: WindowLengths,
    keys: usize,
    keys_max: usize,
    /// What [`Scoped::lacks_until_ms`] is of a tenant that comes now.
    homeless_until_ms: i64,
    /// The latest time that was ever shown to us: what was dropped was dropped by it.
    latest_ms: i64,
    candidates: Candidates,
    /// While the past is read, if it has more series than there are places: the hashes of those that get one.
    chosen: Option<HashSet<u64>>,
    hasher: RandomState,
    /// The series that weigh least, the least last, as the last sweep found them.
    victims: Vec<(u32, Scope, NameIds)>,
    halved_ms: i64,
    names_after_sweep: usize,
}

impl<'a> Key<'a> {
    pub(super) fn of(entry: &'a UsageEntry) -> Self {
        let UsageEntry { scope, token, model, provider, user, channel, .. } = entry;
        Self { scope, names: [token, model, provider, user, channel] }
    }
}

impl Windows {
    pub(super) fn new(limits: &Limits, now: Timestamp) -> Self {
        Self {
            scopes: HashMap::new(),
            names: Names::default(),
            lengths: limits.windows,
            keys: 0,
            keys_max: limits.keys_max,
            homeless_until_ms: i64::MIN,
            latest_ms: now.millis(),
            candidates: Candidates::of(limits.keys_max),
            chosen: None,
            hasher: RandomState::new(),
            victims: Vec::new(),
            halved_ms: now.millis(),
            names_after_sweep: 0,
        }
    }

    /// It is `now`: what is dropped from here on may be as old as that allows.
    pub(super) fn observe(&mut self, now: Timestamp) {
        self.latest_ms = self.latest_ms.max(now.millis());
    }

    /// Takes in an event.
    pub(super) fn add(&mut self, entry: &UsageEntry, now: Timestamp) -> Placed {
        let (at_ms, now_ms) = (entry.created_at.millis(), now.millis());
        if at_ms > now_ms + AHEAD_MAX_MS {
            return Placed::Skewed;
        }
        if at_ms - at_ms % self.lengths.widest_ms() <= now_ms - self.lengths.longest_ms() {
            return Placed::Late;
        }
        let late = u64::from(now_ms - at_ms > LATE_AFTER_MS);
        self.put(Key::of(entry), at_ms, Source::Entry(entry), late)
    }

    /// Puts figures, of which so many calls came late, into the buckets of `at_ms`, as far as these are kept.
    pub(super) fn put(&mut self, key: Key<'_>, at_ms: i64, source: Source<'_>, late: u64) -> Placed {
        let floors = self.floors();
        if at_ms.div_euclid(MINUTE_MS) < floors.minute {
            return Placed::Late;
        }
        if !self.scopes.contains_key(key.scope) {
            if self.scopes.len() >= self.keys_max.max(TENANTS_LEAST) {
                self.homeless_until_ms = self.latest_ms.max(at_ms) + self.lengths.longest_ms() + SLACK_MS;
                return Placed::Homeless;
            }
            let lacks_until_ms = self.homeless_until_ms;
            self.scopes.insert(key.scope.clone(), Scoped { lacks_until_ms, ..Scoped::default() });
        }
        let ids = self.names.find(key.names);
        let Some(scoped) = self.scopes.get_mut(key.scope) else { return Placed::Late };
        if late > 0 {
            let count = |figures: &mut super::Figures| figures.sums.requests += late;
            scoped.late.update(at_ms.div_euclid(MINUTE_MS), count);
        }
        if let Some(series) = ids.and_then(|ids| scoped.series.get_mut(&ids)) {
            series.put(at_ms, source, &floors);
            return Placed::Kept;
        }
        let Some(weight) = self.room_for(key, source.requests()) else {
            let Some(scoped) = self.scopes.get_mut(key.scope) else { return Placed::Late };
            let rest = scoped.rest.get_or_insert_with(|| Box::new(Series::new(i64::MIN)));
            rest.put(at_ms, source, &floors);
            return Placed::InRest;
        };
        self.keys += 1;
        let ids = self.names.intern(key.names);
        let Some(scoped) = self.scopes.get_mut(key.scope) else { return Placed::Late };
        // What it had before, if anything, went into the rest.
        let rest = scoped.rest.as_ref().filter(|_| self.chosen.is_none());
        let since_ms = rest.and_then(|rest| rest.nothing_since_ms()).unwrap_or(i64::MIN);
        let series = scoped.series.entry(ids).or_insert_with(|| Box::new(Series::new(since_ms)));
        series.put(at_ms, source, &floors);
        series.weight = weight;
        Placed::Kept
    }

    /// Lets go of what no window needs any more.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.observe(now);
        let floors = self.floors();
        let halve = now.millis().abs_diff(self.halved_ms) >= HALVE_AFTER_MS.unsigned_abs();
        if halve {
            self.halved_ms = now.millis();
            self.candidates.halve();
        }
        let mut keys = 0;
        self.scopes.retain(|_, scoped| {
            scoped.sweep(&floors, halve);
            keys += scoped.series.len();
            !scoped.is_empty()
        });
        self.keys = keys;
        self.choose_victims();
        if self.names.len() > 2 * self.names_after_sweep + 1_024 || keys == 0 {
            let scopes = self.scopes.values();
            self.names.keep_only(scopes.flat_map(|scoped| scoped.series.keys().copied()));
            self.names_after_sweep = self.names.len();
        }
    }

    /// Whether nothing that a window at `now` needs was dropped because the clock was ahead before.
    pub(super) fn reach_back_from(&self, now: Timestamp) -> bool {
        now.millis() >= self.latest_ms - SLACK_MS
    }

    /// Whether all calls of a tenant had a place that a window at `now` reaches back to.
    pub(super) fn have_all_of(&self, scope: &Scope, now: Timestamp) -> bool {
        let scoped = self.scopes.get(scope);
        let lacks_until_ms = scoped.map_or(self.homeless_until_ms, |scoped| scoped.lacks_until_ms);
        now.millis() >= lacks_until_ms
    }

    /// Whether any of `minutes` is kept, or will be when its time has come.
    pub(super) fn hold_any(&self, minutes: &[Timestamp]) -> bool {
        let floor = self.floors().minute;
        minutes.iter().any(|minute| minute.millis().div_euclid(MINUTE_MS) >= floor)
    }

    pub(super) fn keys(&self) -> usize {
        self.keys
    }

    /// How a series is told apart from others.
    pub(super) fn hash(&self, key: Key<'_>) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Whether a series that comes may find no place.
    pub(super) fn is_tight(&self) -> bool {
        self.keys >= self.keys_max || !self.candidates.is_empty()
    }

    /// The hashes of the series of a tenant that have places.
    pub(super) fn places_of(&self, scope: &Scope) -> impl Iterator<Item = u64> {
        let series = self.scopes.get(scope).into_iter().flat_map(|scoped| scoped.series.keys());
        series.map(move |ids| self.hash(Key { scope, names: self.names.texts(*ids) }))
    }

    /// Windows without anything, by which a series has the same hash as by these.
    pub(super) fn empty_like(&self, limits: &Limits, now: Timestamp) -> Self {
        Self { hasher: self.hasher.clone(), ..Self::new(limits, now) }
    }

    /// Puts what `other` has of tenants in the place of what is here of them. Should there be more series than places then, the
    /// lightest of theirs are moved into their rests.
    pub(super) fn replace(&mut self, scopes: &BTreeSet<Scope>, other: &mut Self) {
        for scope in scopes {
            let replaced = self.scopes.remove(scope).unwrap_or_default();
            self.keys -= replaced.series.len();
            let Some(mut read) = other.scopes.remove(scope) else { continue };
            for (ids, mut series) in std::mem::take(&mut read.series) {
                let ids = self.names.intern(other.names.texts(ids));
                // What is read is of a whole day: it weighs what it weighed beside the others.
                series.weight = replaced.series.get(&ids).map_or(0, |replaced| replaced.weight);
                read.series.insert(ids, series);
            }
            self.keys += read.series.len();
            self.scopes.insert(scope.clone(), read);
        }
        let excess = self.keys.saturating_sub(self.keys_max);
        for (_, scope, ids) in self.lightest(excess, |scope| scopes.contains(scope)) {
            self.move_to_rest(&scope, ids);
        }
    }

    /// From here on these series get a place, and no others do; with `None` whatever comes first.
    pub(super) fn choose(&mut self, chosen: Option<HashSet<u64>>) {
        self.chosen = chosen;
    }

    fn floors(&self) -> Floors {
        Floors::at(self.latest_ms, &self.lengths)
    }

    /// Whether a series may be made of what comes next, and how much it weighs then. If all places are taken, it has to be
    /// heavier than one that has a place.
    fn room_for(&mut self, key: Key<'_>, requests: u64) -> Option<u32> {
        let as_weight = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        if let Some(chosen) = &self.chosen {
            let hash = self.hash(key);
            if chosen.contains(&hash) && self.keys < self.keys_max {
                return Some(as_weight(requests));
            }
            self.candidates.note(hash, requests);
            return None;
        }
        if self.keys < self.keys_max && self.candidates.is_empty() {
            return Some(as_weight(requests));
        }
        let hash = self.hash(key);
        let weight = self.candidates.note(hash, requests);
        if self.keys >= self.keys_max && !self.evict_lighter_than(weight) {
            return None;
        }
        self.candidates.remove(hash);
        Some(as_weight(weight))
    }

    /// Moves a series that is much lighter into its tenant's rest. Gives whether there was one.
    fn evict_lighter_than(&mut self, weight: u64) -> bool {
        while let Some((known_weight, ..)) = self.victims.last() {
            if u64::from(*known_weight) * HEAVIER >= weight {
                return false;
            }
            let Some((_, scope, ids)) = self.victims.pop() else { return false };
            let is_light = |series: &Series| u64::from(series.weight) * HEAVIER < weight;
            let series = self.scopes.get(&scope).and_then(|scoped| scoped.series.get(&ids));
            if series.is_some_and(|series| is_light(series)) {
                return self.move_to_rest(&scope, ids);
            }
        }
        false
    }

    /// Takes a series' place away. Gives whether there was one.
    fn move_to_rest(&mut self, scope: &Scope, ids: NameIds) -> bool {
        let Some(scoped) = self.scopes.get_mut(scope) else { return false };
        let Some(series) = scoped.series.remove(&ids) else { return false };
        let rest = scoped.rest.get_or_insert_with(|| Box::new(Series::new(i64::MIN)));
        rest.take_in(&series);
        self.keys -= 1;
        true
    }

    /// Finds the lightest series, where there are candidates for their places.
    fn choose_victims(&mut self) {
        let is_needed = !self.candidates.is_empty() && self.keys >= self.keys_max;
        self.victims = if is_needed { self.lightest(VICTIMS_MAX, |_| true) } else { Vec::new() };
    }

    /// So many series of these tenants that weigh least, the least last.
    fn lightest(&self, most: usize, is_meant: impl Fn(&Scope) -> bool) -> Vec<(u32, Scope, NameIds)> {
        let scopes = self.scopes.iter().filter(|(scope, _)| is_meant(scope));
        let weights = scopes.flat_map(|(scope, scoped)| {
            scoped.series.iter().map(move |(ids, series)| (series.weight, scope, *ids))
        });
        let mut weights: Vec<_> = if most > 0 { weights.collect() } else { Vec::new() };
        let count = most.min(weights.len());
        if let Some(last) = count.checked_sub(1) {
            weights.select_nth_unstable_by_key(last, |(weight, ..)| *weight);
        }
        weights.truncate(count);
        weights.sort_unstable_by_key(|(weight, ..)| std::cmp::Reverse(*weight));
        let owned = |(weight, scope, ids): (u32, &Scope, NameIds)| (weight, scope.clone(), ids);
        weights.into_iter().map(owned).collect()
    }
}

impl Default for Scoped {
    fn default() -> Self {
        let (series, rest, late) = (HashMap::new(), None, Buckets::default());
        Self { series, rest, late, lacks_until_ms: i64::MIN }
    }
}

impl Scoped {
    fn sweep(&mut self, floors: &Floors, halve: bool) {
        self.series.retain(|_, series| {
            series.sweep(floors);
            if halve {
                series.weight /= 2;
            }
            !series.is_empty()
        });
        if let Some(rest) = &mut self.rest {
            rest.sweep(floors);
        }
        self.rest = self.rest.take().filter(|rest| !rest.is_empty());
        self.late.drop_before(floors.minute);
    }

    fn is_empty(&self) -> bool {
        self.series.is_empty() && self.rest.is_none() && self.late.is_empty()
    }

    /// Calls that ended in the last `length_ms` and came late.
    pub(super) fn late(&self, now_ms: i64, length_ms: i64) -> u64 {
        let mut figures = super::Figures::default();
        for (minute, held) in self.late.iter() {
            let start_ms = minute * MINUTE_MS;
            if now_ms - length_ms < start_ms && start_ms <= now_ms {
                held.add_to(Part::Sums, &mut figures);
            }
        }
        figures.sums.requests
    }
}
