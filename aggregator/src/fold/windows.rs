//! The windows of every API token and model: where an entry's figures are put, and how they are read.

use std::collections::{BTreeMap, HashMap};

use weir_event::bus::{LiveRow, LiveWindow};
use weir_event::{Scope, Timestamp};

use super::buckets::Buckets;
use super::sums::Sums;

/// How far ahead of our clock an event may be and still be kept, in milliseconds.
pub const AHEAD_MAX_MS: i64 = 5 * MINUTE_MS;
/// For how much longer than a window needs it a bucket is kept, in milliseconds: how far the clock may be set back.
pub const SLACK_MS: i64 = 10 * MINUTE_MS;
/// How long after it was committed a row may be published and still be known from the warm-up, in milliseconds.
pub const OVERLAP_MS: i64 = 10 * MINUTE_MS;

pub(super) const SECOND_MS: i64 = 1_000;
pub(super) const MINUTE_MS: i64 = 60 * SECOND_MS;
/// The windows that are read from buckets of one second.
pub(super) const SHORT_MS: [i64; 2] = [MINUTE_MS, 5 * MINUTE_MS];
/// The windows that are read from buckets of one minute.
pub(super) const LONG_MS: [i64; 2] = [60 * MINUTE_MS, 24 * 60 * MINUTE_MS];

/// Whose figures: a tenant's API token and model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    pub(super) scope: &'a Scope,
    pub(super) token: &'a str,
    pub(super) model: &'a str,
}

/// Where the figures of an event went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// Into the windows.
    Kept,
    /// Nowhere: no window reaches back to it.
    Late,
    /// Nowhere: it is too far in the future.
    Skewed,
    /// Nowhere: there are too many API tokens and models.
    NoRoom,
}

/// The rows of a tenant at one time.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<LiveRow>,
    /// How many windows have a cost that leaves the range.
    pub(super) beyond_range: u64,
}

#[derive(Debug, Default)]
struct KeyWindows {
    seconds: Buckets,
    minutes: Buckets,
}

type ByModel = BTreeMap<String, KeyWindows>;
type ByToken = BTreeMap<String, ByModel>;

/// All windows.
#[derive(Debug)]
pub(super) struct Windows {
    scopes: HashMap<Scope, ByToken>,
    keys: usize,
    keys_max: usize,
    /// The latest time that was ever shown to us: what was dropped was dropped by it.
    latest_ms: i64,
    /// Until when the longest window lacks something that there was no room for.
    lacking_until_ms: i64,
}

impl Windows {
    pub(super) fn new(keys_max: usize, now: Timestamp) -> Self {
        Self {
            scopes: HashMap::new(),
            keys: 0,
            keys_max,
            latest_ms: now.millis(),
            lacking_until_ms: i64::MIN,
        }
    }

    /// It is `now`: what is dropped from here on may be as old as that allows.
    pub(super) fn observe(&mut self, now: Timestamp) {
        self.latest_ms = self.latest_ms.max(now.millis());
    }

    /// Takes in the figures of an event that ended at `at`.
    pub(super) fn add(&mut self, key: Key<'_>, at: Timestamp, sums: &Sums, now: Timestamp) -> Placed {
        if at.millis() > now.millis() + AHEAD_MAX_MS {
            Placed::Skewed
        } else if at.minute().millis() <= now.millis() - LONG_MS[1] {
            Placed::Late
        } else {
            self.put(key, at, sums)
        }
    }

    /// Puts figures into the buckets of `at`, as far as these are kept.
    pub(super) fn put(&mut self, key: Key<'_>, at: Timestamp, sums: &Sums) -> Placed {
        let (minute, second) = (at.minute().millis(), at.millis() - at.millis() % SECOND_MS);
        let (minutes_floor, seconds_floor) = (self.minutes_floor(), self.seconds_floor());
        if minute < minutes_floor {
            return Placed::Late;
        }
        let Some(windows) = self.room_for(key) else {
            self.lacking_until_ms = self.lacking_until_ms.max(minute + LONG_MS[1]);
            return Placed::NoRoom;
        };
        windows.minutes.add(minute, sums);
        if second >= seconds_floor {
            windows.seconds.add(second, sums);
        }
        Placed::Kept
    }

