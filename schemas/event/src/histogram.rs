//! Counts of values by size, from which quantiles are read.
//!
//! The bins are those of an H2 histogram: whole numbers below 256 have a bin each, and every power of two above has 128 bins
//! of one width. So a bin is at most 1/128 of its values wide, whatever their size. Bins of whole numbers are the same
//! wherever they are computed, and histograms of parts add up to that of the whole.

use std::cmp::Ordering;
use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Each power of two has 2^7 bins.
const GROUPING_POWER: u32 = 7;
/// Below this each value has a bin of its own.
const EXACT: u64 = 1 << (GROUPING_POWER + 1);

/// How many values are in which bin; bins without any are not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Bins in order, each with what it counts, never 0.
    bins: Vec<(u16, u64)>,
}

impl Histogram {
    /// The largest value that is told apart: 49 days in milliseconds. What is larger counts as this.
    pub const VALUE_MAX: u64 = u32::MAX as u64;
    /// The number of bins.
    pub const BINS: u16 = Self::bin_of(Self::VALUE_MAX) + 1;

    /// Nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { bins: Vec::new() }
    }

    /// The bin of a value.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "32 bits have 26 times 128 bins, held by a test")]
    pub const fn bin_of(value: u64) -> u16 {
        let value = if value > Self::VALUE_MAX { Self::VALUE_MAX } else { value };
        if value < EXACT {
            return value as u16;
        }
        let shift = value.ilog2() - GROUPING_POWER;
        (((shift as u64) << GROUPING_POWER) + (value >> shift)) as u16
    }

    /// The values of a bin: the first and the last.
    #[must_use]
    pub const fn range_of(bin: u16) -> (u64, u64) {
        let bin = bin as u64;
        if bin < EXACT {
            return (bin, bin);
        }
        let shift = (bin >> GROUPING_POWER) - 1;
        let first = (bin - (shift << GROUPING_POWER)) << shift;
        (first, first + (1 << shift) - 1)
    }

    /// Counts `count` more of `value`.
    pub fn add(&mut self, value: u64, count: u64) {
        self.add_to_bin(Self::bin_of(value), count);
    }

    /// Counts `count` more in a bin.
    pub fn add_to_bin(&mut self, bin: u16, count: u64) {
        if count == 0 {
            return;
        }
        match self.bins.binary_search_by_key(&bin, |(bin, _)| *bin) {
            Ok(place) => self.bins[place].1 = self.bins[place].1.saturating_add(count),
            Err(place) => self.bins.insert(place, (bin, count)),
        }
    }

    /// Counts all of `other` as well.
    pub fn merge(&mut self, other: &Self) {
        // Few bins into many are looked for, many are gone through side by side.
        if other.bins.len() * 8 <= self.bins.len() || other.bins.len() <= 2 {
            for (bin, count) in &other.bins {
                self.add_to_bin(*bin, *count);
            }
            return;
        }
        let mut merged = Vec::with_capacity(self.bins.len() + other.bins.len());
        let (mut ours, mut theirs) = (self.bins.as_slice(), other.bins.as_slice());
        while let ([our, our_rest @ ..], [their, their_rest @ ..]) = (ours, theirs) {
            let order = our.0.cmp(&their.0);
            merged.push(match order {
                Ordering::Less => *our,
                Ordering::Greater => *their,
                Ordering::Equal => (our.0, our.1.saturating_add(their.1)),
            });
            if order != Ordering::Greater {
                ours = our_rest;
            }
            if order != Ordering::Less {
                theirs = their_rest;
            }
        }
        merged.extend_from_slice(ours);
        merged.extend_from_slice(theirs);
        self.bins = merged;
    }

    /// The bins that count something, in order, with what they count.
    #[must_use]
    pub fn bins(&self) -> impl ExactSizeIterator<Item = (u16, u64)> + '_ {
        self.bins.iter().copied()
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.bins.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Whether no value was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bins.is_empty()
    }

    /// The value that `per_mille` thousandths of all values do not exceed: the last value of the bin that holds it, so less
    /// than 0.8 % above the exact one. `None` where nothing was counted.
    #[must_use]
    pub fn quantile(&self, per_mille: u16) -> Option<u64> {
        let count = u128::from(self.count());
        let rank = (count * u128::from(per_mille.min(1_000))).div_ceil(1_000).max(1);
        let mut below = 0_u128;
        let holds = |(_, count): &&(u16, u64)| {
            below += u128::from(*count);
            below >= rank
        };
        self.bins.iter().find(holds).map(|(bin, _)| Self::range_of(*bin).1)
    }

    /// Makes one bin of every 16: a 16th of the size, for quantiles that are up to an eighth, and at least 15, too high.
    pub fn coarsen(&mut self) {
        let mut coarse = Self::new();
        for (bin, count) in &self.bins {
            coarse.add_to_bin(bin | 0xf, *count);
        }
        *self = coarse;
    }
}

