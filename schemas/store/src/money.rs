//! Money in ClickHouse: `Decimal(38, 18)` travels as a 128-bit integer of 1e-18 USD. The one conversion, both ways.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use weir_event::Usd;

/// An amount as ClickHouse's `Decimal(38, 18)` holds it: a whole number of 1e-18 USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScaledUsd(i128);

/// A stored amount, usually a sum, that a [`Usd`] cannot hold: 10 billion dollars or more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stored amount {0} is out of range")]
pub struct UsdRangeError(i128);

impl ScaledUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Takes whole units of 1e-18 USD.
    #[must_use]
    pub const fn from_units(units: i128) -> Self {
        Self(units)
    }

    /// In whole units of 1e-18 USD.
    #[must_use]
    pub const fn units(self) -> i128 {
        self.0
    }

    /// The sum, exact. It is held at the ends of 128 bits, which the amounts of 10 billion events do not reach.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, exact, held at the ends of 128 bits too.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// In dollars, with all its digits and no more: `-0.005385`.
impl fmt::Display for ScaledUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DECIMALS: usize = Usd::SCALE as usize;
        let one = 10_u128.pow(Usd::SCALE);
        let (whole, part) = (self.0.unsigned_abs() / one, self.0.unsigned_abs() % one);
        let decimals = format!("{part:0DECIMALS$}");
        let decimals = decimals.trim_end_matches('0');
        let point = if decimals.is_empty() { "" } else { "." };
        f.pad_integral(self.0 >= 0, "", &format!("{whole}{point}{decimals}"))
    }
}

impl From<Usd> for ScaledUsd {
    fn from(amount: Usd) -> Self {
        let amount = amount.amount();
        // Usd has at most 18 decimals and 10 digits before the point: the product is below 10^28.
        Self(amount.mantissa() * 10_i128.pow(Usd::SCALE - amount.scale()))
    }
}

impl TryFrom<ScaledUsd> for Usd {
    type Error = UsdRangeError;

    fn try_from(scaled: ScaledUsd) -> Result<Self, Self::Error> {
        let out_of_range = || UsdRangeError(scaled.0);
        let amount = Decimal::try_from_i128_with_scale(scaled.0, Self::SCALE).map_err(|_| out_of_range())?;
        amount.try_into().map_err(|_| out_of_range())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: i128 = 10_i128.pow(28);

    #[test]
    fn the_edges_convert() {
        for (text, scaled) in [
            ("0", 0),
            ("0.005385", 5_385_000_000_000_000),
            ("0.000000000000000001", 1),
            ("-0.000000000000000001", -1),
            ("9999999999.999999999999999999", LIMIT - 1),
            ("-9999999999.999999999999999999", 1 - LIMIT),
        ] {
            let usd: Usd = text.parse().unwrap();
            assert_eq!(ScaledUsd::from(usd), ScaledUsd(scaled), "{text}");
            assert_eq!(Usd::try_from(ScaledUsd(scaled)), Ok(usd), "{text}");
            assert_eq!(ScaledUsd(scaled).to_string(), text);
        }
        for beyond in [LIMIT, -LIMIT, i128::MAX, i128::MIN] {
            assert_eq!(Usd::try_from(ScaledUsd(beyond)), Err(UsdRangeError(beyond)));
        }
        assert_eq!(ScaledUsd(i128::MIN).to_string(), "-170141183460469231731.687303715884105728");
    }

    proptest! {
        #[test]
        fn sums_are_those_of_the_amounts(a in 1 - LIMIT..LIMIT, b in 1 - LIMIT..LIMIT) {
            let (a, b) = (Usd::try_from(ScaledUsd(a)).unwrap(), Usd::try_from(ScaledUsd(b)).unwrap());
            let sum = ScaledUsd::from(a).saturating_add(b.into());
            prop_assert_eq!(Usd::try_from(sum).ok(), a.checked_add(b));
            prop_assert_eq!(sum.saturating_sub(b.into()), ScaledUsd::from(a));
        }

        #[test]
        fn every_amount_round_trips(scaled in 1 - LIMIT..LIMIT) {
            let usd = Usd::try_from(ScaledUsd(scaled)).unwrap();
            prop_assert_eq!(ScaledUsd::from(usd), ScaledUsd(scaled));
        }
    }
}
