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

    const INTEGER_DIGITS: u32 = 10;
    const LIMIT: Decimal = Decimal::from_parts(1_410_065_408, 2, 0, false, 0);
    /// 10^28 - 1 of the smallest amounts.
    const LAST: Decimal = Decimal::from_parts(0x0fff_ffff, 0x3e25_0261, 0x204f_ce5e, false, Self::SCALE);

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

    /// The sum, and whether it leaves the range and is held at its end.
    #[must_use]
    pub fn held_add(self, other: Self) -> (Self, bool) {
        // Two amounts whose sum is out of range have one sign.
        let end = || if self.0.is_sign_negative() { Self(-Self::LAST) } else { Self(Self::LAST) };
        self.checked_add(other).map_or_else(|| (end(), true), |sum| (sum, false))
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

impl Usd {
    /// Reads a JSON number of someone else's, with or without an exponent (`1e-07`), and rounds it half to even at the
    /// 18th decimal.
    ///
    /// For figures that others computed in floats and print with all their digits, like the costs of Cloudflare's API
    /// (`0.0000028070016503334043`): what lies beyond the 18th decimal is noise of their arithmetic. What is ours, and
    /// what a producer of events sends, is read by [`FromStr`], which rounds nothing.
    pub fn rounded_from_json_number(text: &str) -> Result<Self, UsdError> {
        let JsonNumber { negative, digits, scale } = JsonNumber::parse(text).ok_or(UsdError::Malformed)?;
        let Some(first) = digits.iter().position(|digit| *digit != b'0') else { return Ok(Self::ZERO) };
        let digits = &digits[first..];
        // Places between the last digit and the 18th decimal: to fill with zeros, or to cut.
        let fill = i64::from(Self::SCALE) - scale;
        let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        if length.saturating_add(fill) > i64::from(Self::SCALE) + i64::from(Self::INTEGER_DIGITS) {
            return Err(UsdError::OutOfRange);
        }
        let kept = usize::try_from(length.saturating_add(fill.min(0))).unwrap_or(0);
        let (kept, cut) = digits.split_at(kept);
        let number = |digits: &[u8]| digits.iter().fold(0, |sum, digit| sum * 10 + i128::from(digit - b'0'));
        let whole = number(kept) * 10_i128.pow(u32::try_from(fill).unwrap_or(0));
        // What was cut stands behind zeros where there are fewer digits than places to cut.
        let stands_first = length.saturating_add(fill) >= 0;
        let rounds_up = match cut {
            [b'6'..=b'9', ..] => stands_first,
            [b'5', rest @ ..] => stands_first && (whole % 2 == 1 || rest.iter().any(|digit| *digit != b'0')),
            _ => false, // Nothing was cut, or less than a half.
        };
        let units = whole + i128::from(rounds_up);
        let units = if negative { -units } else { units };
        // At most 10^28, which a `Decimal` holds.
        Decimal::try_from_i128_with_scale(units, Self::SCALE).map_err(|_| UsdError::OutOfRange)?.try_into()
    }
}

/// A number by the grammar of JSON: so many digits, the point before the last `scale` of them.
struct JsonNumber {
    negative: bool,
    digits: Vec<u8>,
    /// Below 0 where zeros follow the digits.
    scale: i64,
}

impl JsonNumber {
    fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (plain, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((plain, exponent)) => (plain, exponent),
            None => (unsigned, "0"),
        };
        let (integer, fraction) = match plain.split_once('.') {
            Some((_, "")) => return None,
            Some((integer, fraction)) => (integer, fraction),
            None => (plain, ""),
        };
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let is_integer =
            is_digits(integer) && (integer == "0" || !integer.starts_with('0')) && !integer.is_empty();
        let exponent_digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if !is_integer || !is_digits(fraction) || !is_digits(exponent_digits) || exponent_digits.is_empty() {
            return None;
        }
        // An exponent beyond i64 is as good as the largest: no text is long enough to make up for it.
        let exponent_size: i64 = exponent_digits.parse().unwrap_or(i64::MAX / 2).min(i64::MAX / 2);
        let exponent = if exponent.starts_with('-') { -exponent_size } else { exponent_size };
        Some(Self {
            negative: text.len() > unsigned.len(),
            digits: [integer.as_bytes(), fraction.as_bytes()].concat(),
            scale: i64::try_from(fraction.len()).ok()? - exponent,
        })
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
            if digits > Self::INTEGER_DIGITS as usize { UsdError::OutOfRange } else { UsdError::TooPrecise }
        })?;
        amount.try_into()
    }
}