/// A flat list: for each bin how far it is behind the one before it, and what it counts. `[200,1,3,2]` is 1 in bin 200 and
/// 2 in bin 203.
impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut before = 0;
        serializer.collect_seq(self.bins.iter().flat_map(|(bin, count)| {
            let gap = u64::from(bin - before);
            before = *bin;
            [gap, *count]
        }))
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Bins)
    }
}

struct Bins;

impl<'de> Visitor<'de> for Bins {
    type Value = Histogram;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("gaps between bins and their counts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Histogram, A::Error> {
        let mut bins: Vec<(u16, u64)> = Vec::new();
        while let Some(gap) = list.next_element::<u16>()? {
            let count =
                list.next_element::<u64>()?.ok_or_else(|| A::Error::custom("a bin without a count"))?;
            let bin = match bins.last() {
                Some(_) if gap == 0 => return Err(A::Error::custom("a bin comes twice")),
                Some((before, _)) => before.saturating_add(gap),
                None => gap,
            };
            if bin >= Histogram::BINS || count == 0 {
                return Err(A::Error::custom("a bin that is none, or without anything in it"));
            }
            bins.push((bin, count));
        }
        Ok(Histogram { bins })
    }
}

#[cfg(test)]
mod tests {
    use histogram::{Config, Histogram as Reference};
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        for value in values {
            histogram.add(*value, 1);
        }
        histogram
    }

    #[test]
    fn bins_follow_each_other_without_gaps() {
        let mut next = 0;
        for bin in 0..Histogram::BINS {
            let (first, last) = Histogram::range_of(bin);
            assert_eq!((first, Histogram::bin_of(first), Histogram::bin_of(last)), (next, bin, bin));
            assert!((last - first) * 128 <= first, "{bin}");
            next = last + 1;
        }
        assert_eq!(next, Histogram::VALUE_MAX + 1);
        assert_eq!(Histogram::bin_of(u64::MAX), Histogram::BINS - 1);
        let reference = Config::new(7, 32).unwrap();
        assert_eq!(reference.total_buckets(), usize::from(Histogram::BINS));
    }

    #[test]
    fn on_the_wire_it_is_gaps_and_counts() {
        let histogram = of(&[200, 203, 203, 1_000_000]);
        let json = serde_json::to_string(&histogram).unwrap();
        assert_eq!(json, "[200,1,3,2,1577,1]");
        assert_eq!(serde_json::from_str::<Histogram>(&json).unwrap(), histogram);
        for wrong in ["[1]", "[1,0]", "[3328,1]", "[1,1,0,1]", "[65535,1,65535,1]", "[-1,1]"] {
            assert!(serde_json::from_str::<Histogram>(wrong).is_err(), "{wrong}");
        }
        assert_eq!(serde_json::from_str::<Histogram>("[]").unwrap(), Histogram::new());
    }

    #[test]
    fn quantiles_of_nothing_are_none_and_of_one_value_are_that_value() {
        assert_eq!(Histogram::new().quantile(500), None);
        for per_mille in [0, 1, 500, 1_000, 2_000] {
            assert_eq!(of(&[7]).quantile(per_mille), Some(7));
        }
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_the_reference_and_less_than_a_128th_off(
            values in prop::collection::vec(prop_oneof![0_u64..300, 0_u64..100_000, 0_u64..1 << 32], 1..200),
            per_mille in 1_u16..=1_000,
        ) {
            let ours = of(&values);
            let mut reference = Reference::new(7, 32).unwrap();
            for value in &values {
                reference.increment(*value).unwrap();
            }
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let exact = sorted[(values.len() * usize::from(per_mille)).div_ceil(1_000) - 1];
            let quantile = ours.quantile(per_mille).unwrap();
            prop_assert!(quantile >= exact && (quantile - exact) * 128 <= exact, "{} {}", quantile, exact);
            let filled: Vec<_> = reference.iter().filter(|bucket| bucket.count() > 0)
                .map(|bucket| (bucket.start(), bucket.end(), bucket.count())).collect();
            let bins: Vec<_> = ours.bins().map(|(bin, count)| {
                let (first, last) = Histogram::range_of(bin);
                (first, last, count)
            }).collect();
            prop_assert_eq!(filled, bins);
        }

        #[test]
        fn parts_add_up_to_the_whole(
            values in prop::collection::vec(0_u64..5_000, 0..300),
            parts in prop::collection::vec(0_usize..300, 0..6),
        ) {
            let mut bounds: Vec<_> = parts.into_iter().map(|place| place.min(values.len())).collect();
            bounds.extend([0, values.len()]);
            bounds.sort_unstable();
            let mut merged = Histogram::new();
            for bounds in bounds.windows(2) {
                merged.merge(&of(&values[bounds[0]..bounds[1]]));
            }
            prop_assert_eq!(&merged, &of(&values));
            let json = serde_json::to_string(&merged).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Histogram>(&json).unwrap(), &merged);
            let (count, fine) = (merged.count(), merged.quantile(990));
            merged.coarsen();
            prop_assert_eq!(merged.count(), count);
            prop_assert!(merged.quantile(990) >= fine);
        }
    }
}
