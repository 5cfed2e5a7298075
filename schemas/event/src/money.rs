//! Money: US dollars as an exact decimal. No float ever holds an amount.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount of US dollars: at most 18 decimals, and less than 10 billion either way.
///
/// Within these bounds every value, and every sum that stays within them, is held by a `Decimal` to the last digit:
/// 28 digits are needed at most and 28 are there, so `Decimal`'s silent rounding of longer results never happens.
/// One token at the cheapest published price (about 1e-10 USD) needs 10 decimals; 18 match ClickHouse's `Decimal(38, 18)`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Usd(Decimal);

/// Why a value is not a [`Usd`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsdError {
    /// Not a plain decimal number.
    #[error("not a decimal number")]
    Malformed,
    /// More decimals than can be kept without rounding.
    #[error("more than 18 decimals")]
    TooPrecise,
    /// 10 billion or more.
    #[error("not below 10,000,000,000 USD")]
    OutOfRange,
}

impl Usd {
    /// Nothing: a price that is known to be zero. An unknown price is `None`, never this.
    pub const ZERO: Self = Self(Decimal::ZERO);
    /// The decimals that an amount may have.
    pub const SCALE: u32 = 18;

    const INTEGER_DIGITS: usize = 10;
    const LIMIT: Decimal = Decimal::from_parts(1_410_065_408, 2, 0, false, 0);

    /// The amount as a decimal, without trailing zeros.
    #[must_use]
    pub const fn amount(self) -> Decimal {
        self.0
    }

    /// The sum, or `None` when it leaves the range. It is never rounded.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Self::try_from(self.0.checked_add(other.0)?).ok()
    }

    /// The amount times a whole number, or `None` when it leaves the range. It is never rounded.
    #[must_use]
    pub fn checked_mul(self, count: u64) -> Option<Self> {
        // `Decimal` rounds a product that needs more than 28 digits. A rounded product has a
        // greater amount than the range admits, so the range check below catches it too: 18
        // decimals leave 10 digits before the point, and fewer decimals leave more.
        Self::try_from(self.0.checked_mul(Decimal::from(count))?).ok()
    }
}

impl TryFrom<Decimal> for Usd {
    type Error = UsdError;

    fn try_from(amount: Decimal) -> Result<Self, Self::Error> {
        let amount = amount.normalize();
        if amount.scale() > Self::SCALE {
            return Err(UsdError::TooPrecise);
        }
        if amount.abs() >= Self::LIMIT {
            return Err(UsdError::OutOfRange);
        }
        Ok(Self(amount))
    }
}

impl FromStr for Usd {
    type Err = UsdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let integer = plain_integer_part(text).ok_or(UsdError::Malformed)?;
        // A plain decimal that a `Decimal` cannot hold has too many digits on one side of the point.
        let amount = Decimal::from_str_exact(text).map_err(|_| {
            let digits = integer.trim_start_matches('0').len();
            if digits > Self::INTEGER_DIGITS { UsdError::OutOfRange } else { UsdError::TooPrecise }
        })?;
        amount.try_into()
    }
}

/// The digits before the point of `-?[0-9]+(\.[0-9]+)?`. Stricter than `Decimal`, which takes `1_0` and `.5`.
fn plain_integer_part(text: &str) -> Option<&str> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (integer, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    (digits(integer) && digits(fraction)).then_some(integer)
}

/// Plain decimal notation without trailing zeros, never an exponent: valid as a JSON number.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Usd({})", self.0)
    }
}

/// A decimal string, so that no JSON reader between two programs turns it into a float.
impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    #[test]
    fn the_edges_are_exact() {
        for (text, expected) in [
            ("0", "0"),
            ("0.005385", "0.005385"),
            ("1.500", "1.5"),
            ("-0.000000000000000001", "-0.000000000000000001"),
            ("9999999999.999999999999999999", "9999999999.999999999999999999"),
        ] {
            assert_eq!(usd(text).to_string(), expected);
        }
    }

    #[test]
    fn what_cannot_be_kept_exactly_is_refused() {
        for (text, error) in [
            ("0.0000000000000000001", UsdError::TooPrecise),
            ("0.00000000000000000000000000000001", UsdError::TooPrecise),
            ("10000000000", UsdError::OutOfRange),
            ("-10000000000", UsdError::OutOfRange),
            ("99999999999999999999999999999999999", UsdError::OutOfRange),
            ("", UsdError::Malformed),
            ("1e-5", UsdError::Malformed),
            ("NaN", UsdError::Malformed),
            ("1,5", UsdError::Malformed),
            ("1_5", UsdError::Malformed),
            (".5", UsdError::Malformed),
            ("5.", UsdError::Malformed),
            ("+5", UsdError::Malformed),
            ("--5", UsdError::Malformed),
        ] {
            assert_eq!(text.parse::<Usd>(), Err(error), "{text}");
        }
        assert_eq!(usd("9999999999.999999999999999999").checked_add(usd("0.000000000000000001")), None);
        assert_eq!(usd("0.000000000000000001").checked_mul(u64::MAX), Some(usd("18.446744073709551615")));
        assert_eq!(usd("1.000000000000000001").checked_mul(u64::MAX), None);
    }

    /// An amount as a whole number of 1e-18 USD, the reference that sums are held against.
    fn amount() -> impl Strategy<Value = i128> {
        -9_999_999_999_999_999_999_999_999_999_i128..=9_999_999_999_999_999_999_999_999_999
    }

    proptest! {
        #[test]
        fn sums_are_exact_or_refused(a in amount(), b in amount()) {
            let limit = 10_i128.pow(28);
            let of = |units: i128| Usd::try_from(Decimal::from_i128_with_scale(units, 18)).unwrap();
            let expected = (-limit < a + b && a + b < limit).then(|| of(a + b));
            prop_assert_eq!(of(a).checked_add(of(b)), expected);
        }

        #[test]
        fn products_are_exact_or_refused(a in amount(), shift in 0_u32..28, count: u32) {
            let limit = 10_i128.pow(28);
            let units = a / 10_i128.pow(shift);
            let of = |units: i128| Usd::try_from(Decimal::from_i128_with_scale(units, 18)).unwrap();
            let product = units.checked_mul(i128::from(count)).filter(|p| -limit < *p && *p < limit);
            prop_assert_eq!(of(units).checked_mul(u64::from(count)), product.map(of));
        }

        #[test]
        fn text_round_trips(a in amount()) {
            let value = Usd::try_from(Decimal::from_i128_with_scale(a, 18)).unwrap();
            prop_assert_eq!(value.to_string().parse::<Usd>(), Ok(value));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<Usd>();
        }
    }
}
