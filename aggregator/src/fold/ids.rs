//! The ids that were folded lately.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use weir_event::{EventId, Timestamp};

/// When an id came in: with each reading of a tenant's past another generation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Generation(u32);

impl Generation {
    /// From before anything was read again.
    pub(super) const FIRST: Self = Self(0);
}

/// A set of bounded size: the newest come in, the oldest go. It knows how far back it is complete.
#[derive(Debug)]
pub(super) struct RecentIds {
    order: VecDeque<(EventId, i64, Generation)>,
    ids: HashMap<EventId, Generation>,
    generation: Generation,
    max: usize,
    is_held: bool,
    complete_from_ms: i64,
}

impl RecentIds {
    /// An empty set: nothing was folded from `complete_from_ms` on.
    pub(super) fn new(max: usize, complete_from_ms: i64) -> Self {
        let (order, ids, generation) = (VecDeque::new(), HashMap::new(), Generation::FIRST);
        Self { order, ids, generation, max, is_held: false, complete_from_ms }
    }

    /// Takes in `id`, of an event that is folded at `now`. Gives false if it was there, and is no older than `since`.
    pub(super) fn insert(&mut self, id: EventId, since: Generation, now: Timestamp) -> bool {
        match self.ids.entry(id) {
            Entry::Occupied(known) if *known.get() >= since => return false,
            Entry::Occupied(mut outdated) => _ = outdated.insert(self.generation),
            Entry::Vacant(new) => _ = new.insert(self.generation),
        }
        self.order.push_back((id, now.millis(), self.generation));
        self.keep(self.max);
        true
    }

    /// What comes in from here on is younger than what is there.
    pub(super) fn begin_generation(&mut self) -> Generation {
        self.generation.0 += 1;
        self.generation
    }

    /// From here on none goes, however many come in.
    pub(super) fn hold(&mut self) {
        self.is_held = true;
    }

    /// From here on the oldest go again that are too many.
    pub(super) fn release(&mut self) {
        self.is_held = false;
        self.keep(self.max);
    }

    /// Lets the oldest go that are more than `most`, unless they are held.
    pub(super) fn keep(&mut self, most: usize) {
        while !self.is_held
            && self.order.len() > most
            && let Some((oldest, folded_ms, generation)) = self.order.pop_front()
        {
            // It may have come in again since.
            if self.ids.get(&oldest) == Some(&generation) {
                self.ids.remove(&oldest);
            }
            self.complete_from_ms = self.complete_from_ms.max(folded_ms);
        }
    }

    /// Everything that was folded later than this, and that had happened later than this when it was read from
    /// ClickHouse, is in the set.
    pub(super) fn complete_from_ms(&self) -> i64 {
        self.complete_from_ms
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// All ids, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = EventId> {
        self.order.iter().map(|(id, ..)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_id_makes_room_for_the_newest() {
        let id = |n: u8| EventId::derive(Timestamp::MIN, &[&[n]]);
        let at = |n: u64| Timestamp::MIN.saturating_add_millis(n);
        let always = Generation::FIRST;
        let mut ids = RecentIds::new(2, 0);
        assert!(ids.insert(id(1), always, at(10)) && ids.insert(id(2), always, at(20)));
        assert!(!ids.insert(id(1), always, at(30)));
        assert_eq!(ids.complete_from_ms(), 0);
        assert!(ids.insert(id(3), always, at(30)));
        assert_eq!((ids.len(), ids.complete_from_ms()), (2, at(10).millis()));
        assert!(!ids.insert(id(2), always, at(40)) && !ids.insert(id(3), always, at(40)));
        assert!(ids.insert(id(1), always, at(40)), "it was the oldest");
        assert_eq!(ids.complete_from_ms(), at(20).millis());
        ids.keep(1);
        assert_eq!((ids.len(), ids.complete_from_ms()), (1, at(30).millis()));
    }

    #[test]
    fn an_id_of_an_older_generation_comes_in_again_and_stays_when_its_first_place_is_given_up() {
        let id = |n: u8| EventId::derive(Timestamp::MIN, &[&[n]]);
        let always = Generation::FIRST;
        let mut ids = RecentIds::new(3, 0);
        assert!(ids.insert(id(1), always, Timestamp::MIN) && ids.insert(id(2), always, Timestamp::MIN));
        let second = ids.begin_generation();
        assert!(!ids.insert(id(2), always, Timestamp::MIN), "of a tenant whose past was not read again");
        assert!(ids.insert(id(1), second, Timestamp::MIN) && !ids.insert(id(1), second, Timestamp::MIN));
        assert_eq!(ids.iter().collect::<Vec<_>>(), [id(1), id(2), id(1)]);
        ids.keep(2);
        assert!(!ids.insert(id(1), second, Timestamp::MIN));
        ids.keep(0);
        assert!(ids.insert(id(1), second, Timestamp::MIN));
    }

    #[test]
    fn what_is_held_stays_until_it_is_released() {
        let id = |n: u8| EventId::derive(Timestamp::MIN, &[&[n]]);
        let mut ids = RecentIds::new(2, 0);
        ids.hold();
        for n in 0..5 {
            assert!(ids.insert(id(n), Generation::FIRST, Timestamp::MIN));
        }
        ids.keep(1);
        assert_eq!(ids.len(), 5);
        ids.release();
        assert_eq!(ids.iter().collect::<Vec<_>>(), [id(3), id(4)]);
    }
}
