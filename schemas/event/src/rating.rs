//! What somebody thinks of an answer, as a number.

use std::fmt;

use rust_decimal::Decimal;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::Usd;

/// A decimal from `MIN` to `MAX`, with at most [`Rating::SCALE`] decimals. Exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rating<const MIN: i64, const MAX: i64>(Decimal);

/// A thumb up (1), a thumb down (-1), or something between.
pub type Feedback = Rating<-1, 1>;

/// So many of a hundred.
pub type Score = Rating<0, 100>;

/// Why something is not a [`Rating`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RatingError {
    /// It is no number.
    #[error("not a number")]
    Malformed,
    /// It is below the range.
    #[error("less than {0}")]
    TooSmall(i64),
    /// It is above the range.
    #[error("greater than {0}")]
    TooGreat(i64),
}

impl<const MIN: i64, const MAX: i64> Rating<MIN, MAX> {
    /// The decimals that a rating may have: the same as an amount.
    pub const SCALE: u32 = Usd::SCALE;

    /// Reads a JSON number, with or without an exponent, and rounds it half to even at the last decimal that is kept:
    /// most ratings are means that somebody computed in floats.
    pub fn from_json_number(text: &str) -> Result<Self, RatingError> {
        use crate::UsdError as Error;
        let beyond = if text.starts_with('-') { Decimal::MIN } else { Decimal::MAX };
        let number = match Usd::rounded_from_json_number(text) {
            Ok(number) => number.amount(),
            Err(Error::OutOfRange | Error::TooPrecise) => beyond,
            Err(Error::Malformed) => return Err(RatingError::Malformed),
        };
        match number {
            number if number < Decimal::from(MIN) => Err(RatingError::TooSmall(MIN)),
            number if number > Decimal::from(MAX) => Err(RatingError::TooGreat(MAX)),
            number => Ok(Self(number)),
        }
    }

    /// The rating as a decimal, without trailing zeros.
    #[must_use]
    pub const fn decimal(self) -> Decimal {
        self.0
    }
}

/// Plain decimal notation without trailing zeros, never an exponent: valid as a JSON number.
impl<const MIN: i64, const MAX: i64> fmt::Display for Rating<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number, to the last digit.
impl<const MIN: i64, const MAX: i64> Serialize for Rating<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = RawValue::from_string(self.to_string()).map_err(serde::ser::Error::custom)?;
        number.serialize(serializer)
    }
}

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for Rating<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_json_number(json.get()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, feedback: Result<&str, &str>, score: Result<&str, &str>) {
        let read = Feedback::from_json_number(json).map(|rating| rating.to_string());
        assert_eq!(read.map_err(|error| error.to_string()), to_owned(feedback), "{json}");
        let read = Score::from_json_number(json).map(|rating| rating.to_string());
        assert_eq!(read.map_err(|error| error.to_string()), to_owned(score), "{json}");
    }

    fn to_owned(read: Result<&str, &str>) -> Result<String, String> {
        read.map(str::to_owned).map_err(str::to_owned)
    }

    #[test]
    fn a_rating_is_a_number_within_its_range_to_the_last_digit() {
        let low = Err("less than -1");
        let (high, great) = (Err("greater than 1"), Err("greater than 100"));
        check("0", Ok("0"), Ok("0"));
        check("-0.0", Ok("0"), Ok("0"));
        check("1", Ok("1"), Ok("1"));
        check("-1", Ok("-1"), Err("less than 0"));
        check("1e-7", Ok("0.0000001"), Ok("0.0000001"));
        check("0.30000000000000004", Ok("0.30000000000000004"), Ok("0.30000000000000004"));
        check("1e2", high, Ok("100"));
        check("100.5", high, great);
        check("1.0000000001", high, Ok("1.0000000001"));
        check("-1e300", low, Err("less than 0"));
        check("1e300", high, great);
        // A third of a hundredth as a float prints it.
        check("0.0033333333333333335", Ok("0.003333333333333334"), Ok("0.003333333333333334"));
        for none in ["\"1\"", "null", "true", "", "NaN", "{}", "01"] {
            check(none, Err("not a number"), Err("not a number"));
        }
    }

    #[test]
    fn a_rating_is_a_number_of_json() {
        let json = "0.30000000000000004";
        let rating: Score = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&rating).unwrap(), json);
        assert!(serde_json::from_str::<Score>("101").is_err());
    }
}
