//! Money, and what is divided, as JSON numbers.

use serde_json::value::RawValue;
use weir_event::Usd;

/// The amount's decimal digits, unquoted. A number and not a text, since that is what clients of these APIs expect;
/// a client that reads it into a float loses digits that were there.
pub(super) fn exact(amount: Usd) -> Box<RawValue> {
    RawValue::from_string(amount.to_string())
        .expect("a Usd prints as a plain decimal, which is a JSON number")
}

/// One number divided by another, rounded down to so many decimals, 1 at least; `None` where that is nothing's share.
pub(super) fn ratio(part: u128, whole: u128, decimals: u32) -> Option<Box<RawValue>> {
    let one = 10_u128.pow(decimals);
    let scaled = part.saturating_mul(one).checked_div(whole)?;
    let text = format!("{}.{:0width$}", scaled / one, scaled % one, width = decimals as usize);
    Some(RawValue::from_string(text).expect("digits around a point are a JSON number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_is_printed_and_no_exponent() {
        for text in ["0.005385", "0", "-1.5", "0.000000000000000001", "9999999999.999999999999999999"] {
            assert_eq!(exact(text.parse().unwrap()).get(), text);
        }
    }

    #[test]
    fn what_is_divided_is_rounded_down() {
        let check = |part, whole, expected: Option<&str>| {
            assert_eq!(ratio(part, whole, 3).as_ref().map(|number| number.get()), expected);
        };
        check(2, 3, Some("0.666"));
        check(0, 3, Some("0.000"));
        check(7, 1, Some("7.000"));
        check(1_005, 100, Some("10.050"));
        check(1, 0, None);
    }
}
