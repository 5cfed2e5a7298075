//! Dates and times, as every client sends them.

use jiff::Timestamp as Instant;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The bytes of `2024-09-30`, behind which the time begins.
const DATE_LENGTH: usize = 10;

/// A date and a time. Python sends naive times without an offset; they are UTC. Where the offset's plus was not escaped
/// in the query string it is a space by now, and is taken for what it was.
pub(super) fn instant(value: &str) -> Result<Instant, &'static str> {
    let naive = || {
        // A date alone would be a time that was not asked for, and a zone in brackets would be passed over.
        let is_date_time = value.get(DATE_LENGTH..).is_some_and(|time| time.starts_with(['T', 't', ' ']));
        let is_naive = is_date_time && !value.contains('[');
        let time = is_naive.then(|| value.parse::<DateTime>().ok()).flatten()?;
        time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    };
    let unescaped = || {
        let space = value.rfind(' ').filter(|place| *place > DATE_LENGTH)?;
        format!("{}+{}", &value[..space], &value[space + 1..]).parse().ok()
    };
    value.parse().ok().or_else(naive).or_else(unescaped).ok_or("Expected a date and time as in RFC 3339")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: &str) {
        assert_eq!(instant(value), Ok(expected.parse().unwrap()), "{value}");
    }

    #[test]
    fn every_form_of_the_clients_is_understood() {
        check("2024-09-30T09:00:00Z", "2024-09-30T09:00:00Z");
        check("2024-09-30T09:00:00.123456+02:00", "2024-09-30T07:00:00.123456Z");
        check("2024-09-30 09:00:00-05:30", "2024-09-30T14:30:00Z");
        check("2024-09-30T09:00:00", "2024-09-30T09:00:00Z");
        check("2024-09-30 09:00:00.5", "2024-09-30T09:00:00.5Z");
    }

    #[test]
    fn a_plus_that_became_a_space_is_a_plus() {
        check("2024-09-30T09:00:00 00:00", "2024-09-30T09:00:00Z");
        check("2024-09-30T09:00:00.123 05:30", "2024-09-30T03:30:00.123Z");
        check("2024-09-30 09:00:00 02:00", "2024-09-30T07:00:00Z");
    }

    #[test]
    fn nothing_is_guessed() {
        for value in [
            "",
            " ",
            "2024-09-30",
            "2024-09-30 ",
            "09:00:00",
            "yesterday",
            "1727686800",
            "2024-09-30T09:00:00 Z",
            "2024-09-30T09:00:00 -02:00",
            "2024-09-30T09:00:00 26:00",
            "2024-09-30T09:00:00 ",
            "2024-13-30T09:00:00Z",
            "2024-09-30T09:00:00 02:00 02:00",
            "2024-09-30T09:00:00[Europe/Paris]",
            "éééééé 02:00",
        ] {
            assert!(instant(value).is_err(), "{value}");
        }
    }
}
