//! Figures in rows that others wrote: exact, or refused. They come from programs in many languages, some of which print a
//! whole number as `12.0`.

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use weir_event::Usd;

/// A whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole(pub(crate) i64);

/// An amount of US dollars that somebody computed in floats, not below zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amount(pub(super) Usd);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = number(deserializer)?;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_whole = fraction.bytes().all(|digit| digit == b'0');
        let number = whole.parse().ok().filter(|_| is_whole);
        number.map(Self).ok_or_else(|| D::Error::custom("not a whole number of 64 bits"))
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let amount = Usd::rounded_from_json_number(number(deserializer)?).map_err(D::Error::custom)?;
        if amount < Usd::ZERO {
            return Err(D::Error::custom("below zero"));
        }
        Ok(Self(amount))
    }
}

/// A number as it is written.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'de str, D::Error> {
    let json = <&'de RawValue>::deserialize(deserializer)?.get();
    if json.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Ok(json);
    }
    Err(D::Error::invalid_type(Unexpected::Other("another type"), &"a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_may_be_written_as_a_float() {
        for (json, expected) in [
            ("12", Some(12)),
            ("12.000", Some(12)),
            ("-3", Some(-3)),
            ("12.5", None),
            ("1e3", None),
            ("9223372036854775808", None),
            ("\"12\"", None),
            ("null", None),
        ] {
            let read = serde_json::from_str::<Whole>(json).ok();
            assert_eq!(read, expected.map(Whole), "{json}");
        }
    }

    #[test]
    fn an_amount_is_rounded_at_its_18th_decimal_and_never_negative() {
        let read = |json: &str| serde_json::from_str::<Amount>(json).ok().map(|Amount(usd)| usd.to_string());
        assert_eq!(read("0.0000028070016503334043").as_deref(), Some("0.000002807001650333"));
        assert_eq!(read("1e-7").as_deref(), Some("0.0000001"));
        for refused in ["-0.1", "1e30", "\"0.1\"", "null", "{}"] {
            assert_eq!(read(refused), None, "{refused}");
        }
    }
}
