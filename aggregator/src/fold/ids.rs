//! The ids that were folded lately.

use std::collections::{HashSet, VecDeque};

use weir_event::{EventId, Timestamp};

/// A set of bounded size: the newest come in, the oldest go. It knows how far back it is complete.
#[derive(Debug)]
pub(super) struct RecentIds {
    order: VecDeque<(EventId, i64)>,
    ids: HashSet<EventId>,
    max: usize,
    complete_from_ms: i64,
    hold: Hold,
}

/// For how long none goes, however many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// As many as there may be, and no more.
    None,
    /// They are being read.
    Reading,
    /// Until everything is folded that was published before.
    Until(Timestamp),
}

impl RecentIds {
    /// An empty set: nothing was folded from `complete_from_ms` on.
    pub(super) fn new(max: usize, complete_from_ms: i64) -> Self {
        let (order, ids) = (VecDeque::new(), HashSet::new());
        Self { order, ids, max, complete_from_ms, hold: Hold::None }
    }

    /// What comes from here on is read of the past: none goes while it is.
    pub(super) fn hold(&mut self) {
        self.hold = Hold::Reading;
    }

    /// Takes in `id`, of an event that is folded at `now`. Gives false if it was there.
    pub(super) fn insert(&mut self, id: EventId, now: Timestamp) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back((id, now.millis()));
        self.keep(self.max);
        true
    }

    /// What there is was read. Messages that were published before `until` may tell of it: it is held until they are folded.
    pub(super) fn hold_until(&mut self, until: Timestamp) {
        self.hold = if self.ids.is_empty() { Hold::None } else { Hold::Until(until) };
    }

    /// Everything is folded that was published before `at`.
    pub(super) fn folded_through(&mut self, at: Timestamp) {
        if let Hold::Until(until) = self.hold
            && until <= at
        {
            self.hold = Hold::None;
            self.keep(self.max);
        }
    }

    /// Lets the oldest go that are more than `most`, unless they are held.
    pub(super) fn keep(&mut self, most: usize) {
        while self.hold == Hold::None
            && self.order.len() > most
            && let Some((oldest, folded_ms)) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
            self.complete_from_ms = self.complete_from_ms.max(folded_ms);
        }
    }

    /// Everything that was folded later than this, and that had happened later than this when it was read from
    /// ClickHouse, is in the set.
    pub(super) fn complete_from_ms(&self) -> i64 {
        self.complete_from_ms
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// How many may go.
    pub(super) fn not_held(&self) -> usize {
        if self.hold == Hold::None { self.ids.len() } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_id_makes_room_for_the_newest() {
        let id = |n: u8| EventId::derive(Timestamp::MIN, &[&[n]]);
        let at = |n: u64| Timestamp::MIN.saturating_add_millis(n);
        let mut ids = RecentIds::new(2, 0);
        assert!(ids.insert(id(1), at(10)) && ids.insert(id(2), at(20)));
        assert!(!ids.insert(id(1), at(30)));
        assert_eq!(ids.complete_from_ms(), 0);
        assert!(ids.insert(id(3), at(30)));
        assert_eq!((ids.len(), ids.complete_from_ms()), (2, at(10).millis()));
        assert!(!ids.insert(id(2), at(40)) && !ids.insert(id(3), at(40)));
        assert!(ids.insert(id(1), at(40)), "it was the oldest");
        assert_eq!(ids.complete_from_ms(), at(20).millis());
        ids.keep(1);
        assert_eq!((ids.len(), ids.complete_from_ms()), (1, at(30).millis()));
    }

    #[test]
    fn what_was_read_is_held_until_what_was_published_before_is_folded() {
        let id = |n: u8| EventId::derive(Timestamp::MIN, &[&[n]]);
        let at = |n: u64| Timestamp::MIN.saturating_add_millis(n);
        let mut ids = RecentIds::new(2, 0);
        ids.hold();
        for n in 0..5 {
            assert!(ids.insert(id(n), at(10)));
        }
        ids.hold_until(at(50));
        ids.keep(1);
        ids.folded_through(at(49));
        assert_eq!((ids.len(), ids.not_held(), ids.complete_from_ms()), (5, 0, 0));
        ids.folded_through(at(50));
        assert_eq!((ids.len(), ids.not_held(), ids.complete_from_ms()), (2, 2, at(10).millis()));
        assert!(!ids.insert(id(4), at(60)));

        let mut nothing = RecentIds::new(1, 0);
        nothing.hold();
        nothing.hold_until(at(50));
        assert!(nothing.insert(id(1), at(60)) && nothing.insert(id(2), at(60)));
        assert_eq!(nothing.len(), 1);
    }
}
