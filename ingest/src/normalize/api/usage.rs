//! What a usage object comes to, and how its totals are taken apart.

use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Number;
use serde_json::value::RawValue;
use weir_event::{TokenBucket, Tokens, TokensError, Unit, Units, UnitsError};

use crate::decode::lenient::{Lenient, taken};

/// What was used, in disjoint buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::normalize) struct Usage {
    pub(in crate::normalize) tokens: Tokens,
    pub(in crate::normalize) units: Units,
    /// How the provider says that it ran the request, in its own word.
    pub(in crate::normalize) service_tier: Option<String>,
}

/// Why a usage object was not believed. The object itself is kept as it came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::normalize) enum UsageError {
    /// Not the object that the API has.
    #[error("usage has another form")]
    Form,
    /// Parts that are greater than the whole: cached, audio or reasoning tokens beyond the total they belong to.
    #[error("usage has more tokens in the parts of {whole} than in all")]
    PartsExceedWhole { whole: &'static str },
    /// A count beyond all measure.
    #[error("usage")]
    Tokens(#[from] TokensError),
    /// A count beyond all measure.
    #[error("usage")]
    Units(#[from] UnitsError),
}

/// A count as providers write it: a whole number, by some proxies as a float without a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::normalize) struct Count(pub(in crate::normalize) u64);

/// A count that only takes part in another: one of an unexpected type is as good as missing. A number that counts
/// nothing (below zero, or broken) is no reason to believe the rest: it stands for more than any whole has.
pub(super) type Part = Option<Lenient<Number>>;

/// The count, where there is one.
pub(super) fn part(field: Part) -> Option<u64> {
    taken(field).as_ref().map(part_count)
}

/// The count of a part that is a number.
pub(super) fn part_count(number: &Number) -> u64 {
    whole_count(number).unwrap_or(u64::MAX)
}

/// The sum of two counts; one that was not reported adds nothing. A sum beyond all numbers is no less beyond all measure.
pub(super) fn plus(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (count, None) | (None, count) => count,
    }
}

/// The elements of a list, unread; none of anything else.
pub(super) fn elements(list: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(list.get()).unwrap_or_default()
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Number::deserialize(deserializer)?;
        whole_count(&number).map(Self).ok_or_else(|| D::Error::custom("not a count"))
    }
}

fn whole_count(number: &Number) -> Option<u64> {
    number.as_u64().or_else(|| number.as_f64().and_then(without_fraction))
}

/// Seconds as providers write them, a number or one in quotes, in whole milliseconds.
pub(super) fn millis(seconds: &RawValue) -> Option<u64> {
    /// Half a millisecond, so that the rest is cut off at the nearest one.
    const HALF: Duration = Duration::from_micros(500);
    let seconds: f64 = seconds.get().trim_matches('"').parse().ok()?;
    let exact = Duration::try_from_secs_f64(seconds).ok()?;
    exact.checked_add(HALF)?.as_millis().try_into().ok()
}

fn without_fraction(float: f64) -> Option<u64> {
    /// From here on floats skip whole numbers.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a whole number between 0 and 2^53"
    )]
    let count = || float as u64;
    ((0.0..=EXACT_MAX).contains(&float) && float.trunc().total_cmp(&float).is_eq()).then(count)
}

impl Usage {
    /// Sets the count of a unit, where it was reported.
    pub(super) fn set_unit(&mut self, unit: Unit, count: Option<u64>) -> Result<(), UsageError> {
        count.map_or(Ok(()), |count| Ok(self.units.set(unit, count)?))
    }

    /// Adds the units that the answer shows, unless the usage tells of them itself.
    pub(in crate::normalize) fn with_units(mut self, shown: &Units) -> Self {
        for (unit, count) in shown.iter() {
            if self.units.get(unit) == 0 {
                self.units.set(unit, count).expect("a count of units is within the bounds of units");
            }
        }
        self
    }

    /// Puts the parts of a total into their buckets, and what is left of it into the bucket of the rest. A total that
    /// was not reported leaves all of them unreported: parts without their whole are no count.
    pub(super) fn split(
        &mut self,
        whole: &'static str,
        total: Option<u64>,
        rest_bucket: TokenBucket,
        parts: &[(TokenBucket, Option<u64>)],
    ) -> Result<(), UsageError> {
        let Some(total) = total else {
            return Ok(());
        };
        let mut rest = total;
        for (bucket, count) in parts {
            if let Some(count) = *count {
                rest = rest.checked_sub(count).ok_or(UsageError::PartsExceedWhole { whole })?;
                self.tokens.set(*bucket, count)?;
            }
        }
        Ok(self.tokens.set(rest_bucket, rest)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_counts_nothing_spoils_the_whole() {
        let of = |json: &str| part(serde_json::from_str(json).unwrap());
        for (json, expected) in
            [("5", Some(5)), ("5.0", Some(5)), ("null", None), ("\"5\"", None), ("{}", None)]
        {
            assert_eq!(of(json), expected, "{json}");
        }
        for json in ["-5", "0.5", "-0.5", "18446744073709551616"] {
            let split = Usage::default().split(
                "prompt_tokens",
                Some(100),
                TokenBucket::UncachedInput,
                &[(TokenBucket::CacheRead, of(json))],
            );
            assert_eq!(split, Err(UsageError::PartsExceedWhole { whole: "prompt_tokens" }), "{json}");
        }
    }

    #[test]
    fn a_count_is_a_whole_number_however_it_is_written() {
        let check = |json: &str, expected: Option<u64>| {
            let count = serde_json::from_str::<Count>(json).ok();
            assert_eq!(count.map(|Count(count)| count), expected, "{json}");
        };
        check("12", Some(12));
        check("12.0", Some(12));
        check("1.2e1", Some(12));
        check("0.0", Some(0));
        check("18446744073709551615", Some(u64::MAX));
        check("9007199254740992.0", Some(9_007_199_254_740_992));
        for json in ["12.5", "-1", "-1.0", "1e300", "18446744073709551616", "\"12\"", "true", "null", "[1]"] {
            check(json, None);
        }
        for (json, expected) in [
            ("9", Some(9_000)),
            ("8.470000083446503", Some(8_470)),
            ("\"0.0006\"", Some(1)),
            ("-1", None),
            ("1e300", None),
            ("\"NaN\"", None),
            ("[1]", None),
            ("null", None),
        ] {
            assert_eq!(millis(serde_json::from_str(json).unwrap()), expected, "{json}");
        }
        let Lenient(odd) = serde_json::from_str::<Lenient<Count>>("\"12\"").unwrap();
        assert_eq!(odd, None);
    }
}
