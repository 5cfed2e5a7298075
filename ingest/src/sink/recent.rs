//! The ids that were committed lately: what an id check that was made before could not see.

use std::collections::{HashSet, VecDeque};

use weir_event::EventId;

/// How many commits are remembered. A check that is older than all of them is made again.
const COMMITS_MAX: usize = 8;

/// How many names of writes are remembered. One that is forgotten is taken for somebody else's.
const WRITES_MAX: usize = 64;

/// The ids of the last commits of this process, numbered from 1.
#[derive(Debug, Default)]
pub(super) struct Recent {
    commits: VecDeque<HashSet<EventId>>,
    /// How many commits there were before the first that is remembered.
    before: u64,
    /// The names of the last writes.
    writes: Vec<u64>,
}

impl Recent {
    /// The names of the last writes.
    pub(super) fn writes(&self) -> &[u64] {
        &self.writes
    }

    /// Adds a commit, and gives how many there are now.
    pub(super) fn add(&mut self, write_id: u64, ids: impl Iterator<Item = EventId>) -> u64 {
        self.commits.push_back(ids.collect());
        if self.writes.len() == WRITES_MAX {
            self.writes.remove(0);
        }
        self.writes.push(write_id);
        if self.commits.len() > COMMITS_MAX {
            self.commits.pop_front();
            self.before += 1;
        }
        self.before + self.commits.len() as u64
    }

    /// Forgets every commit: rows may have been stored that are none of their ids. Gives how many commits there are now; a
    /// check that was made before is made again.
    pub(super) fn forget(&mut self) -> u64 {
        self.before += self.commits.len() as u64 + 1;
        self.commits.clear();
        self.before
    }

    /// Adds to `known` the ids of every commit after the first `seen`; false if some of them are forgotten.
    pub(super) fn complete(&self, known: &mut HashSet<EventId>, seen: u64) -> bool {
        let Some(skipped) = seen.checked_sub(self.before) else {
            return false;
        };
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        known.extend(self.commits.iter().skip(skipped).flatten());
        true
    }
}

#[cfg(test)]
mod tests {
    use weir_event::Timestamp;

    use super::*;

    fn id(number: u64) -> EventId {
        EventId::derive(Timestamp::MIN, &[&number.to_le_bytes()])
    }

    #[test]
    fn what_was_checked_before_a_failure_is_checked_again() {
        let mut recent = Recent::default();
        let seen = recent.add(1, [id(1)].into_iter());
        let seen_after = recent.forget();
        let mut known = HashSet::new();
        assert!(!recent.complete(&mut known, seen));
        assert!(recent.complete(&mut known, seen_after) && known.is_empty());
        assert_eq!(recent.add(2, [id(2)].into_iter()), seen_after + 1);
        assert!(recent.complete(&mut known, seen_after) && known.contains(&id(2)));
    }

    #[test]
    fn a_check_is_completed_with_the_commits_after_it_or_not_at_all() {
        let mut recent = Recent::default();
        let commits = COMMITS_MAX as u64 + 2;
        for number in 1..=commits {
            assert_eq!(recent.add(number, [id(number)].into_iter()), number);
        }
        for seen in 0..=commits {
            let mut known = HashSet::new();
            let complete = recent.complete(&mut known, seen);
            assert_eq!(complete, seen >= 2, "{seen}");
            let expected: HashSet<_> = (seen + 1..=commits).filter(|_| complete).map(id).collect();
            assert_eq!(known, expected, "{seen}");
        }
        assert_eq!(recent.writes(), (1..=commits).collect::<Vec<_>>());
    }
}
