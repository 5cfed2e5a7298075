//! Sums against the rows that they are of.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use weir_budget::{Calendar, Period};

use super::*;

const NOW: i64 = 1_772_971_200_000; // A Sunday on which clocks in Los Angeles change.
const DAY_MS: i64 = 86_400_000;

fn window(name: &str) -> Window {
    let period = |period, zone: &str| Window::Calendar(Calendar { period, zone: zone.parse().unwrap() });
    match name {
        "minute" => Window::Sliding { seconds: 60 },
        "hour" => Window::Sliding { seconds: 3_600 },
        "day there" => period(Period::Day, "America/Los_Angeles"),
        "clock hour" => period(Period::Hour, "Asia/Kathmandu"),
        _ => period(Period::Month, "Asia/Kolkata"),
    }
}

/// What ClickHouse would answer: by the second, since every budget makes its own steps of it.
fn read(rows: &[(i64, i128)], minutes: Option<&BTreeSet<i64>>) -> Vec<Step> {
    let minute = |at: i64| at - at.rem_euclid(MINUTE_MS);
    let of = rows.iter().filter(|(at, _)| minutes.is_none_or(|minutes| minutes.contains(&minute(*at))));
    of.map(|(at, units)| Step { at_ms: at - at.rem_euclid(1_000), units: *units }).collect()
}

fn check(sums: &Sums, rows: &[(i64, i128)], now_ms: i64) {
    for time in sums.times(now_ms) {
        let expected: i128 = rows.iter().filter(|(at, _)| time.contains(at)).map(|(_, units)| units).sum();
        assert_eq!(sums.total(&time).units(), expected, "{time:?} at {now_ms}");
    }
}

#[test]
fn a_period_that_is_just_over_is_still_looked_at() {
    let sums = Sums::new(window("clock hour"), NOW);
    let start = sums.window.bounds(NOW).start;
    assert_eq!(sums.times(NOW), [start - 3_600_000..start, start..start + 3_600_000]);
    let sums = Sums::new(window("month"), NOW);
    assert_eq!(sums.times(NOW).len(), 1);
}

#[test]
fn what_is_too_old_is_not_read() {
    let sums = Sums::new(window("minute"), NOW);
    assert_eq!(sums.minutes_of(NOW - 10 * MINUTE_MS), Vec::<i64>::new());
    assert_eq!(sums.minutes_of(NOW), [NOW]);
    let sums = Sums::new(window("month"), NOW);
    let quarter = sums.minutes_of(NOW - DAY_MS + 7 * MINUTE_MS);
    assert_eq!((quarter.len(), quarter[0]), (15, NOW - DAY_MS));
}

#[test]
fn what_was_forgotten_is_not_taken_for_nothing_when_the_clock_goes_back() {
    let end = window("month").bounds(NOW).end;
    for (name, now, ahead) in [("month", end - 1_000, end + GRACE_MS + 1), ("minute", NOW, NOW + DAY_MS)] {
        let rows = [(now - 5_000, 95)];
        let mut sums = Sums::new(window(name), now);
        sums.load(&read(&rows, None));
        assert!(sums.move_on(ahead), "{name}");
        assert!(!sums.move_on(now + 500), "{name}");
        sums.load(&read(&rows, None));
        check(&sums, &rows, now + 500);
        assert!(sums.move_on(now + 600), "{name}");
    }
}

proptest! {
    /// Rows come, go and change in any order and at any age, while time goes on, or back when a clock is set: what is known is
    /// what they come to, as long as each change is followed by a look at its minute, and what is not known any more is loaded.
    #[test]
    fn sums_equal_the_rows_whatever_happens(
        name in select(&["minute", "hour", "day there", "clock hour", "month"][..]),
        events in vec((0_i64..3, 0_i64..40_000_000, 0_i128..1_000, -500_000_i64..1_500_000), 1..60),
    ) {
        let (mut now, mut rows) = (NOW, Vec::<(i64, i128)>::new());
        let mut sums = Sums::new(window(name), now);
        for (what, age, units, pause) in events {
            let minute = |at: i64| at - at.rem_euclid(MINUTE_MS);
            let touched = if what == 0 && !rows.is_empty() {
                minute(rows.swap_remove(usize::try_from(age).unwrap() % rows.len()).0)
            } else {
                let at = now - age / if what == 1 { 1 } else { 1_000 };
                rows.push((at, units));
                minute(at)
            };
            let minutes: BTreeSet<i64> = sums.minutes_of(touched).into_iter().collect();
            sums.replace(&minutes, &read(&rows, Some(&minutes)));
            check(&sums, &rows, now);
            now += pause;
            if !sums.move_on(now) {
                sums.load(&read(&rows, None));
            }
            check(&sums, &rows, now);
        }
        let mut loaded = Sums::new(window(name), now);
        loaded.load(&read(&rows, None));
        check(&loaded, &rows, now);
    }
}
