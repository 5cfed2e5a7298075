//! Periods of the calendar in a time zone, by the database of zones that is built in.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, ToSpan, Zoned};

/// How long a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// An hour by the clocks there.
    Hour,
    /// A day, which has 23 or 25 hours where clocks change.
    Day,
    /// From Monday to Sunday.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

/// A time zone by its name in the IANA database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A text names no time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a time zone, such as Europe/Berlin or UTC")]
pub struct ZoneError;

/// Periods of one kind in one zone. Every moment is in exactly one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// How long they are.
    pub period: Period,
    /// Whose clocks they go by.
    pub zone: Zone,
}

const HOUR_MS: i64 = 3_600_000;

impl Period {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.as_str() == name)
    }

    /// The first day of the period that a day is in, and that of the next one.
    fn days(self, date: Date) -> Range<Date> {
        let (first, length) = match self {
            Self::Hour | Self::Day => (date, 1.day()),
            Self::Week => {
                (date.saturating_sub(i64::from(date.weekday().since(Weekday::Monday)).days()), 7.days())
            }
            Self::Month => (date.first_of_month(), 1.month()),
            Self::Year => (date.first_of_year(), 1.year()),
        };
        first..first.saturating_add(length)
    }
}

impl Calendar {
    /// The period that a time is in, both in epoch milliseconds: from its first to the first of the next.
    #[must_use]
    pub fn around(&self, at_ms: i64) -> Range<i64> {
        let at = Instant::from_millisecond(at_ms).unwrap_or(Instant::UNIX_EPOCH);
        let local = at.to_zoned(self.zone.0.clone());
        if self.period == Period::Hour {
            return self.hour_around(&local);
        }
        let mut days = self.period.days(local.date());
        // Where clocks go back over midnight, an evening comes again when its day is over.
        while self.start_of(days.end) <= at.as_millisecond() && days.end < Date::MAX {
            days = self.period.days(days.end);
        }
        self.start_of(days.start)..self.start_of(days.end)
    }

    /// The hour of the clock. One that clocks are moved within ends there, and another one begins.
    fn hour_around(&self, local: &Zoned) -> Range<i64> {
        let at = local.timestamp();
        let past_s = i64::from(local.minute()) * 60 + i64::from(local.second());
        let start = at.as_second().saturating_sub(past_s) * 1_000;
        let mut hour = start..start + HOUR_MS;
        let moves = |at: Instant| {
            let before = at.checked_sub(1.second()).unwrap_or(at);
            self.zone.0.to_offset(before) != self.zone.0.to_offset(at)
        };
        let following = at.checked_add(1.millisecond()).unwrap_or(at);
        let past = self.zone.0.preceding(following).map(|transition| transition.timestamp());
        let last = past.take_while(|at| at.as_millisecond() > hour.start).find(|at| moves(*at));
        let coming = self.zone.0.following(at).map(|transition| transition.timestamp());
        let next = coming.take_while(|at| at.as_millisecond() < hour.end).find(|at| moves(*at));
        if let Some(last) = last {
            hour.start = last.as_millisecond();
        }
        if let Some(next) = next {
            hour.end = next.as_millisecond();
        }
        hour
    }

    /// The first moment of a day there, which is not midnight where clocks skip it.
    fn start_of(&self, date: Date) -> i64 {
        let start = date.to_zoned(self.zone.0.clone()).map(|start| start.timestamp());
        start.map_or(i64::MAX, Instant::as_millisecond)
    }
}

impl Zone {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// UTC.
    #[must_use]
    pub const fn utc() -> Self {
        Self(TimeZone::UTC)
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(name: &str) -> Result<Self, ZoneError> {
        if name == "UTC" {
            return Ok(Self::utc());
        }
        // A zone of another kind has no name to be kept by.
        TimeZone::get(name).ok().filter(|zone| zone.iana_name().is_some()).map(Self).ok_or(ZoneError)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
