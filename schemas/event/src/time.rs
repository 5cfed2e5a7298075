//! Points in time, in whole milliseconds: the precision that every source and every API of ours speaks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: milliseconds since 1970-01-01 UTC, within the years 2000 to 2099.
///
/// The range is a guard, not a fashion: seconds or nanoseconds sent in place of milliseconds fall outside it, and
/// every value inside it fits the 48 time bits of an [`crate::EventId`] and ClickHouse's `DateTime64(3)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Why a value is not a [`Timestamp`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// Outside the years 2000 to 2099: most often seconds or nanoseconds where milliseconds are meant.
    #[error("{0} is not in the years 2000 to 2099 as epoch milliseconds")]
    OutOfRange(i64),
    /// Not an RFC 3339 date and time.
    #[error("not an RFC 3339 time with an offset")]
    Malformed,
}

impl Timestamp {
    /// 2000-01-01T00:00:00.000Z, the earliest accepted.
    pub const MIN: Self = Self(946_684_800_000);
    /// 2099-12-31T23:59:59.999Z, the latest accepted.
    pub const MAX: Self = Self(4_102_444_799_999);

    /// Takes epoch milliseconds.
    pub const fn from_millis(millis: i64) -> Result<Self, TimestampError> {
        if millis < Self::MIN.0 || millis > Self::MAX.0 {
            return Err(TimestampError::OutOfRange(millis));
        }
        Ok(Self(millis))
    }

    /// Epoch milliseconds.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This time plus `millis`, held at [`Timestamp::MAX`].
    #[must_use]
    pub fn saturating_add_millis(self, millis: u64) -> Self {
        let millis = i64::try_from(millis).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis).min(Self::MAX.0))
    }

    /// Milliseconds from `earlier` to this time; 0 if `earlier` is later.
    #[must_use]
    pub fn millis_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0 - earlier.0).unwrap_or(0)
    }

    /// The UTC minute that holds this time, as its first millisecond.
    #[must_use]
    pub const fn minute(self) -> Self {
        Self(self.0 - self.0 % 60_000)
    }
}

/// RFC 3339 in UTC with three decimals: `2024-09-30T09:45:41.328Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stamp = jiff::Timestamp::from_millisecond(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{stamp:.3}")
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let stamp: jiff::Timestamp = text.parse().map_err(|_| TimestampError::Malformed)?;
        Self::from_millis(stamp.as_millisecond())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses_the_same_instant() {
        let stamp = Timestamp::from_millis(1_727_689_541_328).unwrap();
        assert_eq!(stamp.to_string(), "2024-09-30T09:45:41.328Z");
        assert_eq!("2024-09-30T09:45:41.328Z".parse(), Ok(stamp));
        assert_eq!("2024-09-30T17:45:41.328+08:00".parse(), Ok(stamp));
        assert_eq!(
            Timestamp::from_millis(1_727_689_541_000).unwrap().to_string(),
            "2024-09-30T09:45:41.000Z"
        );
    }

    #[test]
    fn other_units_are_refused() {
        for wrong in [1_727_689_541, 1_727_689_541_328_000, 0, -1, i64::MIN, i64::MAX] {
            assert_eq!(Timestamp::from_millis(wrong), Err(TimestampError::OutOfRange(wrong)));
        }
        assert_eq!("2024-09-30".parse::<Timestamp>(), Err(TimestampError::Malformed));
    }

    #[test]
    fn arithmetic_stays_in_range() {
        assert_eq!(Timestamp::MAX.saturating_add_millis(u64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.millis_since(Timestamp::MAX), 0);
        assert_eq!(Timestamp::from_millis(1_727_689_541_328).unwrap().minute().millis(), 1_727_689_500_000);
    }
}
