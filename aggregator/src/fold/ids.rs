//! The ids that were folded lately.

use std::collections::{HashSet, VecDeque};

use weir_event::EventId;

/// A set of bounded size: the newest come in, the oldest go.
#[derive(Debug)]
pub(super) struct RecentIds {
    order: VecDeque<EventId>,
    ids: HashSet<EventId>,
    max: usize,
}

impl RecentIds {
    pub(super) fn new(max: usize) -> Self {
        Self { order: VecDeque::new(), ids: HashSet::new(), max }
    }

    /// Takes `id` in. Gives false if it was there.
    pub(super) fn insert(&mut self, id: EventId) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }
}

#[cfg(test)]
mod tests {
    use weir_event::Timestamp;

    use super::*;

    #[test]
    fn the_oldest_id_makes_room_for_the_newest() {
        let id = |n: u8| EventId::derive(Timestamp::MIN, &[&[n]]);
        let mut ids = RecentIds::new(2);
        assert!(ids.insert(id(1)) && ids.insert(id(2)));
        assert!(!ids.insert(id(1)));
        assert!(ids.insert(id(3)));
        assert_eq!(ids.len(), 2);
        assert!(!ids.insert(id(2)) && !ids.insert(id(3)));
        assert!(ids.insert(id(1)), "it was the oldest");
    }
}
