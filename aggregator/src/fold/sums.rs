//! What is counted, of one event, of a bucket or of a window.

use weir_event::Usd;
use weir_event::bus::{LiveWindow, UsageEntry};
use weir_store::ScaledUsd;

/// Additive figures. Costs are whole numbers of 1e-18 USD, so that thousands of additions per read are exact and
/// cheap; [`Usd`] is what goes in and comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// The known costs.
    pub cost: ScaledUsd,
}

impl Sums {
    /// Nothing.
    pub const ZERO: Self = Self {
        requests: 0,
        errors: 0,
        cached: 0,
        unpriced: 0,
        tokens_in: 0,
        tokens_out: 0,
        cost: ScaledUsd::ZERO,
    };

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
            cost: entry.cost.map_or(ScaledUsd::ZERO, ScaledUsd::from),
        }
    }

    /// Adds `other`. Counts stop at their type's end, which a trillion tokens a second would not reach in a window.
    pub fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.errors = self.errors.saturating_add(other.errors);
        self.cached = self.cached.saturating_add(other.cached);
        self.unpriced = self.unpriced.saturating_add(other.unpriced);
        self.tokens_in = self.tokens_in.saturating_add(other.tokens_in);
        self.tokens_out = self.tokens_out.saturating_add(other.tokens_out);
        self.cost = self.cost.saturating_add(other.cost);
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
