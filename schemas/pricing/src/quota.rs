//! Quota units, as new-api counts them: 500,000 to the US dollar.
//!
//! Pure and exact: every figure is a decimal, and what is rounded is rounded once, at the end.

use weir_event::{QuotaSource, UsageEvent, Usd};

use crate::cost::Cost;

/// How many quota units a US dollar is (new-api's `QuotaPerUnit`).
pub const QUOTA_PER_USD: u32 = 500_000;

/// The quota units of an event, and where they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The units. Negative where a source gave a negative cost.
    pub units: i64,
    /// Where they come from.
    pub source: QuotaSource,
}

/// The quota units of an event. Those that the event carries win; else its cost at [`QUOTA_PER_USD`]. `None` where it
/// failed, or where its cost is unknown.
#[must_use]
pub fn quota_of(event: &UsageEvent, cost: &Cost) -> Option<Quota> {
    if let Some(units) = event.quota {
        return Some(Quota { units, source: QuotaSource::Provided });
    }
    if !event.success {
        return None;
    }
    let units = quota_of_cost(cost.amount()?);
    Some(Quota { units, source: QuotaSource::Cost })
}

/// A cost at [`QUOTA_PER_USD`], rounded half away from zero.
#[must_use]
pub fn quota_of_cost(cost: Usd) -> i64 {
    const ONE_USD: i128 = 10_i128.pow(Usd::SCALE);
    let amount = cost.amount();
    // Below 10^28 units of 1e-18 dollars, so below 10^34 here.
    let product = amount.mantissa() * 10_i128.pow(Usd::SCALE - amount.scale()) * i128::from(QUOTA_PER_USD);
    let rounded = (product.abs() + ONE_USD / 2) / ONE_USD * product.signum();
    i64::try_from(rounded).expect("10 billion dollars are 5 x 10^15 units")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_rounded_half_away_from_zero() {
        for (cost, units) in [
            ("0", 0),
            ("0.005385", 2_693),
            ("0.000001", 1),
            ("0.000000999999999999", 0),
            ("0.000003", 2),
            ("-0.000001", -1),
            ("1", 500_000),
            ("9999999999.999999999999999999", 5_000_000_000_000_000),
        ] {
            assert_eq!(quota_of_cost(cost.parse().unwrap()), units, "{cost}");
        }
    }
}
