//! Sums by time, of one width, for one API token and model.

use std::collections::VecDeque;

use super::sums::Sums;

/// The buckets that have something in them, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets(VecDeque<(i64, Sums)>);

impl Buckets {
    /// Adds `sums` to the bucket that starts at `start_ms`.
    pub(super) fn add(&mut self, start_ms: i64, sums: &Sums) {
        // Events come nearly in order: the place is at the end, or close to it.
        let after = self.0.iter().rev().take_while(|(start, _)| *start > start_ms).count();
        let place = self.0.len() - after;
        match place.checked_sub(1).and_then(|last| self.0.get_mut(last)) {
            Some((start, bucket)) if *start == start_ms => bucket.add(sums),
            Some(_) | None => self.0.insert(place, (start_ms, *sums)),
        }
    }

    /// Drops the buckets that start before `floor_ms`.
    pub(super) fn drop_before(&mut self, floor_ms: i64) {
        let old = self.0.iter().take_while(|(start, _)| *start < floor_ms).count();
        self.0.drain(..old);
        if self.0.capacity() > 4 * self.0.len() + 16 {
            self.0.shrink_to_fit();
        }
    }

    /// The sums of the buckets that start in `(now - length, now]`, for each of two window lengths, the first being
    /// the shorter one.
    pub(super) fn windows(&self, now_ms: i64, lengths_ms: [i64; 2]) -> [Sums; 2] {
        let mut sums = [Sums::ZERO; 2];
        let [short, long] = lengths_ms.map(|length| now_ms - length);
        for (start, bucket) in self.0.iter().rev() {
            if *start > now_ms {
                continue;
            }
            if *start <= long {
                break;
            }
            sums[usize::from(*start <= short)].add(bucket);
        }
        let short = sums[0];
        sums[1].add(&short);
        sums
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(requests: u64) -> Sums {
        Sums { requests, ..Sums::ZERO }
    }

    #[test]
    fn a_window_holds_the_buckets_that_start_in_it() {
        let mut buckets = Buckets::default();
        for (start, count) in [(3_000, 1), (1_000, 10), (2_000, 100), (3_000, 1), (0, 1_000)] {
            buckets.add(start, &requests(count));
        }
        assert_eq!(buckets.len(), 4);
        let check = |now, expected: [u64; 2]| {
            assert_eq!(buckets.windows(now, [1_000, 2_000]).map(|sums| sums.requests), expected, "{now}");
        };
        check(-1, [0, 0]);
        check(0, [1_000, 1_000]);
        check(999, [1_000, 1_000]);
        check(1_000, [10, 1_010]);
        check(2_999, [100, 110]);
        check(3_000, [2, 102]);
        check(5_000, [0, 0]);
    }

    #[test]
    fn old_buckets_are_dropped() {
        let mut buckets = Buckets::default();
        for second in 0..100 {
            buckets.add(second * 1_000, &requests(1));
        }
        buckets.drop_before(98_000);
        assert_eq!(buckets.len(), 2);
        assert!(buckets.0.capacity() < 100);
        buckets.drop_before(100_000);
        assert!(buckets.is_empty());
    }
}