    /// The figures of a tenant at `now`, by API token, then model. Pairs with nothing in any window are left out.
    pub(super) fn read(&self, scope: &Scope, now: Timestamp) -> Rows {
        let mut read = Rows::default();
        for (token, models) in self.scopes.get(scope).into_iter().flatten() {
            for (model, windows) in models {
                let sums = windows.read(now.millis());
                if sums.iter().all(|(_, sums)| sums.requests == 0) {
                    continue;
                }
                read.beyond_range +=
                    sums.iter().map(|(_, sums)| u64::from(sums.is_beyond_range())).sum::<u64>();
                let windows: Vec<LiveWindow> = sums
                    .iter()
                    .map(|(length_ms, sums)| sums.to_live(length_ms.unsigned_abs() / 1_000))
                    .collect();
                read.rows.push(LiveRow {
                    token: Some(token.clone()),
                    model: Some(model.clone()),
                    provider: None,
                    user: None,
                    channel: None,
                    rest: false,
                    exact_since: None,
                    windows,
                });
            }
        }
        read
    }

    /// Lets go of what no window needs any more.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.observe(now);
        let (seconds_floor, minutes_floor) = (self.seconds_floor(), self.minutes_floor());
        let mut keys = 0;
        self.scopes.retain(|_, tokens| {
            tokens.retain(|_, models| {
                models.retain(|_, windows| {
                    windows.seconds.drop_before(seconds_floor);
                    windows.minutes.drop_before(minutes_floor);
                    !windows.minutes.is_empty()
                });
                keys += models.len();
                !models.is_empty()
            });
            !tokens.is_empty()
        });
        self.keys = keys;
    }

    /// Whether nothing that a window at `now` needs was dropped because the clock was ahead before.
    pub(super) fn reach_back_from(&self, now: Timestamp) -> bool {
        now.millis() >= self.latest_ms - SLACK_MS
    }

    /// Whether the windows at `now` lack something that there was no room for.
    pub(super) fn lack_something(&self, now: Timestamp) -> bool {
        now.millis() < self.lacking_until_ms
    }

    /// Whether any of `minutes` is kept, or will be when its time has come.
    pub(super) fn hold_any(&self, minutes: &[Timestamp]) -> bool {
        minutes.iter().any(|minute| minute.millis() >= self.minutes_floor())
    }

    pub(super) fn keys(&self) -> usize {
        self.keys
    }

    fn seconds_floor(&self) -> i64 {
        self.latest_ms - SHORT_MS[1] - SLACK_MS
    }

    fn minutes_floor(&self) -> i64 {
        self.latest_ms - LONG_MS[1] - SLACK_MS
    }

    /// The windows of `key`, new ones if there are none and there is room.
    fn room_for(&mut self, key: Key<'_>) -> Option<&mut KeyWindows> {
        let Key { scope, token, model } = key;
        // Looked up by reference first: allocating the names for every entry would cost more than the folding.
        let known = self.scopes.get(scope).and_then(|tokens| tokens.get(token)?.get(model)).is_some();
        if known {
            return self.scopes.get_mut(scope)?.get_mut(token)?.get_mut(model);
        }
        if self.keys >= self.keys_max {
            return None;
        }
        self.keys += 1;
        let tokens = self.scopes.entry(scope.clone()).or_default();
        Some(tokens.entry(token.to_owned()).or_default().entry(model.to_owned()).or_default())
    }
}

impl KeyWindows {
    /// Each window's length and figures, shortest first.
    fn read(&self, now_ms: i64) -> [(i64, Sums); 4] {
        let [first, second] = self.seconds.windows(now_ms, SHORT_MS);
        let [third, fourth] = self.minutes.windows(now_ms, LONG_MS);
        [(SHORT_MS[0], first), (SHORT_MS[1], second), (LONG_MS[0], third), (LONG_MS[1], fourth)]
    }
}
