//! Which messages of the stream are in the windows already.

use std::collections::BTreeMap;

/// Sequences of the stream that need not be folded: those up to a floor, and ranges above it.
///
/// Messages come nearly in order; those of other shards leave gaps between the ranges. The floor follows the consumer's
/// acknowledged floor, below which the server never delivers again, so the ranges cannot be more than the messages
/// that the server lets be unacknowledged.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    floor: u64,
    /// First to last, both inside. Ranges neither touch nor overlap, and all are above the floor.
    ranges: BTreeMap<u64, u64>,
}

impl Sequences {
    /// Everything up to `floor` is in.
    pub(super) fn up_to(floor: u64) -> Self {
        Self { floor, ranges: BTreeMap::new() }
    }

    /// Takes `sequence` in. Gives false if it was in.
    pub(super) fn insert(&mut self, sequence: u64) -> bool {
        let below = self.ranges.range(..=sequence).next_back().map(|(first, last)| (*first, *last));
        if sequence <= self.floor || below.is_some_and(|(_, last)| sequence <= last) {
            return false;
        }
        let last = self.ranges.remove(&(sequence + 1)).unwrap_or(sequence);
        let first = match below {
            Some((first, end)) if end + 1 == sequence => first,
            Some(_) | None => sequence,
        };
        self.ranges.insert(first, last);
        true
    }

    /// Nothing up to `floor` will come again.
    pub(super) fn settle(&mut self, floor: u64) {
        if floor <= self.floor {
            return;
        }
        self.floor = floor;
        let above = self.ranges.split_off(&(floor + 1));
        let across = self.ranges.values().next_back().copied().filter(|last| *last > floor);
        self.ranges = above;
        if let Some(last) = across {
            self.ranges.insert(floor + 1, last);
        }
    }

    #[cfg(test)]
    fn ranges(&self) -> Vec<(u64, u64)> {
        self.ranges.iter().map(|(first, last)| (*first, *last)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_become_one_range() {
        let mut sequences = Sequences::up_to(10);
        assert!(!sequences.insert(10));
        for sequence in [11, 12, 15, 14, 13, 20] {
            assert!(sequences.insert(sequence), "{sequence}");
            assert!(!sequences.insert(sequence), "{sequence}");
        }
        assert_eq!(sequences.ranges(), [(11, 15), (20, 20)]);
        sequences.settle(13);
        assert_eq!(sequences.ranges(), [(14, 15), (20, 20)]);
        sequences.settle(18);
        assert_eq!(sequences.ranges(), [(20, 20)]);
        assert!(!sequences.insert(18), "settled");
    }

    proptest! {
        #[test]
        fn it_is_a_set(inserts in prop::collection::vec(1_u64..60, 0..120), settle in 0_u64..60) {
            let (mut sequences, mut model) = (Sequences::up_to(5), (1..=5).collect::<BTreeSet<_>>());
            for (position, sequence) in inserts.into_iter().enumerate() {
                if position == 60 {
                    sequences.settle(settle);
                    model.extend(1..=settle);
                }
                prop_assert_eq!(sequences.insert(sequence), model.insert(sequence));
            }
            let ranges = sequences.ranges();
            prop_assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "{:?}", ranges);
        }
    }
}
