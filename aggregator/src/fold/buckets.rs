//! Figures by time, in buckets of one width.

use super::figures::{Figures, Part, Source};
use super::packed::{Bytes, add_packed, pack, push};

/// How many of the newest buckets are open. Calls come nearly in order: what they are put into is among these.
const OPEN_MAX: usize = 3;

/// The buckets that have something in them. A bucket's number is its start in units of its width.
///
/// The newest are open, the others are packed: one behind the other, each as how far it is behind the one before it, how many
/// bytes follow, and these. A packed bucket can be passed over without a look into it.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    packed: Vec<u8>,
    /// What the first packed bucket's distance is from.
    base: i64,
    /// The number of the last packed bucket.
    last: i64,
    /// In order, and behind all that are packed.
    open: Vec<(i64, Figures)>,
}

/// What a bucket holds, as it is kept.
#[derive(Clone, Copy, Debug)]
pub(super) enum Held<'b> {
    Packed(&'b [u8]),
    Open(&'b Figures),
}

/// A packed bucket, and where it lies.
struct Found<'b> {
    number: i64,
    start: usize,
    end: usize,
    body: &'b [u8],
}

impl Buckets {
    /// Changes the figures of a bucket, those of nothing if there are none yet.
    pub(super) fn update(&mut self, number: i64, change: impl FnOnce(&mut Figures)) {
        if let Some((_, figures)) = self.open.iter_mut().rev().find(|(open, _)| *open == number) {
            return change(figures);
        }
        if !self.packed.is_empty() && number <= self.last {
            return self.update_packed(number, change);
        }
        let mut figures = Figures::default();
        change(&mut figures);
        let place = self.open.partition_point(|(open, _)| *open < number);
        if self.open.is_empty() {
            self.open.reserve_exact(1);
        }
        self.open.insert(place, (number, figures));
        if self.open.len() > OPEN_MAX {
            let (number, figures) = self.open.remove(0);
            self.append(number, &figures);
        }
    }

    /// Every bucket, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, Held<'_>)> {
        let packed = self.packed().map(|found| (found.number, Held::Packed(found.body)));
        packed.chain(self.open.iter().map(|(number, figures)| (*number, Held::Open(figures))))
    }

    /// Drops the buckets before `floor`.
    pub(super) fn drop_before(&mut self, floor: i64) {
        let mut dropped = (0, self.base);
        for found in self.packed().take_while(|found| found.number < floor) {
            dropped = (found.end, found.number);
        }
        let (end, base) = dropped;
        if end > 0 {
            self.packed.drain(..end);
            self.base = base;
            if self.packed.capacity() > 2 * self.packed.len() + 64 {
                self.packed.shrink_to_fit();
            }
        }
        let old = self.open.iter().take_while(|(number, _)| *number < floor).count();
        if old > 0 {
            self.open.drain(..old);
        }
    }

    /// Packs all buckets: nothing is expected soon.
    pub(super) fn close(&mut self) {
        for (number, figures) in std::mem::take(&mut self.open) {
            self.append(number, &figures);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.packed.is_empty() && self.open.is_empty()
    }

    /// The number of the newest bucket.
    pub(super) fn newest(&self) -> Option<i64> {
        let packed = (!self.packed.is_empty()).then_some(self.last);
        self.open.last().map(|(number, _)| *number).or(packed)
    }

    fn packed(&self) -> impl Iterator<Item = Found<'_>> {
        let (mut rest, mut number) = (Bytes(&self.packed), self.base);
        std::iter::from_fn(move || {
            let start = self.packed.len() - rest.0.len();
            if rest.0.is_empty() {
                return None;
            }
            number += i64::try_from(rest.number_64()).unwrap_or(i64::MAX);
            let length = usize::try_from(rest.number_64()).unwrap_or(usize::MAX);
            let body = rest.take(length);
            Some(Found { number, start, end: self.packed.len() - rest.0.len(), body })
        })
    }

    /// Packs a bucket behind all others.
    fn append(&mut self, number: i64, figures: &Figures) {
        if self.packed.is_empty() {
            (self.base, self.last) = (number, number);
        }
        let record = record(number - self.last, figures);
        // Not twice as much as is needed, as a vector grows by itself: most of them stay as they are.
        let wanted = self.packed.len() + record.len();
        if wanted > self.packed.capacity() {
            self.packed.reserve_exact(record.len() + self.packed.len() / 4);
        }
        self.packed.extend_from_slice(&record);
        self.last = number;
    }

    /// Changes a bucket among those that are packed, or puts one between them.
    fn update_packed(&mut self, number: i64, change: impl FnOnce(&mut Figures)) {
        let mut before = self.base;
        let mut place = None;
        for found in self.packed() {
            if found.number >= number {
                place = Some((found.number, found.start..found.end, found.body));
                break;
            }
            before = found.number;
        }
        // The last one is not before `number`, so there is such a place.
        let Some((at, range, body)) = place else { return };
        let mut figures = Figures::default();
        // What is before the first is what its distance is from.
        let base = if range.start == 0 { number.min(before) } else { before };
        let record = if at == number {
            add_packed(body, Part::All, &mut figures);
            change(&mut figures);
            record(number - base, &figures)
        } else {
            change(&mut figures);
            let mut both = record(number - base, &figures);
            let mut next = Vec::new();
            push(u64::try_from(at - number).unwrap_or_default(), &mut next);
            push(body.len() as u64, &mut next);
            next.extend_from_slice(body);
            both.append(&mut next);
            both
        };
        if range.start == 0 {
            self.base = base;
        }
        self.packed.splice(range, record);
    }
}

