//! Windows that were found to differ from their rows, and which of them are to be told of. Pure.

use std::collections::{BTreeMap, BTreeSet};

use weir_event::{Scope, Timestamp};

/// A window of a tenant, by its start.
pub(super) type Window = (Scope, Timestamp);

/// How many windows are kept in mind.
pub(super) const SUSPECTS_MAX: usize = 20_000;

/// Windows that differed at the last look.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// How many looks in a row each has differed at.
    looks: BTreeMap<Window, u64>,
}

impl Suspects {
    /// Those that are not among `found`: they have to be looked at apart.
    pub(super) fn besides(&self, found: &BTreeSet<Window>) -> Vec<Window> {
        self.looks.keys().filter(|window| !found.contains(*window)).cloned().collect()
    }

    /// Takes in what differs now, and gives what is to be told of.
    ///
    /// What differs once may be what the aggregator is about to write. What differs at a second look is told of; and
    /// where that does not help, again at the fourth, the eighth and so on, so that a difference that nothing mends
    /// comes to cost nothing.
    pub(super) fn look(&mut self, differing: BTreeSet<Window>) -> Vec<Window> {
        self.looks.retain(|window, _| differing.contains(window));
        let mut due = Vec::new();
        for window in differing {
            if let Some(looks) = self.looks.get_mut(&window) {
                *looks += 1;
                if looks.is_power_of_two() {
                    due.push(window);
                }
            } else if self.looks.len() < SUSPECTS_MAX {
                self.looks.insert(window, 1);
            }
        }
        due
    }

    /// How many have differed for longer than the aggregator may take.
    pub(super) fn persistent(&self) -> usize {
        self.looks.values().filter(|looks| **looks > 1).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(numbers: &[u32]) -> BTreeSet<Window> {
        let scope = Scope::parse("acc", "gw").unwrap();
        let at = |number: &u32| Timestamp::from_millis(1_790_000_040_000 + i64::from(*number) * 60_000);
        numbers.iter().map(|number| (scope.clone(), at(number).unwrap())).collect()
    }

    #[test]
    fn what_differs_once_is_not_told_of() {
        let mut suspects = Suspects::default();
        assert_eq!(suspects.look(minutes(&[1, 2])), []);
        assert_eq!(suspects.persistent(), 0);
        assert_eq!(suspects.look(minutes(&[2])), Vec::from_iter(minutes(&[2])));
        assert_eq!(suspects.look(minutes(&[1])), [], "it was as it should be in between");
        assert_eq!(suspects.look(minutes(&[])), []);
        assert_eq!(suspects.persistent(), 0);
    }

    #[test]
    fn what_nothing_mends_is_told_of_ever_more_rarely() {
        let mut suspects = Suspects::default();
        let told: Vec<_> = (1..=1_000).filter(|_| !suspects.look(minutes(&[7])).is_empty()).collect();
        assert_eq!(told, [2, 4, 8, 16, 32, 64, 128, 256, 512]);
        assert_eq!(suspects.persistent(), 1);
    }

    #[test]
    fn what_a_look_did_not_find_is_looked_at_apart() {
        let mut suspects = Suspects::default();
        suspects.look(minutes(&[1, 2, 3]));
        assert_eq!(suspects.besides(&minutes(&[2, 9])), Vec::from_iter(minutes(&[1, 3])));
    }

    #[test]
    fn no_more_are_kept_than_may_be() {
        let mut suspects = Suspects::default();
        let many: Vec<_> = (0..25_000).collect();
        suspects.look(minutes(&many));
        assert_eq!(suspects.look(minutes(&many)).len(), SUSPECTS_MAX);
        assert_eq!(suspects.persistent(), SUSPECTS_MAX);
    }
}
