//! The buckets of one series: calls that have all of their names in common, or what is left of a tenant's.

use super::buckets::Buckets;
use super::figures::{Part, Source};
use super::lengths::WindowLengths;
use super::windows::{HOUR_MS, MINUTE_MS, SECOND_MS, SLACK_MS};

/// Figures at four grains, each for as long as a window reads it.
#[derive(Debug)]
pub(super) struct Series {
    /// Everything by the second, for the short windows.
    pub(super) seconds: Buckets,
    /// Counts and amounts by the minute, for the others.
    pub(super) minutes: Buckets,
    /// What calls took by the minute, for those of up to two hours.
    pub(super) times: Buckets,
    /// Everything by the hour: counts and amounts of whole hours within long windows, and what calls took.
    pub(super) hours: Buckets,
    /// All calls that ended at this time or later are in here, those before may be in the rest.
    pub(super) exact_since_ms: i64,
    /// How much came lately: requests, halved every now and then.
    pub(super) weight: u32,
    /// Whether anything came since the last sweep.
    touched: bool,
}

/// Where the buckets begin that are kept, as their numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floors {
    second: i64,
    pub(super) minute: i64,
    time: i64,
    hour: i64,
}

impl Floors {
    /// What windows may ask for until the clock shows less than `latest_ms` minus the slack.
    pub(super) fn at(latest_ms: i64, lengths: &WindowLengths) -> Self {
        // The first that begins then or later.
        let from =
            |length_ms: i64, width_ms: i64| (latest_ms - length_ms - SLACK_MS - 1).div_euclid(width_ms) + 1;
        // What no window reads is not kept at all.
        let if_any = |length_ms: i64, floor: i64| if length_ms == 0 { i64::MAX } else { floor };
        let (short, medium) = (lengths.longest_short_ms(), lengths.longest_medium_ms());
        let longest = lengths.longest_ms();
        Self {
            second: if_any(short, from(short, SECOND_MS)),
            // The one that the first of those seconds is in, if no window reads minutes: what is older is too late.
            minute: from(longest, lengths.widest_ms()).div_euclid(MINUTE_MS / lengths.widest_ms()),
            time: if_any(medium, from(medium, MINUTE_MS)),
            hour: if_any(longest - short, from(longest, HOUR_MS)),
        }
    }
}

impl Series {
    pub(super) fn new(exact_since_ms: i64) -> Self {
        Self {
            seconds: Buckets::default(),
            minutes: Buckets::default(),
            times: Buckets::default(),
            hours: Buckets::default(),
            exact_since_ms,
            weight: 0,
            touched: true,
        }
    }

    /// Puts figures into the buckets of `at_ms`, as far as these are kept.
    pub(super) fn put(&mut self, at_ms: i64, source: Source<'_>, floors: &Floors) {
        self.weight = self.weight.saturating_add(u32::try_from(source.requests()).unwrap_or(u32::MAX));
        self.touched = true;
        let parts = [
            (&mut self.seconds, SECOND_MS, floors.second, Part::All),
            (&mut self.minutes, MINUTE_MS, floors.minute, Part::Sums),
            (&mut self.times, MINUTE_MS, floors.time, Part::Times),
            (&mut self.hours, HOUR_MS, floors.hour, Part::All),
        ];
        for (buckets, width_ms, floor, part) in parts {
            let number = at_ms.div_euclid(width_ms);
            if number >= floor {
                buckets.update(number, |figures| figures.add(source, part));
            }
        }
    }

    /// Takes in all that `other` has.
    pub(super) fn take_in(&mut self, other: &Self) {
        self.touched = true;
        let parts = [
            (&mut self.seconds, &other.seconds),
            (&mut self.minutes, &other.minutes),
            (&mut self.times, &other.times),
            (&mut self.hours, &other.hours),
        ];
        for (buckets, others) in parts {
            for (number, held) in others.iter() {
                buckets.update(number, |figures| held.add_to(Part::All, figures));
            }
        }
    }

    /// Drops what is older than what is kept, and packs what nothing came for since the last time.
    pub(super) fn sweep(&mut self, floors: &Floors) {
        let touched = std::mem::take(&mut self.touched);
        let parts = [
            (&mut self.seconds, floors.second),
            (&mut self.minutes, floors.minute),
            (&mut self.times, floors.time),
            (&mut self.hours, floors.hour),
        ];
        for (buckets, floor) in parts {
            buckets.drop_before(floor);
            if !touched {
                buckets.close();
            }
        }
    }

    /// Whether nothing is left that a window could ask for.
    pub(super) fn is_empty(&self) -> bool {
        self.minutes.is_empty()
    }

    /// From when on there is nothing in it; `None` if there is nothing at all.
    pub(super) fn nothing_since_ms(&self) -> Option<i64> {
        self.minutes.newest().map(|minute| (minute + 1) * MINUTE_MS)
    }
}
