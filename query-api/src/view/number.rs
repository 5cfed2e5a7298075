//! Money as a JSON number, to the last digit.

use serde_json::value::RawValue;
use weir_event::Usd;

/// The amount's decimal digits, unquoted. A number and not a text, since that is what clients of these APIs expect;
/// a client that reads it into a float loses digits that were there.
pub(super) fn exact(amount: Usd) -> Box<RawValue> {
    RawValue::from_string(amount.to_string())
        .expect("a Usd prints as a plain decimal, which is a JSON number")
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
}
