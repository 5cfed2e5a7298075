//! Which events were shown lately.

use std::collections::HashSet;

use weir_event::{EventId, Timestamp};

/// So many of the latest are known at least, and at most twice as many.
const KEPT: usize = 20_000;

/// Tells what is new. A batch that is pushed again is told of again, and a message that is published twice is heard twice.
#[derive(Debug, Default)]
pub(super) struct Seen {
    young: Generation,
    old: Generation,
    /// When the latest was stored that is not known any more.
    forgotten: Option<Timestamp>,
}

/// Events, and when the latest of them was stored.
#[derive(Debug, Default)]
struct Generation {
    ids: HashSet<EventId>,
    latest: Option<Timestamp>,
}

impl Seen {
    pub(super) fn has(&self, id: &EventId) -> bool {
        self.young.ids.contains(id) || self.old.ids.contains(id)
    }

    /// Whether one that was stored then may have been shown, and is not known any more.
    pub(super) fn may_have_forgotten(&self, stored_at: Timestamp) -> bool {
        self.forgotten.is_some_and(|latest| stored_at <= latest)
    }

    /// Keeps it in mind, with when it was stored; false if it was already.
    pub(super) fn is_new(&mut self, id: EventId, stored_at: Timestamp) -> bool {
        if self.has(&id) {
            return false;
        }
        if self.young.ids.len() >= KEPT {
            let forgotten = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            self.forgotten = self.forgotten.max(forgotten.latest);
        }
        self.young.latest = self.young.latest.max(Some(stored_at));
        self.young.ids.insert(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_known_and_the_number_is_bounded() {
        let id = |n: usize| EventId::derive(Timestamp::MIN, &[&n.to_le_bytes()]);
        let mut seen = Seen::default();
        let at = |n: usize| Timestamp::MIN.saturating_add_millis(n as u64);
        for n in 0..3 * KEPT {
            assert!(seen.is_new(id(n), at(n)));
            assert!(!seen.is_new(id(n), at(n)) && seen.has(&id(n.saturating_sub(KEPT - 1))));
            assert!(seen.young.ids.len() + seen.old.ids.len() <= 2 * KEPT);
            assert_eq!(seen.may_have_forgotten(at(0)), n >= 2 * KEPT);
        }
        assert!(!seen.has(&id(0)));
        assert!(seen.may_have_forgotten(at(KEPT - 1)) && !seen.may_have_forgotten(at(KEPT)));
    }
}
