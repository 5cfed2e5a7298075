//! What is to be written, and what is to be acknowledged once it is. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::window::ScopeWindow;

/// Dirty minutes, and the messages that wait for them. `A` acknowledges a message.
#[derive(Debug)]
pub struct Backlog<A> {
    dirty: BTreeSet<ScopeWindow>,
    /// By shard and sequence: a message that is delivered again while it waits is one message.
    waiting: BTreeMap<(u16, u64), Waiting<A>>,
    /// Those that no message waits for.
    marked: BTreeSet<ScopeWindow>,
}

/// A message that is not acknowledged yet.
#[derive(Debug)]
struct Waiting<A> {
    acker: A,
    minutes: BTreeSet<ScopeWindow>,
}

impl<A> Backlog<A> {
    /// Nothing to do.
    #[must_use]
    pub fn new() -> Self {
        Self { dirty: BTreeSet::new(), waiting: BTreeMap::new(), marked: BTreeSet::new() }
    }

    /// Marks minutes dirty that no message waits for.
    pub fn mark(&mut self, minutes: BTreeSet<ScopeWindow>) {
        self.dirty.extend(minutes.iter().cloned());
        self.marked.extend(minutes);
    }

    /// Marks the minutes of a `message`, by shard and sequence, dirty; it is to be acknowledged once all are written.
    pub fn wait(&mut self, message: (u16, u64), minutes: BTreeSet<ScopeWindow>, acker: A) {
        self.dirty.extend(minutes.iter().cloned());
        self.waiting.insert(message, Waiting { acker, minutes });
    }

    /// Forgets the messages that are not ours any more, and the minutes that are dirty for their sake alone: somebody else has
    /// them computed.
    pub fn forget(&mut self, is_ours: impl Fn(&A) -> bool) {
        let before = self.waiting.len();
        self.waiting.retain(|_, message| is_ours(&message.acker));
        if self.waiting.len() < before {
            let waiting = self.waiting.values().flat_map(|message| &message.minutes);
            self.dirty = waiting.chain(&self.marked).cloned().collect();
        }
    }

    /// The dirty minutes but for those `apart`, in groups of at most `size`. They stay dirty until they are
    /// [`Backlog::settle`]d.
    #[must_use]
    pub fn groups(&self, size: usize, apart: &BTreeSet<&ScopeWindow>) -> Vec<Vec<ScopeWindow>> {
        // In order, so that a statement reads neighbouring ranges of `logs`.
        let dirty: Vec<_> = self.dirty.iter().filter(|minute| !apart.contains(minute)).cloned().collect();
        dirty.chunks(size).map(<[_]>::to_vec).collect()
    }

    /// `written` are in the rollups. Gives the messages that need nothing more.
    pub fn settle(&mut self, written: &[ScopeWindow]) -> Vec<A> {
        for minute in written {
            self.dirty.remove(minute);
            self.marked.remove(minute);
        }
        let dirty = &self.dirty;
        self.waiting
            .extract_if(.., |_, message| message.minutes.is_disjoint(dirty))
            .map(|(_, message)| message.acker)
            .collect()
    }

    /// Whether a minute is dirty.
    #[must_use]
    pub fn is_dirty(&self, minute: &ScopeWindow) -> bool {
        self.dirty.contains(minute)
    }

    /// How many minutes are dirty.
    #[must_use]
    pub fn dirty(&self) -> usize {
        self.dirty.len()
    }

    /// Whether nothing is dirty and no message waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dirty.is_empty() && self.waiting.is_empty()
    }
}

impl<A> Default for Backlog<A> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use weir_event::{Scope, Timestamp};

    use super::*;

    fn minutes(starts: &[u64]) -> BTreeSet<ScopeWindow> {
        let scope = Scope { account_id: "acc".parse().unwrap(), gateway_id: "gw".parse().unwrap() };
        let minute = |start: &u64| Timestamp::MIN.saturating_add_millis(start * 60_000);
        starts.iter().map(|start| ScopeWindow { scope: scope.clone(), start: minute(start) }).collect()
    }

    fn written(starts: &[u64]) -> Vec<ScopeWindow> {
        minutes(starts).into_iter().collect()
    }

    #[test]
    fn a_message_is_acknowledged_when_all_of_its_minutes_are_written() {
        let mut backlog = Backlog::new();
        backlog.wait((0, 1), minutes(&[1]), "first");
        backlog.wait((0, 2), minutes(&[1, 2]), "second");
        backlog.wait((0, 3), minutes(&[3]), "third");
        assert_eq!(backlog.settle(&written(&[1])), ["first"]);
        assert_eq!(backlog.settle(&written(&[2])), ["second"]);
        assert_eq!(backlog.dirty(), 1);
        assert_eq!(backlog.settle(&written(&[3])), ["third"]);
        assert!(backlog.is_empty());
    }

    #[test]
    fn a_message_that_comes_again_is_acknowledged_once_and_by_its_latest_delivery() {
        let mut backlog = Backlog::new();
        backlog.wait((0, 1), minutes(&[1]), "first delivery");
        backlog.wait((0, 1), minutes(&[1]), "second delivery");
        assert_eq!(backlog.settle(&written(&[1])), ["second delivery"]);
    }

    #[test]
    fn a_message_without_minutes_is_acknowledged_with_the_next_flush() {
        let mut backlog = Backlog::new();
        backlog.wait((0, 1), minutes(&[]), "empty");
        assert!(!backlog.is_empty());
        assert_eq!(backlog.settle(&[]), ["empty"]);
    }

    #[test]
    fn of_a_shard_that_is_somebody_else_s_nothing_is_written_that_nobody_else_needs() {
        let mut backlog = Backlog::new();
        backlog.mark(minutes(&[1]));
        backlog.wait((0, 7), minutes(&[1, 2, 3]), "theirs");
        backlog.wait((1, 7), minutes(&[3, 4]), "ours");
        backlog.forget(|acker| *acker == "ours");
        assert_eq!(backlog.groups(9, &BTreeSet::new()), [written(&[1, 3, 4])]);
        assert_eq!(backlog.settle(&written(&[1, 3, 4])), ["ours"]);
        assert!(backlog.is_empty());
    }

    #[test]
    fn groups_are_bounded_and_hold_every_minute_once() {
        let mut backlog = Backlog::<()>::new();
        backlog.mark(minutes(&[5, 1, 3]));
        backlog.mark(minutes(&[1, 2, 4]));
        let groups = backlog.groups(2, &BTreeSet::new());
        assert_eq!(groups, [written(&[1, 2]), written(&[3, 4]), written(&[5])]);
        let apart = minutes(&[1, 4]);
        assert_eq!(backlog.groups(2, &apart.iter().collect()), [written(&[2, 3]), written(&[5])]);
        assert!(backlog.is_dirty(&written(&[4])[0]) && !backlog.is_dirty(&written(&[6])[0]));
    }
}
