//! Windows as they are read: nested, and all ending now, so what is in one and not in the next shorter one is added up
//! once.

use super::figures::{Figures, Part, Source};
use super::lengths::WindowLengths;
use super::series::Series;
use super::windows::{HOUR_MS, MINUTE_MS, SECOND_MS};

/// The figures of any number of series at one time, by ring: what is in a window and not in the next shorter one that is
/// read from the same buckets.
#[derive(Clone, Debug)]
pub(super) struct Rings {
    figures: Vec<Figures>,
}

/// Which buckets are in which ring, at one time.
#[derive(Clone, Debug)]
pub(super) struct Clockwork {
    now_ms: i64,
    lengths: WindowLengths,
    /// For each window the hours, from the first to before the last, that are in its ring as a whole.
    whole_hours: Vec<(i64, i64)>,
}

impl Clockwork {
    pub(super) fn new(now_ms: i64, lengths: WindowLengths) -> Self {
        let short = lengths.short();
        let whole_hours = lengths.all().iter().enumerate().map(|(index, length_ms)| {
            let inner_ms = if index > short { lengths.all()[index - 1] } else { 0 };
            // Its minutes begin after the window's beginning, and the last one not after the ring's end.
            let first = (now_ms - length_ms).div_euclid(HOUR_MS) + 1;
            let end = (now_ms - inner_ms - 59 * MINUTE_MS).div_euclid(HOUR_MS) + 1;
            if index < short { (0, 0) } else { (first, end.max(first)) }
        });
        Self { now_ms, lengths, whole_hours: whole_hours.collect() }
    }

    /// The first of the windows `from..to` that has a bucket which starts at `start_ms`.
    fn ring(&self, start_ms: i64, from: usize, to: usize) -> Option<usize> {
        if start_ms > self.now_ms {
            return None;
        }
        let lengths = &self.lengths.all()[from..to];
        let place = lengths.iter().position(|length_ms| start_ms > self.now_ms - length_ms)?;
        Some(from + place)
    }

    pub(super) const fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Whether a ring has an hour as a whole.
    fn has_hour(&self, ring: usize, hour: i64) -> bool {
        let (first, end) = self.whole_hours[ring];
        (first..end).contains(&hour)
    }
}

impl Rings {
    pub(super) fn new(clockwork: &Clockwork) -> Self {
        Self { figures: vec![Figures::default(); clockwork.lengths.all().len()] }
    }

    /// Adds what a series has.
    pub(super) fn add(&mut self, series: &Series, clockwork: &Clockwork) {
        let lengths = &clockwork.lengths;
        let (short, medium, all) = (lengths.short(), lengths.medium(), lengths.all().len());
        if short > 0 {
            for (second, held) in series.seconds.iter() {
                if let Some(ring) = clockwork.ring(second * SECOND_MS, 0, short) {
                    held.add_to(Part::All, &mut self.figures[ring]);
                }
            }
        }
        if all > short {
            for (minute, held) in series.minutes.iter() {
                let ring = clockwork.ring(minute * MINUTE_MS, short, all);
                if let Some(ring) = ring.filter(|ring| !clockwork.has_hour(*ring, minute.div_euclid(60))) {
                    held.add_to(Part::Sums, &mut self.figures[ring]);
                }
            }
        }
        if medium > short {
            for (minute, held) in series.times.iter() {
                if let Some(ring) = clockwork.ring(minute * MINUTE_MS, short, medium) {
                    held.add_to(Part::Times, &mut self.figures[ring]);
                }
            }
        }
        if all > short {
            for (hour, held) in series.hours.iter() {
                if let Some(ring) = (short..all).find(|ring| clockwork.has_hour(*ring, hour)) {
                    held.add_to(Part::Sums, &mut self.figures[ring]);
                }
                if let Some(ring) = clockwork.ring(hour * HOUR_MS, medium, all) {
                    held.add_to(Part::Times, &mut self.figures[ring]);
                }
            }
        }
    }

    /// The figures of each window.
    pub(super) fn into_windows(mut self, clockwork: &Clockwork) -> Vec<Figures> {
        let lengths = &clockwork.lengths;
        let (short, medium) = (lengths.short(), lengths.medium());
        for index in 1..self.figures.len() {
            let (inner, outer) = self.figures.split_at_mut(index);
            let (Some(inner), Some(outer)) = (inner.last(), outer.first_mut()) else { continue };
            let source = Source::Figures(inner);
            if index != short {
                outer.add(source, Part::Sums);
                if index != medium {
                    outer.add(source, Part::Times);
                }
            }
        }
        self.figures
    }
}