/// The digits before the point of `-?[0-9]+(\.[0-9]+)?`. Stricter than `Decimal`, which takes `1_0` and `.5`.
pub(crate) fn plain_integer_part(text: &str) -> Option<&str> {
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

    #[test]
    fn figures_of_others_are_rounded_half_to_even() {
        let check = |text: &str, expected: &str| {
            let read = Usd::rounded_from_json_number(text).map(|amount| amount.to_string());
            assert_eq!(read.as_deref(), Ok(expected), "{text}");
        };
        check("0.0000028070016503334043", "0.000002807001650333");
        check("1e-07", "0.0000001");
        check("-1.5E+3", "-1500");
        check("2.5e0", "2.5");
        check("123e-20", "0.000000000000000001");
        check("0", "0");
        check("-0.0", "0");
        check("0e999999999999999999999", "0");
        check("1e-999999999999999999999", "0");
        check("0.0000000000000000005", "0");
        check("0.00000000000000000050000001", "0.000000000000000001");
        check("0.0000000000000000015", "0.000000000000000002");
        check("0.0000000000000000025", "0.000000000000000002");
        check("-0.0000000000000000035", "-0.000000000000000004");
        check("0.00000000000000000096", "0.000000000000000001");
        check("0.00000000000000000006", "0");
        check("9e-19", "0.000000000000000001");
        check("9e-20", "0");
        check("9999999999.9999999999999999994", "9999999999.999999999999999999");
        check("0.1234567890123456784999999999999999999999999999999999", "0.123456789012345678");
        check("1234567890e0", "1234567890");
        check("0.00000000001e20", "1000000000");
    }

    #[test]
    fn what_is_not_a_json_number_in_range_is_refused() {
        let check = |text: &str, error| {
            assert_eq!(Usd::rounded_from_json_number(text), Err(error), "{text}");
        };
        let wrong = [
            "", "-", "+1", ".5", "5.", "01", "1e", "1e+", "1e1.5", "1e5e5", "NaN", "Infinity", "0x1", " 1",
            "1 ", "1_0", "--1", "1.-5", "1.5.5", "\u{661}",
        ];
        for text in wrong {
            check(text, UsdError::Malformed);
        }
        for text in
            ["1e10", "10000000000", "-1e11", "9999999999.9999999999999999995", "1e99999999999999999999"]
        {
            check(text, UsdError::OutOfRange);
        }
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
        fn no_text_panics(text: String, number in "-?[0-9]{0,40}(\\.[0-9]{0,40})?([eE][+-]?[0-9]{0,25})?") {
            for text in [text, number] {
                let _ = text.parse::<Usd>();
                let _ = Usd::rounded_from_json_number(&text);
            }
        }

        #[test]
        fn what_needs_no_rounding_is_read_alike_by_both(a in amount(), shift in 0_i64..60) {
            let value = Usd::try_from(Decimal::from_i128_with_scale(a, 18)).unwrap();
            prop_assert_eq!(Usd::rounded_from_json_number(&value.to_string()), Ok(value));
            // The same number, written with an exponent and with zeros that say nothing.
            let longer = format!("{a}{}e{}", "0".repeat(usize::try_from(shift).unwrap()), -18 - shift);
            prop_assert_eq!(Usd::rounded_from_json_number(&longer), Ok(value));
        }
    }
}
