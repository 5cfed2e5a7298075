//! Whole numbers as Go reads them where nobody looks at the error.

/// The number of a text: 0 for what is none, and the closest there is for what is too large.
pub(super) fn go_int(text: &str) -> i64 {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_zero_and_what_is_too_large_is_held() {
        for (text, expected) in [
            ("7", 7),
            ("+7", 7),
            ("-7", -7),
            ("007", 7),
            ("", 0),
            ("-", 0),
            (" 7", 0),
            ("7.0", 0),
            ("1_000", 0),
            ("٧", 0),
            ("9223372036854775807", i64::MAX),
            ("9223372036854775808", i64::MAX),
            ("-99999999999999999999", i64::MIN),
        ] {
            assert_eq!(go_int(text), expected, "{text:?}");
        }
    }
}
