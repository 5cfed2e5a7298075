//! From what ClickHouse has stored to windows that can go on from there.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use weir_event::{EventId, Scope, Timestamp};

use super::figures::{Figures, Source};
use super::ids::RecentIds;
use super::lengths::WindowLengths;
use super::reread::Changes;
use super::sequences::Sequences;
use super::state::{Fold, Limits};
use super::windows::{AHEAD_MAX_MS, Key, MINUTE_MS, OVERLAP_MS, Placed, SLACK_MS, Windows};

/// What of `logs` a warm-up at a certain time asks for. All bounds are inclusive, in epoch milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// Rows with a `created_at` from here on, the start of a minute.
    pub from_ms: i64,
    /// Those from here on by second, the ones before by minute; the start of a minute.
    pub by_second_from_ms: i64,
    /// Rows with a `created_at` up to here.
    pub until_ms: i64,
    /// The ids of rows with an `ingested_at` or a `created_at` from here on.
    pub ids_from_ms: i64,
}

/// The rows of one series in one second or minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastBucket {
    /// Whose.
    pub scope: Scope,
    /// The API token.
    pub token: String,
    /// The model.
    pub model: String,
    /// Who ran the model.
    pub provider: String,
    /// The user's id.
    pub user: String,
    /// The upstream channel's id.
    pub channel: String,
    /// The start of the second from [`Past::by_second_from_ms`] on, of the minute before it.
    pub start: Timestamp,
    /// Their figures.
    pub figures: Figures,
    /// How many of them were stored more than [`super::LATE_AFTER_MS`] after they had ended.
    pub late: u64,
    /// The ids of those that were stored, or ended, lately.
    pub recent_ids: Vec<EventId>,
}

/// How many requests of a series there are in the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastWeight {
    /// Whose.
    pub scope: Scope,
    /// Token, model, provider, user and channel, in the order of [`weir_event::Dimension::ALL`].
    pub names: [String; 5],
    /// So many.
    pub requests: u64,
}

/// Windows that are being filled from the past. They cannot be read, and take no messages, until they are whole.
#[derive(Debug)]
pub struct WarmUp {
    fold: Fold,
    now: Timestamp,
    keys_max: usize,
    /// The heaviest of the series that were weighed, with their hashes, the lightest first: no more than there are places.
    heaviest: BinaryHeap<Reverse<(u64, u64)>>,
    /// Whether there are others, or something is in a rest.
    is_tight: bool,
}

impl Past {
    /// What windows of these lengths need at `now`.
    #[must_use]
    pub fn needed_at(now: Timestamp, lengths: &WindowLengths) -> Self {
        let now_ms = now.millis();
        let minute = |ms: i64| ms - ms % MINUTE_MS;
        Self {
            from_ms: minute(now_ms - lengths.longest_ms() - SLACK_MS),
            by_second_from_ms: minute(now_ms - lengths.longest_short_ms() - SLACK_MS),
            until_ms: now_ms + AHEAD_MAX_MS,
            ids_from_ms: now_ms - OVERLAP_MS,
        }
    }
}

impl WarmUp {
    /// Begins with nothing. `last_sequence` is the stream's last at a time before the past is read.
    #[must_use]
    pub fn begin(limits: Limits, last_sequence: u64, now: Timestamp) -> Self {
        let mut fold = Fold::new(limits, Sequences::up_to(last_sequence), now);
        fold.ids.hold();
        Self { fold, now, keys_max: limits.keys_max, heaviest: BinaryHeap::new(), is_tight: false }
    }

    /// The same for these tenants, into windows that have nothing yet and know who gets a place. No message is folded into them.
    pub(super) fn begin_some(
        scopes: &BTreeSet<Scope>,
        windows: Windows,
        limits: Limits,
        now: Timestamp,
    ) -> Self {
        let mut warm_up = Self::begin(limits, 0, now);
        let ids_from_ms = warm_up.fold.ids.complete_from_ms();
        warm_up.fold.windows = windows;
        warm_up.fold.changes = Changes::of(scopes, || {
            let mut ids = RecentIds::new(limits.ids_max, ids_from_ms);
            ids.hold();
            ids
        });
        warm_up
    }

    /// Takes in how heavy a series is, once for each of them and before any of the past. If there are more than places the
    /// heaviest get them; without any weights it is those that come first.
    pub fn weigh(&mut self, weight: &PastWeight) {
        let PastWeight { scope, names, requests } = weight;
        let names = names.each_ref().map(String::as_str);
        self.heaviest.push(Reverse((*requests, self.fold.windows.hash(Key { scope, names }))));
        if self.heaviest.len() > self.keys_max {
            self.heaviest.pop();
            self.is_tight = true;
        }
    }

    /// Whether there are more series than places, as far as they were weighed or taken in.
    #[must_use]
    pub fn lacks_places(&self) -> bool {
        self.is_tight
    }

    /// All series are weighed.
    pub fn choose(&mut self) {
        let hashes = std::mem::take(&mut self.heaviest).into_iter().map(|Reverse((_, hash))| hash);
        self.fold.windows.choose(self.is_tight.then(|| hashes.collect()));
    }

    /// Takes in a part of the past.
    pub fn load(&mut self, bucket: &PastBucket) {
        let PastBucket { scope, token, model, provider, user, channel, start, figures, late, .. } = bucket;
        let key = Key { scope, names: [token, model, provider, user, channel] };
        // Only what begins before the bounds that were asked for has no place, and nobody asks for that.
        let placed = self.fold.windows.put(key, start.millis(), Source::Figures(figures), *late);
        self.is_tight |= placed == Placed::InRest;
        let ids = self.fold.changes.ids_of(scope, &mut self.fold.ids);
        for id in &bucket.recent_ids {
            ids.insert(*id, self.now);
        }
    }

    /// All of the past is in, read by `now`.
    #[must_use]
    pub fn finish(mut self, now: Timestamp) -> Fold {
        self.fold.windows.choose(None);
        self.fold.hold_ids(now);
        Fold { warm: true, ..self.fold }
    }
}
