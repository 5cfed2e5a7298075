//! The time that a budget is of.

use std::ops::Range;

use super::calendar::Calendar;

/// Which calls count together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Window {
    /// Those of so many seconds until now: whole minutes, up to a day.
    Sliding {
        /// How many.
        seconds: u32,
    },
    /// Those of the period that it is now.
    Calendar(Calendar),
}

/// How far ahead of ours the clock may be that a call was timed by.
const AHEAD_MS: i64 = 60_000;

impl Window {
    /// How long a sliding one may be, in seconds.
    pub const SECONDS: std::ops::RangeInclusive<u32> = 60..=86_400;
    /// Up to this many seconds a sliding window moves by the second, and else by the minute.
    const BY_SECOND_MAX: u32 = 900;

    /// By how much it moves, in milliseconds: of what is older than its first such step nothing counts. A quarter of an hour for
    /// a period, which begins with one.
    #[must_use]
    pub const fn step_ms(&self) -> i64 {
        match self {
            Self::Sliding { seconds } if *seconds <= Self::BY_SECOND_MAX => 1_000,
            Self::Sliding { .. } => 60_000,
            Self::Calendar(_) => 900_000,
        }
    }

    /// What counts at a time, all in epoch milliseconds. The last step of a sliding window is the one that it is now; what
    /// is timed by a clock ahead of ours, by up to a minute, counts at once.
    #[must_use]
    pub fn bounds(&self, at_ms: i64) -> Range<i64> {
        match self {
            Self::Sliding { seconds } => {
                let step = self.step_ms();
                let end = at_ms - at_ms.rem_euclid(step) + step;
                end - i64::from(*seconds) * 1_000..end + AHEAD_MS
            }
            Self::Calendar(calendar) => calendar.around(at_ms),
        }
    }

    /// Whether it moves all the time.
    #[must_use]
    pub const fn is_sliding(&self) -> bool {
        matches!(self, Self::Sliding { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sliding_window_ends_with_the_step_that_it_is() {
        let check = |seconds, at_ms, start, end| {
            let bounds = Window::Sliding { seconds }.bounds(at_ms);
            assert_eq!((bounds.start, bounds.end - AHEAD_MS), (start, end), "{seconds} {at_ms}");
        };
        check(60, 1_000_500, 941_000, 1_001_000);
        check(900, 1_000_000, 101_000, 1_001_000);
        check(3_600, 36_000_000, 32_460_000, 36_060_000);
        check(3_600, 36_059_999, 32_460_000, 36_060_000);
    }
}
