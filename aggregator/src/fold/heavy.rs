//! Which of the series that are not kept come up most: the candidates for a place among those that are.
//!
//! The space-saving algorithm (Metwally, Agrawal, El Abbadi, 2005): of ever so many series a bounded number is counted; a new
//! one takes the place of the least and goes on from its count, which is how much its own may be too high.

use std::collections::{BTreeSet, HashMap};

/// How many are counted for one place among the series, in thousandths, and at least.
const PER_MILLE: usize = 125;
const LEAST: usize = 16;

/// The candidates.
#[derive(Debug)]
pub(super) struct Candidates {
    counts: HashMap<u64, Count>,
    /// The same, least first.
    order: BTreeSet<(u64, u64)>,
    max: usize,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    count: u64,
    /// By how much it may be too high.
    error: u64,
}

impl Candidates {
    /// Candidates for the places of so many series.
    pub(super) fn of(keys_max: usize) -> Self {
        let max = (keys_max / 1_000 * PER_MILLE).clamp(LEAST, 65_536);
        Self { counts: HashMap::new(), order: BTreeSet::new(), max }
    }

    /// Counts `weight` more of a series that is named by a hash. Gives how much came of it at least.
    pub(super) fn note(&mut self, hash: u64, weight: u64) -> u64 {
        let known = self.counts.get(&hash).copied();
        let before = match known {
            Some(count) => count,
            None if self.counts.len() < self.max => Count { count: 0, error: 0 },
            None => self.take_least(),
        };
        self.order.remove(&(before.count, hash));
        let count = Count { count: before.count.saturating_add(weight), ..before };
        self.order.insert((count.count, hash));
        self.counts.insert(hash, count);
        count.count - count.error
    }

    /// It is one of the series now.
    pub(super) fn remove(&mut self, hash: u64) {
        if let Some(count) = self.counts.remove(&hash) {
            self.order.remove(&(count.count, hash));
        }
    }

    /// What came before counts half.
    pub(super) fn halve(&mut self) {
        for count in self.counts.values_mut() {
            *count = Count { count: count.count / 2, error: count.error / 2 };
        }
        self.counts.retain(|_, count| count.count > 0);
        self.order = self.counts.iter().map(|(hash, count)| (count.count, *hash)).collect();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Makes room, and gives where the one that gets it goes on from.
    fn take_least(&mut self) -> Count {
        let (count, hash) = self.order.pop_first().unwrap_or_default();
        self.counts.remove(&hash);
        Count { count, error: count }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What came more often than `total / max` is among the candidates, and nothing is said to have come more often than
        /// it did.
        #[test]
        fn what_comes_often_is_found(hashes in prop::collection::vec((0_u64..200).prop_map(|n| n * n / 200), 1..600)) {
            let mut candidates = Candidates::of(0);
            let mut counts = HashMap::<u64, u64>::new();
            for hash in &hashes {
                let count = counts.entry(*hash).or_default();
                *count += 1;
                prop_assert!(candidates.note(*hash, 1) <= *count);
                prop_assert!(candidates.counts.len() <= LEAST && candidates.order.len() == candidates.counts.len());
            }
            for (hash, count) in counts {
                if count > (hashes.len() / LEAST) as u64 {
                    prop_assert!(candidates.counts[&hash].count >= count, "{} came {} times", hash, count);
                }
            }
        }
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let mut candidates = Candidates::of(0);
        assert_eq!((candidates.note(7, 5), candidates.note(8, 1)), (5, 1));
        candidates.halve();
        assert_eq!((candidates.note(7, 1), candidates.note(8, 1)), (3, 1));
        candidates.remove(7);
        candidates.remove(8);
        assert!(candidates.is_empty() && candidates.order.is_empty());
    }
}
