//! Numbers as people, JSON and SDKs write them, without rounding.

use bigdecimal::{BigDecimal, ToPrimitive};
use rust_decimal::Decimal;

/// The longest text that is read as a number.
const LENGTH_MAX: usize = 100;

/// A longer exponent is beyond every number that is kept.
const EXPONENT_DIGITS_MAX: usize = 3;

/// The number that `text` is, exactly: with a sign, a fraction and an exponent, or without. `None` if it is none, or needs
/// more than the 28 digits before or after the point that are kept.
#[must_use]
pub fn number(text: &str) -> Option<Decimal> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_plain = digits.len() <= LENGTH_MAX
        && digits.split('.').all(|part| part.starts_with(|first: char| first.is_ascii_digit()))
        && digits.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let exponent = digits.split(['e', 'E']).nth(1).unwrap_or_default();
    if !is_plain || exponent.trim_start_matches(['+', '-', '0']).len() > EXPONENT_DIGITS_MAX {
        return None;
    }
    let (digits, scale) = text.parse::<BigDecimal>().ok()?.normalized().into_bigint_and_exponent();
    // A whole number has its zeros back: 1e21 is 1 and 21 zeros.
    let zeros = u32::try_from(-scale.min(0)).ok()?;
    let digits = digits.to_i128()?.checked_mul(10_i128.checked_pow(zeros)?)?;
    Decimal::try_from_i128_with_scale(digits, u32::try_from(scale.max(0)).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sdks_send_is_read_to_the_last_digit() {
        for (text, expected) in [
            ("0.01", "0.01"),
            ("1e-07", "0.0000001"),
            ("1e-7", "0.0000001"),
            ("1.0", "1"),
            ("1e+21", "1000000000000000000000"),
            ("-5", "-5"),
            ("+3", "3"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("0e99", "0"),
            ("79228162514264337593543950335", "79228162514264337593543950335"),
            ("1E2", "100"),
        ] {
            assert_eq!(number(text).map(|number| number.to_string()).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_none_or_would_be_rounded_is_refused() {
        let long = "1".repeat(200);
        for text in [
            "",
            "-",
            ".5",
            "5.",
            "1_000",
            "NaN",
            "Infinity",
            "0x10",
            "1e",
            "e5",
            "1e-29",
            "79228162514264337593543950336",
            "1e99999999999999999999",
            "1e-999999999",
            "١",
            "1 ",
            "--1",
            "1.2.3",
            &long,
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
