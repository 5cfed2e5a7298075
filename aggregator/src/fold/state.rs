//! The windows with what keeps them exact: the ids and the sequences that are in them.

use weir_event::Timestamp;
use weir_event::bus::{LiveSnapshot, UsageEntry};

use super::ids::RecentIds;
use super::lengths::WindowLengths;
use super::question::Question;
use super::reread::Changes;
use super::sequences::Sequences;
use super::warm_up::Past;
use super::windows::{AHEAD_MAX_MS, Placed, Windows};

/// How far the clocks of this process and of NATS may be apart, in milliseconds.
const CLOCKS_APART_MAX_MS: u64 = 60_000;

/// How much may be kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Series with windows of their own, at most: API token, model, provider, user and channel.
    /// So many tenants, too, but a thousand at least.
    pub keys_max: usize,
    /// Ids of recently folded events, at most; more of them for as long as messages come that were published while the past was read.
    pub ids_max: usize,
    /// How long the windows are.
    pub windows: WindowLengths,
}

/// Everything that is folded so far.
#[derive(Debug)]
pub struct Fold {
    pub(super) windows: Windows,
    pub(super) ids: RecentIds,
    pub(super) sequences: Sequences,
    pub(super) changes: Changes,
    pub(super) warm: bool,
    pub(super) through: Option<Timestamp>,
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
    /// Of those that were folded: into the rest, for there are more series than are kept.
    pub rest: u64,
    /// Of a tenant without a place, for there are more of them than are kept.
    pub homeless: u64,
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
            windows: Windows::new(&limits, now),
            ids: RecentIds::new(limits.ids_max, Past::needed_at(now, &limits.windows).ids_from_ms),
            sequences,
            changes: Changes::default(),
            warm: false,
            through: None,
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
            if self.changes.was_read(&entry.scope, sequence) {
                applied.redelivered += 1;
                continue;
            }
            self.keep_aside(sequence, entry, now);
            self.fold(entry, now).count_in(&mut applied);
        }
        applied
    }

    /// All messages that were published before `at` are folded, or were read by the warm-up: `at` is when the last one that
    /// was folded was published, or a time at which the server was asked and had none. An earlier time than before changes
    /// nothing.
    pub fn folded_through(&mut self, at: Timestamp) {
        self.through = self.through.max(Some(at));
        for ids in self.changes.ids_of_all(&mut self.ids) {
            ids.folded_through(at);
        }
    }

    /// Rows were read by `now`, and whatever was published by then may tell of them: their ids are held until all of it is folded.
    pub(super) fn hold_ids(&mut self, now: Timestamp) {
        let until = now.saturating_add_millis(CLOCKS_APART_MAX_MS);
        for ids in self.changes.ids_of_all(&mut self.ids) {
            ids.hold_until(until);
        }
    }

    /// What is asked for of the windows that end at `now`. Of which shards that is, is not known here.
    #[must_use]
    pub fn snapshot(&self, question: &Question, now: Timestamp) -> Snapshot {
        let answer = self.windows.answer(question, now);
        let is_outdated = self.changes.is_outdated(&question.scope);
        let has_all = self.windows.have_all_of(&question.scope, now);
        let whole = self.warm && !is_outdated && has_all && self.windows.reach_back_from(now);
        let mut live = LiveSnapshot {
            as_of: now,
            complete_through: self.through.filter(|_| whole),
            complete: whole && answer.beyond_range == 0,
            shards: Vec::new(),
            late: answer.late,
            rows: answer.rows,
        };
        if let Some(top) = question.top_of_parts() {
            live.keep_top(top);
        }
        Snapshot { live, beyond_range: answer.beyond_range }
    }

    /// Whether all of the past has to be read, or read again: the clock was set back beyond what was kept, or rows of
    /// too many tenants were changed.
    #[must_use]
    pub fn needs_warm_up(&self, now: Timestamp) -> bool {
        !self.warm || !self.windows.reach_back_from(now)
    }

    /// Lets go of what no window needs any more, and looks which series weigh least. To be called every few seconds, also
    /// when nothing comes in.
    pub fn sweep(&mut self, now: Timestamp) {
        self.windows.sweep(now);
    }

    /// The server will not deliver messages up to `acknowledged` again.
    pub fn settle(&mut self, acknowledged: u64) {
        self.sequences.settle(acknowledged);
    }

    /// Series that have windows of their own.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.windows.keys()
    }

    /// Forgets the oldest ids beyond so many of those that are not held: what all shards remember together is bounded.
    pub fn keep_ids(&mut self, most: usize) {
        let not_held = self.ids_not_held();
        for ids in self.changes.ids_of_all(&mut self.ids) {
            let of_these = ids.not_held();
            ids.keep(if not_held > most { of_these * most / not_held } else { of_these });
        }
    }

    /// Ids that are remembered.
    #[must_use]
    pub fn ids(&self) -> usize {
        self.ids.len() + self.changes.ids().map(RecentIds::len).sum::<usize>()
    }

    /// Ids that may be forgotten: not those that were read and that messages may come for.
    #[must_use]
    pub fn ids_not_held(&self) -> usize {
        self.ids.not_held() + self.changes.ids().map(RecentIds::not_held).sum::<usize>()
    }

    pub(super) fn fold(&mut self, entry: &UsageEntry, now: Timestamp) -> Outcome {
        let ids = self.changes.ids_of(&entry.scope, &mut self.ids);
        // What was kept had not ended later than AHEAD_MAX_MS after it was folded, so an event that ended later than
        // this, and whose id is not known, was never folded.
        let surely_known_ms = ids.complete_from_ms() + AHEAD_MAX_MS;
        if entry.duplicate && entry.created_at.millis() <= surely_known_ms {
            return Outcome::Duplicate;
        }
        if !ids.insert(entry.id, now) {
            return if entry.duplicate { Outcome::Duplicate } else { Outcome::Repeated };
        }
        Outcome::Placed(self.windows.add(entry, now))
    }
}

pub(super) enum Outcome {
    Duplicate,
    Repeated,
    Placed(Placed),
}

impl Outcome {
    fn count_in(self, applied: &mut Applied) {
        let count = match self {
            Self::Duplicate => &mut applied.duplicate,
            Self::Repeated => &mut applied.repeated,
            Self::Placed(Placed::Kept) => &mut applied.folded,
            Self::Placed(Placed::InRest) => {
                applied.rest += 1;
                &mut applied.folded
            }
            Self::Placed(Placed::Late) => &mut applied.late,
            Self::Placed(Placed::Skewed) => &mut applied.skewed,
            Self::Placed(Placed::Homeless) => &mut applied.homeless,
        };
        *count += 1;
    }
}
