//! Fields that must not cost a record its place: one of another type is as good as missing, and a list of a million
//! elements is read as its first few.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Number;
use serde_json::value::RawValue;

/// A value of any type, of which only a `T` is taken.
pub(crate) struct Lenient<T>(pub(crate) Option<T>);

/// True or false, as 1 or 0 perhaps: some databases have nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Switch(pub(crate) bool);

/// The first `MAX` elements of a list.
pub(crate) struct Bounded<T, const MAX: usize>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(raw.get()).ok()))
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match <&'de RawValue>::deserialize(deserializer)?.get() {
            "true" | "1" => Ok(Self(true)),
            "false" | "0" => Ok(Self(false)),
            _ => Err(serde::de::Error::custom("neither true nor false")),
        }
    }
}

/// The value, where there is one of the right type.
pub(crate) fn taken<T>(field: Option<Lenient<T>>) -> Option<T> {
    field.and_then(|Lenient(value)| value)
}

/// A number without its fraction: some writers give milliseconds as floats.
pub(crate) fn whole(number: &Number) -> Option<i64> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "`as` holds at the ends of i64, and no such time is accepted"
    )]
    let truncated = || number.as_f64().map(|float| float as i64);
    number.as_i64().or_else(truncated)
}

impl<T, const MAX: usize> Default for Bounded<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(BoundedVisitor(PhantomData))
    }
}

struct BoundedVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for BoundedVisitor<T, MAX> {
    type Value = Bounded<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut taken = Vec::new();
        while taken.len() < MAX {
            match list.next_element()? {
                Some(element) => taken.push(element),
                None => return Ok(Bounded(taken)),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Bounded(taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_type_is_as_good_as_missing() {
        let switch =
            |json| serde_json::from_str::<Lenient<Switch>>(json).unwrap().0.map(|Switch(is_on)| is_on);
        assert_eq!(
            ["true", "1", "false", "0"].map(switch),
            [Some(true), Some(true), Some(false), Some(false)]
        );
        assert_eq!(["2", "\"true\"", "null", "[]"].map(switch), [None; 4]);
        let Lenient(number) = serde_json::from_str::<Lenient<u64>>("\"12\"").unwrap();
        assert_eq!(number, None);
        assert!(serde_json::from_str::<Lenient<u64>>("{broken").is_err(), "but it has to be JSON");
    }

    #[test]
    fn fractions_of_milliseconds_are_dropped() {
        for (json, expected) in [("12", 12), ("12.9", 12), ("-1", -1), ("1e300", i64::MAX)] {
            assert_eq!(whole(&serde_json::from_str(json).unwrap()), Some(expected), "{json}");
        }
    }

    #[test]
    fn a_long_list_is_read_to_its_end_and_kept_to_its_bound() {
        let Bounded(first) = serde_json::from_str::<Bounded<u8, 3>>("[1,2,3,4,5]").unwrap();
        assert_eq!(first, [1, 2, 3]);
        assert!(serde_json::from_str::<Bounded<u8, 3>>("[1,2,3,4").is_err());
        assert!(serde_json::from_str::<Bounded<u8, 3>>("{}").is_err());
    }
}
