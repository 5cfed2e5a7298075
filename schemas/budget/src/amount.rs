//! How much of something: dollars, tokens, or calls, exact.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use weir_store::ScaledUsd;

/// An amount of what a budget measures, in units of 10^-18: what ClickHouse's `Decimal(38, 18)` holds. In JSON it is a number
/// with all its digits and no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i128);

/// A text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a plain decimal number.
    #[error("not a decimal number")]
    Malformed,
    /// More decimals than are kept.
    #[error("not of at most 18 decimals")]
    TooPrecise,
    /// 10 billion or more.
    #[error("not below 10,000,000,000")]
    OutOfRange,
}

const DECIMALS: u32 = 18;
const ONE: i128 = 10_i128.pow(DECIMALS);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many units of 10^-18.
    #[must_use]
    pub const fn from_units(units: i128) -> Self {
        Self(units)
    }

    /// The units of 10^-18.
    #[must_use]
    pub const fn units(self) -> i128 {
        self.0
    }

    /// Whether it has no decimals.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.0 % ONE == 0
    }

    /// Whether it is at least so many hundredths of `limit`.
    #[must_use]
    pub const fn reaches(self, percent: u16, limit: Self) -> bool {
        // Held at the ends of 128 bits, which 10^18 dollars do not reach.
        self.0.saturating_mul(100) >= limit.0.saturating_mul(percent as i128)
    }

    /// Reads digits with at most 18 behind a point, of any size.
    fn of_digits(text: &str) -> Result<Self, ParseIntError> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        format!("{whole}{:0<18}", part.trim_end_matches('0')).parse().map(Self)
    }
}

impl std::iter::Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self(amounts.fold(0_i128, |sum, amount| sum.saturating_add(amount.0)))
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    /// Reads a plain decimal number below 10 billion either way.
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, part) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(part) {
            return Err(AmountError::Malformed);
        }
        let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
        if part.len() > DECIMALS as usize {
            return Err(AmountError::TooPrecise);
        }
        if whole.len() > 10 {
            return Err(AmountError::OutOfRange);
        }
        Self::of_digits(text).map_err(|_| AmountError::Malformed)
    }
}

/// With all its digits and no more: `-0.005385`.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ScaledUsd::from_units(self.0).fmt(f)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = RawValue::from_string(self.to_string()).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A sum may be larger than a limit.
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::of_digits(raw.get()).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// No limit reaches it; sums may.
    const LIMIT: i128 = 10_000_000_000 * ONE;

    #[test]
    fn limits_are_read_exactly_or_refused() {
        let check = |text: &str, expected: Result<i128, AmountError>| {
            assert_eq!(text.parse::<Amount>().map(Amount::units), expected, "{text}");
        };
        check("1", Ok(ONE));
        check("0.000000000000000001", Ok(1));
        check("-0.5", Ok(-ONE / 2));
        check("00100.500", Ok(100 * ONE + ONE / 2));
        check("9999999999.999999999999999999", Ok(LIMIT - 1));
        check("10000000000", Err(AmountError::OutOfRange));
        check("0.0000000000000000001", Err(AmountError::TooPrecise));
        for bad in ["", "-", ".", "1.", ".5", "1e3", "+1", " 1", "0x1", "1,5", "NaN"] {
            check(bad, Err(AmountError::Malformed));
        }
    }

    #[test]
    fn a_threshold_is_reached_at_its_last_unit() {
        let limit: Amount = "0.1".parse().unwrap();
        let at = |text: &str, percent| text.parse::<Amount>().unwrap().reaches(percent, limit);
        assert!(at("0.05", 50) && !at("0.049999999999999999", 50));
        assert!(at("0.1", 100) && !at("0.099999999999999999", 100));
        assert!(Amount::from_units(i128::MAX).reaches(1_000, limit));
    }

    proptest! {
        #[test]
        fn an_amount_comes_back_from_json_whatever_its_size(units in -(10_i128.pow(36))..10_i128.pow(36)) {
            let amount = Amount::from_units(units);
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), amount);
            if units.abs() < LIMIT {
                prop_assert_eq!(json.parse::<Amount>().unwrap(), amount);
            }
        }
    }
}
