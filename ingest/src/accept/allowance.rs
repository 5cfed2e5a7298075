//! How much a sender may push: so many records and bytes a second.
//!
//! What a push brings is known only while it is read. So it is let in when nothing is owed, charged as it goes, and may owe
//! in the end: the next one waits until that is paid off. Limiters that grant before the use (governor's, for one) have
//! no debt, so it is kept here: the moment at which nothing is owed any more.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long what is not used may be saved up.
const SAVED_MAX: Duration = Duration::from_secs(1);
const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// What a sender may push in a second; without a number, as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rates {
    pub(super) records: Option<NonZeroU64>,
    /// Of records, decompressed.
    pub(super) bytes: Option<NonZeroU64>,
}

/// Keeps a sender to its rates, over all of its pushes.
#[derive(Debug)]
pub(super) struct Allowance {
    rates: Rates,
    records_paid_at: Mutex<Option<Instant>>,
    bytes_paid_at: Mutex<Option<Instant>>,
}

impl Allowance {
    pub(super) const fn new(rates: Rates) -> Self {
        Self { rates, records_paid_at: Mutex::new(None), bytes_paid_at: Mutex::new(None) }
    }

    pub(super) const fn rates(&self) -> Rates {
        self.rates
    }

    /// How long it takes from `now` until the sender may push again; `None` if it may.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        let wait = |paid_at: &Mutex<Option<Instant>>| {
            let paid_at = *paid_at.lock().unwrap_or_else(PoisonError::into_inner);
            paid_at.map_or(Duration::ZERO, |paid_at| paid_at.saturating_duration_since(now))
        };
        let wait = wait(&self.records_paid_at).max(wait(&self.bytes_paid_at));
        (wait > Duration::ZERO).then_some(wait)
    }

    /// Takes account of what was read at `now`.
    pub(super) fn charge(&self, records: u64, bytes: u64, now: Instant) {
        let charge = |paid_at: &Mutex<Option<Instant>>, amount: u64, rate: Option<NonZeroU64>| {
            let Some(rate) = rate else { return };
            let nanos = u128::from(amount) * NANOS_PER_SECOND / u128::from(rate.get());
            let took = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            let mut paid_at = paid_at.lock().unwrap_or_else(PoisonError::into_inner);
            let saved_from = now.checked_sub(SAVED_MAX).unwrap_or(now);
            let begun = paid_at.map_or(saved_from, |paid_at| paid_at.max(saved_from));
            *paid_at = Some(begun.checked_add(took).unwrap_or(begun));
        };
        charge(&self.records_paid_at, records, self.rates.records);
        charge(&self.bytes_paid_at, bytes, self.rates.bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn allowance(records: Option<u64>, bytes: Option<u64>) -> Allowance {
        let rate = |number: Option<u64>| number.and_then(NonZeroU64::new);
        Allowance::new(Rates { records: rate(records), bytes: rate(bytes) })
    }

    #[test]
    fn a_push_may_owe_and_the_next_one_waits() {
        let (allowance, now) = (allowance(Some(100), None), Instant::now());
        assert_eq!(allowance.wait(now), None);
        allowance.charge(100, 1 << 40, now);
        assert_eq!(allowance.wait(now), None, "a second's worth is there to begin with");
        allowance.charge(1_000, 0, now);
        assert_eq!(allowance.wait(now), Some(Duration::from_secs(10)));
        assert_eq!(allowance.wait(now + Duration::from_secs(9)), Some(Duration::from_secs(1)));
        assert_eq!(allowance.wait(now + Duration::from_secs(10)), None);
    }

    #[test]
    fn the_scarcer_of_the_two_counts_and_no_rate_is_no_limit() {
        let now = Instant::now();
        let both = allowance(Some(10), Some(1_000));
        both.charge(11, 3_000, now);
        assert_eq!(both.wait(now), Some(Duration::from_secs(2)));
        let none = allowance(None, None);
        none.charge(u64::MAX, u64::MAX, now);
        assert_eq!(none.wait(now), None);
        allowance(Some(1), Some(1)).charge(u64::MAX, u64::MAX, now);
    }

    proptest! {
        #[test]
        fn over_time_no_more_than_the_rate_is_let_in(rate in 1_u64..1_000, pushes in proptest::collection::vec((0_u64..3_000, 0_u64..5_000), 1..60)) {
            let (allowance, begun) = (allowance(Some(rate), None), Instant::now());
            let (mut now, mut taken, mut last) = (begun, 0, 0);
            for (records, pause_ms) in pushes {
                now += Duration::from_millis(pause_ms);
                if allowance.wait(now).is_none() {
                    allowance.charge(records, 0, now);
                    taken += records;
                    last = records;
                }
            }
            // All but the last push is paid for, out of the time and the second saved up.
            let seconds = (now - begun + SAVED_MAX).as_nanos();
            prop_assert!(u128::from(taken - last) * NANOS_PER_SECOND <= seconds * u128::from(rate) + NANOS_PER_SECOND);
        }
    }
}
