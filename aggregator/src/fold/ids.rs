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
}

impl RecentIds {
    /// An empty set: nothing was folded from `complete_from_ms` on.
    pub(super) fn new(max: usize, complete_from_ms: i64) -> Self {
        Self { order: VecDeque::new(), ids: HashSet::new(), max, complete_from_ms }
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

    /// Lets the oldest go that are more than `most`.
    pub(super) fn keep(&mut self, most: usize) {
        while self.order.len() > most
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
}
