//! What is counted, of one event, of a bucket or of a window.

use weir_event::Usd;
use weir_event::bus::{LiveWindow, UsageEntry};
use weir_store::ScaledUsd;

/// Additive figures. Costs are whole numbers of 1e-18 USD, so that thousands of additions per read are exact and
/// cheap; [`Usd`] is what goes in and comes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Requests that ended.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Those of them that the gateway's cache answered.
    pub cached: u64,
    /// Those of them whose cost is unknown.
    pub unpriced: u64,
    /// Input tokens, where reported.
    pub tokens_in: u64,
    /// Output tokens, where reported.
    pub tokens_out: u64,
    /// Of the input tokens those that the provider had in its cache.
    pub tokens_cache_read: u64,
    /// Of the input tokens those that were written to the provider's cache.
    pub tokens_cache_write: u64,
    /// Of the output tokens those that are reasoning.
    pub tokens_reasoning: u64,
    /// The known costs.
    pub cost: ScaledUsd,
}

impl Sums {
    /// Nothing.
    pub const ZERO: Self = Self::from_counts([0; 9], ScaledUsd::ZERO);

    /// The figures of one event.
    #[must_use]
    pub fn of(entry: &UsageEntry) -> Self {
        Self {
            requests: 1,
            errors: u64::from(!entry.success),
            cached: u64::from(entry.cached),
            unpriced: u64::from(entry.cost.is_none()),
            tokens_in: entry.tokens_in.unwrap_or(0),
            tokens_out: entry.tokens_out.unwrap_or(0),
            tokens_cache_read: entry.tokens_cache_read.unwrap_or(0),
            tokens_cache_write: entry.tokens_cache_write.unwrap_or(0),
            tokens_reasoning: entry.tokens_reasoning.unwrap_or(0),
            cost: entry.cost.map_or(ScaledUsd::ZERO, ScaledUsd::from),
        }
    }

    /// Adds `other`. Counts stop at their type's end, which a trillion tokens a second would not reach in a window.
    pub fn add(&mut self, other: &Self) {
        let (mut counts, others) = (self.counts(), other.counts());
        for (count, other) in counts.iter_mut().zip(others) {
            *count = count.saturating_add(other);
        }
        *self = Self::from_counts(counts, self.cost.saturating_add(other.cost));
    }

    /// What is not an amount, in the order of the fields.
    pub(super) const fn counts(&self) -> [u64; 9] {
        [
            self.requests,
            self.errors,
            self.cached,
            self.unpriced,
            self.tokens_in,
            self.tokens_out,
            self.tokens_cache_read,
            self.tokens_cache_write,
            self.tokens_reasoning,
        ]
    }

    pub(super) const fn from_counts(counts: [u64; 9], cost: ScaledUsd) -> Self {
        let [
            requests,
            errors,
            cached,
            unpriced,
            tokens_in,
            tokens_out,
            tokens_cache_read,
            tokens_cache_write,
            tokens_reasoning,
        ] = counts;
        Self {
            requests,
            errors,
            cached,
            unpriced,
            tokens_in,
            tokens_out,
            tokens_cache_read,
            tokens_cache_write,
            tokens_reasoning,
            cost,
        }
    }

    /// Whether the cost is more than a [`Usd`] can hold (10 billion dollars), so that [`Sums::to_live`] understates it.
    #[must_use]
    pub fn is_beyond_range(&self) -> bool {
        Usd::try_from(self.cost).is_err()
    }

    /// The figures of a window as they are served. A cost that leaves the range of [`Usd`] is held at its end.
    #[must_use]
    pub fn to_live(&self, window_s: u64) -> LiveWindow {
        LiveWindow {
            window_s,
            requests: self.requests,
            errors: self.errors,
            cached: self.cached,
            unpriced: self.unpriced,
            tokens_in: self.tokens_in,
            tokens_out: self.tokens_out,
            tokens_cache_read: self.tokens_cache_read,
            tokens_cache_write: self.tokens_cache_write,
            tokens_reasoning: self.tokens_reasoning,
            cost: Usd::try_from(self.cost).unwrap_or_else(|_| end_of_range(self.cost)),
            ..LiveWindow::default()
        }
    }
}

fn end_of_range(beyond: ScaledUsd) -> Usd {
    let end = if beyond < ScaledUsd::ZERO {
        "-9999999999.999999999999999999"
    } else {
        "9999999999.999999999999999999"
    };
    end.parse().expect("it is the last amount in range")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_beyond_the_range_is_held_at_its_end_and_says_so() {
        let check = |start: &str, expected: &str| {
            let amount: Usd = start.parse().unwrap();
            let mut sums = Sums { cost: amount.into(), ..Sums::ZERO };
            assert!(!sums.is_beyond_range());
            sums.add(&sums.clone());
            assert!(sums.is_beyond_range());
            assert_eq!(sums.to_live(60).cost.to_string(), expected);
        };
        check("9999999999", "9999999999.999999999999999999");
        check("-9999999999", "-9999999999.999999999999999999");
    }
}
