//! Amounts: from a JSON number's text to a price as a price file has it, by moving the point and by whole factors.

use std::fmt;

use rust_decimal::{Decimal, RoundingStrategy};

/// A price per million, thousand or hour: from 0 to below 100,000 USD, at most 12 decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Amount(Decimal);

/// Why a number is no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAPrice {
    /// Not a number, or one with more digits than can be told apart.
    Malformed,
    /// Below 0, or 100,000 or more.
    OutOfRange,
}

/// An amount, and whether it is the number to the last digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) amount: Amount,
    /// The number had more decimals than a price may have, and was rounded half to even at the last of them. Published
    /// files have such numbers where a float was printed: `1.0000000000000001e-07`.
    pub(super) rounded: bool,
}

impl Amount {
    pub(super) const ZERO: Self = Self(Decimal::ZERO);
    const DECIMALS_MAX: u32 = 12;
    const LIMIT: u32 = 100_000;

    /// The number times a whole factor: 1,000,000 from a token to a million of them, 3,600 from a second to an hour.
    pub(super) fn read(number: &str, factor: u64) -> Result<Read, NotAPrice> {
        Self::of(exact(number).ok_or(NotAPrice::Malformed)?, Decimal::from(factor))
    }

    /// The amount times a number: a surcharge that is published as a multiplier.
    pub(super) fn times(self, multiplier: &str) -> Result<Read, NotAPrice> {
        Self::of(self.0, exact(multiplier).ok_or(NotAPrice::Malformed)?)
    }

    pub(super) fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    fn of(number: Decimal, factor: Decimal) -> Result<Read, NotAPrice> {
        // A `Decimal` rounds a long product in silence, so it is made of whole numbers.
        let (number, factor) = (number.normalize(), factor.normalize());
        let digits = number.mantissa().checked_mul(factor.mantissa()).ok_or(NotAPrice::OutOfRange)?;
        let product = Decimal::try_from_i128_with_scale(digits, number.scale() + factor.scale())
            .map_err(|_| NotAPrice::Malformed)?;
        if digits < 0 || product >= Decimal::from(Self::LIMIT) {
            return Err(NotAPrice::OutOfRange);
        }
        let kept = product
            .round_dp_with_strategy(Self::DECIMALS_MAX, RoundingStrategy::MidpointNearestEven)
            .normalize();
        Ok(Read { amount: Self(kept), rounded: kept != product })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A JSON number, exponent included, to the last digit. `None` where it has more digits than a `Decimal` holds.
fn exact(number: &str) -> Option<Decimal> {
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (number, 0),
    };
    let mantissa = Decimal::from_str_exact(mantissa).ok()?.normalize();
    let scale = i32::try_from(mantissa.scale()).ok()?.checked_sub(exponent)?;
    let digits = mantissa.mantissa();
    if digits == 0 {
        return Some(Decimal::ZERO);
    }
    if let Ok(scale) = u32::try_from(scale) {
        return Decimal::try_from_i128_with_scale(digits, scale).ok();
    }
    let whole = digits.checked_mul(10_i128.checked_pow(scale.unsigned_abs())?)?;
    Decimal::try_from_i128_with_scale(whole, 0).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(number: &str, factor: u64) -> String {
        match Amount::read(number, factor) {
            Ok(Read { amount, rounded: false }) => amount.to_string(),
            Ok(Read { amount, rounded: true }) => format!("~{amount}"),
            Err(why) => format!("{why:?}"),
        }
    }

    #[test]
    fn numbers_become_prices_to_the_last_digit() {
        for (number, factor, expected) in [
            ("1.3e-10", 1_000_000, "0.00013"),
            ("2e-07", 1_000_000, "0.2"),
            ("0.000003", 1_000_000, "3"),
            ("15", 1, "15"),
            ("1E+1", 1, "10"),
            ("0", 1_000_000, "0"),
            ("0.0", 1, "0"),
            ("0e5", 1, "0"),
            ("0.000075", 3_600, "0.27"),
            ("0.035", 1_000, "35"),
            ("1.0000000000000001e-07", 1_000_000, "~0.1"),
            ("3.3333333333333335e-05", 1_000_000, "~33.333333333333"),
            ("0.0002833333333333", 3_600, "~1.02"),
            ("0.0999999999", 1_000_000, "99999.9999"),
            ("0.1", 1_000_000, "OutOfRange"),
            ("1e30", 1, "Malformed"),
            ("1e-40", 1, "Malformed"),
            ("-1", 1, "OutOfRange"),
            ("1e", 1, "Malformed"),
            ("free", 1, "Malformed"),
        ] {
            assert_eq!(read(number, factor), expected, "{number} x {factor}");
        }
    }

    proptest! {
        #[test]
        fn an_exponent_is_only_another_way_to_write(digits in 0_u64..10_000_000, shift in 0_u32..6) {
            let plain = Decimal::new(i64::try_from(digits).unwrap(), 12).to_string();
            let scientific = format!("{}e-{}", digits * 10_u64.pow(shift), 12 + shift);
            prop_assert_eq!(read(&plain, 1_000_000), read(&scientific, 1_000_000));
        }
    }
}
