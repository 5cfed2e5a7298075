//! The windows with what keeps them exact: the ids and the sequences that are in them.

use weir_event::bus::{LiveSnapshot, UsageEntry};
use weir_event::{Scope, Timestamp};

use super::ids::RecentIds;
use super::sequences::Sequences;
use super::sums::Sums;
use super::warm_up::Past;
use super::windows::{AHEAD_MAX_MS, Key, Placed, Windows};

/// How much may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// API token and model pairs with windows, at most.
    pub keys_max: usize,
    /// Ids of recently folded events, at most.
    pub ids_max: usize,
}

/// Everything that is folded so far.
#[derive(Debug)]
pub struct Fold {
    pub(super) windows: Windows,
    pub(super) ids: RecentIds,
    pub(super) sequences: Sequences,
    pub(super) warm: bool,
}

/// What became of the entries of a message, in entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Put into windows.
    pub folded: u64,
    /// In a message that was folded before, or that the warm-up has read.
    pub redelivered: u64,
    /// Marked as duplicates by ingest, and folded before or not known to be missing.
    pub duplicate: u64,
    /// Folded before under the same id, or read by the warm-up.
    pub repeated: u64,
    /// Older than every window.
    pub late: u64,
    /// Too far in the future.
    pub skewed: u64,
    /// Of an API token and model that there is no room for.
    pub no_room: u64,
}

/// The windows of a tenant.
#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// As they are served.
    pub live: LiveSnapshot,
    /// How many windows have a cost that is held at the end of the range of [`weir_event::Usd`].
    pub beyond_range: u64,
}

impl Fold {
    /// Nothing yet: what is served until the first warm-up is done.
    #[must_use]
    pub fn cold(limits: Limits, now: Timestamp) -> Self {
        Self::new(limits, Sequences::default(), now)
    }

    pub(super) fn new(limits: Limits, sequences: Sequences, now: Timestamp) -> Self {
        Self {
            windows: Windows::new(limits.keys_max, now),
            ids: RecentIds::new(limits.ids_max, Past::needed_at(now).ids_from_ms),
            sequences,
            warm: false,
        }
    }

    /// Folds the entries of the message that has `sequence` in the stream.
    pub fn apply(&mut self, sequence: u64, entries: &[UsageEntry], now: Timestamp) -> Applied {
        self.windows.observe(now);
        let mut applied = Applied::default();
        if !self.sequences.insert(sequence) {
            applied.redelivered = entries.len() as u64;
            return applied;
        }
        for entry in entries {
            *self.fold(entry, now).count_in(&mut applied) += 1;
        }
        applied
    }

    /// Rows of `minutes` were changed in ClickHouse, says the message that has `sequence` in the stream. If a window
    /// reaches back to any of them, the past has to be read again: what is folded cannot be taken out. A message that
    /// a warm-up was later than tells it nothing new. Gives whether the past has to be read.
    pub fn outdate(&mut self, sequence: u64, minutes: &[Timestamp], now: Timestamp) -> bool {
        self.windows.observe(now);
        let outdated = self.sequences.insert(sequence) && self.windows.hold_any(minutes);
        if outdated {
            self.warm = false;
        }
        outdated
    }

    /// The windows of `scope` that end at `now`.
    #[must_use]
    pub fn snapshot(&self, scope: &Scope, now: Timestamp) -> Snapshot {
        let read = self.windows.read(scope, now);
        let whole = self.warm && self.windows.reach_back_from(now) && !self.windows.lack_something(now);
        let complete = whole && read.beyond_range == 0;
        Snapshot {
            live: LiveSnapshot {
                as_of: now,
                complete_through: None,
                complete,
                shards: Vec::new(),
                late: 0,
                rows: read.rows,
            },
            beyond_range: read.beyond_range,
        }
    }

    /// Whether the past has to be read, or read again: the clock was set back beyond what was kept, or rows that are in
    /// the windows were changed.
    #[must_use]
    pub fn needs_warm_up(&self, now: Timestamp) -> bool {
        !self.warm || !self.windows.reach_back_from(now)
    }

    /// Lets go of what no window needs any more. To be called every few seconds, also when nothing comes in.
    pub fn sweep(&mut self, now: Timestamp) {
        self.windows.sweep(now);
    }

    /// How many messages below `first_sequence`, the stream's first, were not folded. They are gone.
    #[must_use]
    pub fn missing_below(&self, first_sequence: u64) -> u64 {
        self.sequences.missing_below(first_sequence)
    }

    /// The server will not deliver messages up to `acknowledged` again.
    pub fn settle(&mut self, acknowledged: u64) {
        self.sequences.settle(acknowledged);
    }

    /// API token and model pairs that have windows.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.windows.keys()
    }

    /// Ids that are remembered.
    #[must_use]
    pub fn ids(&self) -> usize {
        self.ids.len()
    }

    fn fold(&mut self, entry: &UsageEntry, now: Timestamp) -> Outcome {
        // What was kept had not ended later than AHEAD_MAX_MS after it was folded, so an event that ended later than
        // this, and whose id is not known, was never folded.
        let surely_known_ms = self.ids.complete_from_ms() + AHEAD_MAX_MS;
        if entry.duplicate && entry.created_at.millis() <= surely_known_ms {
            return Outcome::Duplicate;
        }
        if !self.ids.insert(entry.id, now) {
            return if entry.duplicate { Outcome::Duplicate } else { Outcome::Repeated };
        }
        let key = Key { scope: &entry.scope, token: &entry.token, model: &entry.model };
        Outcome::Placed(self.windows.add(key, entry.created_at, &Sums::of(entry), now))
    }
}

enum Outcome {
    Duplicate,
    Repeated,
    Placed(Placed),
}

impl Outcome {
    fn count_in(self, applied: &mut Applied) -> &mut u64 {
        match self {
            Self::Duplicate => &mut applied.duplicate,
            Self::Repeated => &mut applied.repeated,
            Self::Placed(Placed::Kept) => &mut applied.folded,
            Self::Placed(Placed::Late) => &mut applied.late,
            Self::Placed(Placed::Skewed) => &mut applied.skewed,
            Self::Placed(Placed::NoRoom) => &mut applied.no_room,
        }
    }
}