impl Held<'_> {
    /// Adds a part of the bucket to `figures`.
    pub(super) fn add_to(self, part: Part, figures: &mut Figures) {
        match self {
            Self::Packed(body) => add_packed(body, part, figures),
            Self::Open(open) => figures.add(Source::Figures(open), part),
        }
    }
}

/// A bucket as it is packed.
fn record(distance: i64, figures: &Figures) -> Vec<u8> {
    let mut body = Vec::with_capacity(64);
    pack(figures, &mut body);
    let mut record = Vec::with_capacity(body.len() + 8);
    push(u64::try_from(distance).unwrap_or_default(), &mut record);
    push(body.len() as u64, &mut record);
    record.append(&mut body);
    record
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::fold::Sums;

    #[derive(Clone, Debug)]
    enum Step {
        Add(i64, u64),
        Drop(i64),
        Close,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0_i64..40, 1_u64..1_000).prop_map(|(number, count)| Step::Add(number, count)),
            4 => (1_000_i64..1_010, 1_u64..1_000).prop_map(|(number, count)| Step::Add(number, count)),
            1 => (0_i64..45).prop_map(Step::Drop),
            1 => Just(Step::Close),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_024))]

        #[test]
        fn they_are_a_map_of_figures(steps in prop::collection::vec(step(), 0..80)) {
            let (mut buckets, mut model) = (Buckets::default(), BTreeMap::<i64, Figures>::new());
            for step in steps {
                match step {
                    Step::Add(number, count) => {
                        let mut figures =
                            Figures { sums: Sums { requests: 1, tokens_in: count, ..Sums::ZERO }, ..Figures::default() };
                        figures.duration.add(count, 1);
                        let source = Source::Figures(&figures);
                        buckets.update(number, |bucket| bucket.add(source, Part::All));
                        model.entry(number).or_default().add(source, Part::All);
                    }
                    Step::Drop(floor) => {
                        buckets.drop_before(floor);
                        model = model.split_off(&floor);
                    }
                    Step::Close => buckets.close(),
                }
                let held = buckets.iter().map(|(number, held)| {
                    let mut figures = Figures::default();
                    held.add_to(Part::All, &mut figures);
                    (number, figures)
                });
                prop_assert_eq!(held.collect::<Vec<_>>(), model.clone().into_iter().collect::<Vec<_>>());
                prop_assert_eq!(buckets.newest(), model.keys().next_back().copied());
                prop_assert_eq!(buckets.is_empty(), model.is_empty());
            }
        }
    }

    #[test]
    fn what_is_dropped_gives_its_memory_back() {
        let mut buckets = Buckets::default();
        for second in 0..1_000 {
            buckets.update(second, |figures| figures.sums.requests += 1);
        }
        assert!(buckets.packed.capacity() > 4_000);
        buckets.drop_before(995);
        assert!(buckets.packed.capacity() < 200);
        buckets.drop_before(1_000);
        assert!(buckets.is_empty());
    }
}
