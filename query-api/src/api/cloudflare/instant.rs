//! Dates and times, as every client sends them.

use jiff::Timestamp as Instant;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A date and a time. Python sends naive times without an offset; they are UTC.
pub(super) fn instant(value: &str) -> Result<Instant, &'static str> {
    let naive = || {
        // A date alone would be a time that was not asked for, and a zone in brackets would be passed over.
        let is_date_time = value.get(10..).is_some_and(|time| time.starts_with(['T', 't', ' ']));
        let is_naive = is_date_time && !value.contains('[');
        let time = is_naive.then(|| value.parse::<DateTime>().ok()).flatten()?;
        time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    };
    value.parse().ok().or_else(naive).ok_or("Expected a date and time as in RFC 3339")
}
