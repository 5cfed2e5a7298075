//! What is known of one budget: sums by step of time, each a function of the rows in it.
//!
//! A sliding window is kept by the second or by the minute. A period is kept by the minute for as long as events usually come
//! late, and by the quarter of an hour before: a year is 35,000 of them. A minute that is touched in an old quarter has the
//! whole quarter summed up anew.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use weir_budget::{Amount, Window};

/// For so long a period is kept by the minute.
const FINE_MS: i64 = 2 * 3_600_000;
/// For so long a period that is over is still watched: calls are told of when they end, or later.
const GRACE_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;
const QUARTER_MS: i64 = 900_000;

/// Sums by step, in epoch milliseconds.
#[derive(Debug)]
pub(super) struct Sums {
    window: Window,
    steps: BTreeMap<i64, i128>,
    /// What begins here or later is kept by [`Sums::fine_ms`], what begins before by the quarter. It begins a quarter.
    fine_from: i64,
    /// What is before is forgotten.
    kept_from: i64,
}

/// A sum of the calls that ended within a step that begins at `at_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) at_ms: i64,
    pub(super) units: i128,
}

impl Sums {
    /// Of a window as of now, when nothing is known.
    pub(super) fn new(window: Window, now_ms: i64) -> Self {
        let mut sums = Self { window, steps: BTreeMap::new(), fine_from: i64::MIN, kept_from: i64::MIN };
        // Nothing was forgotten before.
        let _ = sums.move_on(now_ms);
        sums
    }

    /// From where on rows count.
    pub(super) const fn kept_from(&self) -> i64 {
        self.kept_from
    }

    /// From where on it is kept by the minute, or finer.
    pub(super) const fn fine_from(&self) -> i64 {
        self.fine_from
    }

    /// By how much it is kept from there on.
    pub(super) fn fine_ms(&self) -> i64 {
        self.window.step_ms().min(MINUTE_MS)
    }

    /// The times that are looked at: what counts now, and before it a period that is just over.
    pub(super) fn times(&self, now_ms: i64) -> Vec<Range<i64>> {
        let now = self.window.bounds(now_ms);
        if self.window.is_sliding() || now_ms - now.start > GRACE_MS {
            return vec![now];
        }
        vec![self.window.bounds(now.start - 1), now]
    }

    /// What was used within such a time.
    pub(super) fn total(&self, time: &Range<i64>) -> Amount {
        Amount::from_units(
            self.steps.range(time.clone()).fold(0, |sum, (_, units)| sum.saturating_add(*units)),
        )
    }

    /// The minutes that have to be read where this one was touched; none where it is too old.
    pub(super) fn minutes_of(&self, minute_ms: i64) -> Vec<i64> {
        if minute_ms + MINUTE_MS <= self.kept_from {
            return Vec::new();
        }
        if minute_ms >= self.fine_from {
            return vec![minute_ms];
        }
        let quarter = minute_ms - minute_ms.rem_euclid(QUARTER_MS);
        (0..QUARTER_MS / MINUTE_MS).map(|n| quarter + n * MINUTE_MS).collect()
    }

    /// Takes what was read of whole `minutes` in the place of what was known of them. `read` may have other minutes too.
    pub(super) fn replace(&mut self, minutes: &BTreeSet<i64>, read: &[Step]) {
        for minute in minutes {
            let Range { start, end } = if *minute >= self.fine_from {
                *minute..*minute + MINUTE_MS
            } else {
                let start = self.step_of(*minute);
                start..start + QUARTER_MS
            };
            let gone: Vec<_> = self.steps.range(start..end).map(|(at, _)| *at).collect();
            for at in gone {
                self.steps.remove(&at);
            }
        }
        let of_these = |step: &&Step| minutes.contains(&(step.at_ms - step.at_ms.rem_euclid(MINUTE_MS)));
        self.add(read.iter().filter(of_these));
    }

    /// Takes what was read of all that counts, when nothing is known.
    pub(super) fn load(&mut self, read: &[Step]) {
        self.steps.clear();
        let kept_from = self.kept_from;
        self.add(read.iter().filter(|step| step.at_ms >= kept_from));
    }

    /// Forgets what is too old, and keeps by the quarter what is no longer recent. Says whether all that counts is known still:
    /// where the clock went back, so that what was forgotten counts again, nothing is until it is loaded.
    #[must_use]
    pub(super) fn move_on(&mut self, now_ms: i64) -> bool {
        let kept_from = self.times(now_ms).first().map_or(self.kept_from, |time| time.start);
        if kept_from < self.kept_from {
            *self = Self::new(self.window.clone(), now_ms);
            return false;
        }
        self.kept_from = kept_from;
        self.steps = self.steps.split_off(&self.kept_from);
        if !self.window.is_sliding() {
            self.keep_by_the_quarter(now_ms);
        }
        true
    }

    fn keep_by_the_quarter(&mut self, now_ms: i64) {
        let recent = now_ms - FINE_MS;
        let fine_from = (recent - recent.rem_euclid(QUARTER_MS)).max(self.fine_from);
        let coarse: Vec<_> =
            self.steps.range(self.fine_from..fine_from).map(|(at, units)| (*at, *units)).collect();
        self.fine_from = fine_from;
        for (at_ms, _) in &coarse {
            self.steps.remove(at_ms);
        }
        let coarse: Vec<_> = coarse.into_iter().map(|(at_ms, units)| Step { at_ms, units }).collect();
        self.add(coarse.iter());
    }

    fn add<'s>(&mut self, steps: impl Iterator<Item = &'s Step>) {
        for Step { at_ms, units } in steps {
            let sum = self.steps.entry(self.step_of(*at_ms)).or_default();
            *sum = sum.saturating_add(*units);
        }
    }

    fn step_of(&self, at_ms: i64) -> i64 {
        let step = if at_ms >= self.fine_from { self.fine_ms() } else { QUARTER_MS };
        at_ms - at_ms.rem_euclid(step)
    }
}

#[cfg(test)]
mod tests;
