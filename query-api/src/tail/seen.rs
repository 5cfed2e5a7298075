//! Which events were shown lately.

use std::collections::HashSet;

use weir_event::EventId;

/// So many of the latest are known at least, and at most twice as many.
const KEPT: usize = 20_000;

/// Tells what is new. A batch that is pushed again is told of again, and a message that is published twice is heard twice.
#[derive(Debug, Default)]
pub(super) struct Seen {
    young: HashSet<EventId>,
    old: HashSet<EventId>,
}

impl Seen {
    pub(super) fn has(&self, id: &EventId) -> bool {
        self.young.contains(id) || self.old.contains(id)
    }

    /// Keeps it in mind; false if it was already.
    pub(super) fn is_new(&mut self, id: EventId) -> bool {
        if self.has(&id) {
            return false;
        }
        if self.young.len() >= KEPT {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id)
    }
}

#[cfg(test)]
mod tests {
    use weir_event::Timestamp;

    use super::*;

    #[test]
    fn the_latest_are_known_and_the_number_is_bounded() {
        let id = |n: usize| EventId::derive(Timestamp::MIN, &[&n.to_le_bytes()]);
        let mut seen = Seen::default();
        for n in 0..3 * KEPT {
            assert!(seen.is_new(id(n)));
            assert!(!seen.is_new(id(n)) && seen.has(&id(n.saturating_sub(KEPT - 1))));
            assert!(seen.young.len() + seen.old.len() <= 2 * KEPT);
        }
        assert!(!seen.has(&id(0)));
    }
}
