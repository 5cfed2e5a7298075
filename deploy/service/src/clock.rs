//! The only place where the wall clock is read.
//!
//! Everything else takes a [`Clock`], so that a test decides what time it is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time of day.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Milliseconds since 1970-01-01T00:00:00Z; negative before it.
    fn now_ms(&self) -> i64;
}

/// A clock that parts of a process share.
pub type SharedClock = Arc<dyn Clock>;

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The machine's clock, ready to be handed out.
    #[must_use]
    pub fn shared() -> SharedClock {
        Arc::new(Self)
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    fn now_ms(&self) -> i64 {
        signed_millis(SystemTime::now())
    }
}

/// A clock that stands still until it is told to move. Clones show the same time.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows `now_ms`.
    #[must_use]
    pub fn at(now_ms: i64) -> Self {
        Self(Arc::new(AtomicI64::new(now_ms)))
    }

    /// Shows `now_ms` from here on.
    pub fn set(&self, now_ms: i64) {
        self.0.store(now_ms, Ordering::SeqCst);
    }

    /// Moves by `by_ms` milliseconds; a negative number moves back.
    pub fn advance(&self, by_ms: i64) {
        self.0.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

fn signed_millis(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told_and_its_clones_agree() {
        let clock = ManualClock::at(1_000);
        let seen_by_a_part: SharedClock = Arc::new(clock.clone());
        assert_eq!(seen_by_a_part.now_ms(), 1_000);
        clock.advance(250);
        assert_eq!(seen_by_a_part.now_ms(), 1_250);
        clock.set(5);
        assert_eq!(seen_by_a_part.now_ms(), 5);
    }

    #[test]
    fn times_before_1970_are_negative() {
        assert_eq!(signed_millis(UNIX_EPOCH - Duration::from_millis(7)), -7);
        assert_eq!(signed_millis(UNIX_EPOCH + Duration::from_millis(7)), 7);
    }

    #[test]
    fn the_system_clock_is_in_milliseconds() {
        let after_2024 = 1_704_067_200_000;
        let before_2100 = 4_102_444_800_000;
        assert!((after_2024..before_2100).contains(&SystemClock.now_ms()));
    }
}
