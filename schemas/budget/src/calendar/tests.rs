//! Periods across changes of clocks.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn calendar(period: Period, zone: &str) -> Calendar {
    Calendar { period, zone: zone.parse().unwrap() }
}

fn ms(text: &str) -> i64 {
    text.parse::<Instant>().unwrap().as_millisecond()
}

fn check(zone: &str, period: Period, at: &str, expected: [&str; 2]) {
    let Range { start, end } = calendar(period, zone).around(ms(at));
    let show = |ms| Instant::from_millisecond(ms).unwrap().to_string();
    assert_eq!([show(start), show(end)], expected.map(str::to_owned), "{zone} {period:?} {at}");
}

#[test]
fn days_begin_at_the_midnight_of_their_zone() {
    check("UTC", Period::Day, "2026-03-08T23:59:59.999Z", ["2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z"]);
    let kolkata = ["2026-03-07T18:30:00Z", "2026-03-08T18:30:00Z"];
    check("Asia/Kolkata", Period::Day, "2026-03-08T10:00:00Z", kolkata);
    check(
        "Asia/Kolkata",
        Period::Hour,
        "2026-03-08T10:10:00Z",
        ["2026-03-08T09:30:00Z", "2026-03-08T10:30:00Z"],
    );
    check(
        "Asia/Kathmandu",
        Period::Day,
        "2026-03-08T10:00:00Z",
        ["2026-03-07T18:15:00Z", "2026-03-08T18:15:00Z"],
    );
}

#[test]
fn days_on_which_clocks_change_have_23_and_25_hours() {
    let spring = ["2026-03-08T08:00:00Z", "2026-03-09T07:00:00Z"];
    check("America/Los_Angeles", Period::Day, "2026-03-08T20:00:00Z", spring);
    let autumn = ["2026-11-01T07:00:00Z", "2026-11-02T08:00:00Z"];
    check("America/Los_Angeles", Period::Day, "2026-11-01T20:00:00Z", autumn);
    // 01:30 comes twice, in two hours.
    check(
        "America/Los_Angeles",
        Period::Hour,
        "2026-11-01T08:30:00Z",
        ["2026-11-01T08:00:00Z", "2026-11-01T09:00:00Z"],
    );
    check(
        "America/Los_Angeles",
        Period::Hour,
        "2026-11-01T09:30:00Z",
        ["2026-11-01T09:00:00Z", "2026-11-01T10:00:00Z"],
    );
    // There is no midnight: the day begins at one.
    check(
        "Africa/Cairo",
        Period::Day,
        "2026-04-24T10:00:00Z",
        ["2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"],
    );
    // Half an hour comes again.
    check(
        "Australia/Lord_Howe",
        Period::Hour,
        "2026-04-04T14:45:00Z",
        ["2026-04-04T14:00:00Z", "2026-04-04T15:00:00Z"],
    );
    check(
        "Australia/Lord_Howe",
        Period::Hour,
        "2026-04-04T15:15:00Z",
        ["2026-04-04T15:00:00Z", "2026-04-04T15:30:00Z"],
    );
}

#[test]
fn weeks_begin_on_monday_and_months_and_years_on_the_first() {
    check(
        "Europe/Berlin",
        Period::Week,
        "2026-03-29T12:00:00Z",
        ["2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z"],
    );
    check(
        "Europe/Berlin",
        Period::Month,
        "2026-03-31T21:59:59Z",
        ["2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"],
    );
    check(
        "Europe/Berlin",
        Period::Month,
        "2026-03-31T22:00:00Z",
        ["2026-03-31T22:00:00Z", "2026-04-30T22:00:00Z"],
    );
    check(
        "Pacific/Auckland",
        Period::Year,
        "2026-12-31T12:00:00Z",
        ["2026-12-31T11:00:00Z", "2027-12-31T11:00:00Z"],
    );
    check("UTC", Period::Month, "2028-02-29T00:00:00Z", ["2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"]);
}

#[test]
fn a_zone_is_known_by_its_name_alone() {
    assert_eq!("Europe/Berlin".parse::<Zone>().unwrap().to_string(), "Europe/Berlin");
    assert_eq!("UTC".parse::<Zone>().unwrap().to_string(), "UTC");
    for bad in ["", "Berlin", "+02:00", "Europe/Nowhere", "../../etc/passwd", "EST5EDT,M3.2.0,M11.1.0"] {
        assert_eq!(bad.parse::<Zone>(), Err(ZoneError), "{bad}");
    }
}

const ZONES: [&str; 12] = [
    "UTC",
    "America/Los_Angeles",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/St_Johns",
    "America/Havana",
    "Pacific/Apia",
    "Antarctica/Troll",
];

proptest! {
    /// Over the years that events are of, every moment is in one period, whose neighbours begin where it ends.
    #[test]
    fn periods_follow_one_another_without_gap_or_overlap(
        zone in select(&ZONES[..]),
        period in select(&Period::ALL[..]),
        at in 946_684_800_000_i64..4_000_000_000_000,
        within in 0.0..1.0_f64,
    ) {
        let calendar = calendar(period, zone);
        let now = calendar.around(at);
        prop_assert!(now.contains(&at), "{at} is not in {now:?}");
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "any moment in it will do")]
        let another = now.start + ((now.end - now.start - 1) as f64 * within) as i64;
        for inside in [now.start, another, now.end - 1] {
            prop_assert_eq!(calendar.around(inside), now.clone());
        }
        prop_assert_eq!(calendar.around(now.end).start, now.end);
        prop_assert_eq!(calendar.around(now.start - 1).end, now.start);
    }

    /// Sums are kept by quarters of an hour, of which every period of today is made.
    #[test]
    fn periods_of_today_are_whole_quarters_of_an_hour(
        zone in select(&ZONES[..]),
        period in select(&Period::ALL[..]),
        at in 1_767_225_600_000_i64..4_000_000_000_000,
    ) {
        let now = calendar(period, zone).around(at);
        prop_assert_eq!((now.start % 900_000, now.end % 900_000), (0, 0));
    }
}
