//! How long a sender is waited for: no longer than it may be silent, and in all no longer than what it sent is worth.
//!
//! A push holds one of few turns while its body comes in. A sender that dribbles is never silent for long, so what counts
//! is also how much it brought for the time that was spent on waiting for it. Time in which it waited for us is not counted.

use std::num::NonZeroU64;
use std::time::Duration;

/// The patience with one sender.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    idle_timeout: Duration,
    bytes_per_second_min: NonZeroU64,
    received_bytes: u64,
    waited: Duration,
}

impl Pace {
    pub(super) const fn new(idle_timeout: Duration, bytes_per_second_min: NonZeroU64) -> Self {
        Self { idle_timeout, bytes_per_second_min, received_bytes: 0, waited: Duration::ZERO }
    }

    /// How long the next part may take.
    pub(super) fn left(&self) -> Duration {
        let millis = u128::from(self.received_bytes) * 1_000 / u128::from(self.bytes_per_second_min.get());
        let worth = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
        let in_all = self.idle_timeout.saturating_add(worth);
        in_all.saturating_sub(self.waited).min(self.idle_timeout)
    }

    /// A part came after so long.
    pub(super) fn received(&mut self, bytes: usize, waited: Duration) {
        self.received_bytes = self.received_bytes.saturating_add(bytes as u64);
        self.waited = self.waited.saturating_add(waited);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(30);

    fn pace() -> Pace {
        Pace::new(IDLE, NonZeroU64::new(1_000).unwrap())
    }

    /// How long a sender is waited for that sends so many bytes each second, as far as an hour.
    fn lasts(bytes: usize) -> Duration {
        let (mut pace, mut begun) = (pace(), Duration::ZERO);
        let second = Duration::from_secs(1);
        while pace.left() >= second && begun < Duration::from_hours(1) {
            pace.received(bytes, second);
            begun += second;
        }
        begun
    }

    #[test]
    fn a_sender_that_dribbles_is_waited_for_as_long_as_its_bytes_are_worth() {
        assert_eq!(pace().left(), IDLE);
        assert_eq!(lasts(1), Duration::from_secs(30));
        assert_eq!(lasts(500), Duration::from_secs(59));
        assert_eq!(lasts(1_000), Duration::from_hours(1));
    }

    #[test]
    fn what_was_sent_fast_does_not_let_it_be_silent_for_longer() {
        let mut pace = pace();
        pace.received(1_000_000, Duration::from_secs(1));
        assert_eq!(pace.left(), IDLE);
        pace.received(usize::MAX, Duration::MAX);
        assert_eq!(pace.left(), Duration::ZERO);
    }
}
