//! More series than there are places: totals stay exact, and rows say since when they are.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use weir_event::bus::{LiveRow, LiveSnapshot, LiveWindow, UsageEntry};
use weir_event::{Dimension, Scope};

use super::model::{Model, START_MS, at, entry, name, scope};
use super::{DAY_MS, ask, limits};
use crate::fold::windows::{Key, MINUTE_MS};
use crate::fold::*;

#[derive(Clone, Debug)]
enum Step {
    /// So many events of one of the many series arrive, this much before now.
    Events {
        series: u32,
        count: u32,
        age_ms: i64,
    },
    Clock {
        by_ms: i64,
    },
    Sweep,
    /// The process starts anew.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let age = prop_oneof![3 => 0_i64..2_000, 2 => -200_000_i64..400_000, 1 => 0_i64..DAY_MS];
    // A few come often.
    let series = prop_oneof![2 => 0_u32..5, 1 => 0_u32..60];
    let events =
        (series, 1_u32..6, age).prop_map(|(series, count, age_ms)| Step::Events { series, count, age_ms });
    let clock = prop_oneof![5 => 0_i64..60_000, 2 => 0_i64..3_600_000, 1 => -SLACK_MS..0]
        .prop_map(|by_ms| Step::Clock { by_ms });
    prop::collection::vec(
        prop_oneof![12 => events, 3 => clock, 4 => Just(Step::Sweep), 1 => Just(Step::Restart)],
        1..80,
    )
}

/// Adds up all rows.
fn total(live: &LiveSnapshot) -> Vec<LiveWindow> {
    let mut rows = live.rows.iter();
    let Some(mut sum) = rows.next().map(|row| row.windows.clone()) else { return Vec::new() };
    for row in rows {
        for (window, other) in sum.iter_mut().zip(&row.windows) {
            assert!(!window.merge(other));
        }
    }
    sum
}

/// Holds a row to the events: it has nothing that is not its own, and all that is where it says so.
fn check_row(model: &Model, scope: &Scope, row: &LiveRow, now_ms: i64) {
    let is_meant = |event: &UsageEntry| {
        let has_name = |dimension: &Dimension| {
            row.name(*dimension).as_ref().is_none_or(|expected| expected == name(event, *dimension))
        };
        event.scope == *scope && Dimension::ALL.iter().all(has_name)
    };
    for (window, expected) in row.windows.iter().zip(model.windows(now_ms, is_meant)) {
        let begins_ms = now_ms - i64::try_from(window.window_s).unwrap() * 1_000;
        if row.exact_since.is_none_or(|since| since.millis() <= begins_ms) {
            assert_eq!(*window, expected, "{row:?}");
        } else {
            assert!(window.requests <= expected.requests && window.tokens_in <= expected.tokens_in);
        }
    }
}

fn check(fold: &Fold, model: &Model, now_ms: i64) {
    for gateway in ["gw-a", "gw-b"].map(scope) {
        let expected = model.snapshot(&gateway, &[], now_ms);
        let live = ask(fold, &gateway, &[], now_ms);
        assert_eq!(live.rows, expected.rows, "the gateway as a whole is exact");
        let all = Dimension::ALL;
        for group_by in [all, &all[..1], &all[1..4], &all[4..]] {
            let live = ask(fold, &gateway, group_by, now_ms);
            assert!(live.complete);
            // Times of hours may be there before the first call of their windows is, in rows that are not.
            let sums = |windows: Vec<LiveWindow>| -> Vec<_> {
                let sum = |window: LiveWindow| (window.requests, window.tokens_in, window.cost);
                windows.into_iter().map(sum).collect()
            };
            let whole = expected.rows.first().map(|row| row.windows.clone()).unwrap_or_default();
            assert_eq!(sums(total(&live)), sums(whole), "rows and rest are the whole");
            assert!(live.rows.iter().filter(|row| row.rest).count() <= 1);
            for row in live.rows.iter().filter(|row| !row.rest) {
                check_row(model, &gateway, row, now_ms);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn totals_are_exact_and_rows_are_from_when_they_say(steps in steps(), keys_max in 1_usize..8) {
        let limits = Limits { keys_max, ..limits() };
        let mut fold = WarmUp::begin(limits, 0, at(START_MS)).finish(at(START_MS));
        let mut model = Model::default();
        let (mut now_ms, mut latest_ms, mut sequence) = (START_MS, START_MS, 0);
        for step in steps {
            match step {
                Step::Clock { by_ms } => now_ms = (now_ms + by_ms).max(latest_ms - SLACK_MS),
                Step::Sweep => fold.sweep(at(now_ms)),
                Step::Restart => {
                    let past = model.past(now_ms, &HashSet::new());
                    fold = warmed_up(limits, sequence, &past, now_ms);
                    check_heaviest(&fold, &past, keys_max);
                    latest_ms = now_ms;
                    // What is further ahead than that is not read.
                    model.events.retain(|(event, _)| event.created_at.millis() <= now_ms + AHEAD_MAX_MS);
                }
                Step::Events { series, count, age_ms } => {
                    for _ in 0..count {
                        sequence += 1;
                        let number = u32::try_from(sequence).unwrap();
                        let of_series = entry(series, now_ms - age_ms);
                        let event = UsageEntry { id: entry(number, START_MS).id, ..of_series };
                        let applied = fold.apply(sequence, std::slice::from_ref(&event), at(now_ms));
                        prop_assert!(applied.rest <= applied.folded);
                        if applied.folded == 1 {
                            model.events.push((event, false));
                        }
                    }
                }
            }
            latest_ms = latest_ms.max(now_ms);
            prop_assert!(fold.keys() <= keys_max);
            check(&fold, &model, now_ms);
        }
    }
}

/// How heavy each series is, and whether any of it is still to be kept.
fn weights(past: &[PastBucket]) -> Vec<(PastWeight, bool)> {
    let oldest = past.iter().map(|bucket| bucket.start.minute()).min();
    let mut weights = BTreeMap::new();
    for bucket in past {
        let PastBucket { scope, token, model, provider, user, channel, .. } = bucket.clone();
        let names = [token, model, provider, user, channel];
        let (requests, is_kept) = weights.entry((scope, names)).or_insert((0, false));
        *requests += bucket.figures.sums.requests;
        *is_kept |= Some(bucket.start.minute()) > oldest;
    }
    let weight = |((scope, names), (requests, is_kept))| (PastWeight { scope, names, requests }, is_kept);
    weights.into_iter().map(weight).collect()
}

fn warmed_up(limits: Limits, sequence: u64, past: &[PastBucket], now_ms: i64) -> Fold {
    let mut warm_up = WarmUp::begin(limits, sequence, at(now_ms));
    for (weight, _) in weights(past) {
        warm_up.weigh(&weight);
    }
    warm_up.choose();
    for bucket in past {
        warm_up.load(bucket);
    }
    warm_up.finish(at(START_MS))
}

/// Of the past, nothing without a place is heavier than what has one, and no place is left empty.
fn check_heaviest(fold: &Fold, past: &[PastBucket], keys_max: usize) {
    let has_place = |weight: &PastWeight| {
        let key = Key { scope: &weight.scope, names: weight.names.each_ref().map(String::as_str) };
        let scoped = fold.windows.scopes.get(&weight.scope);
        let ids = fold.windows.names.find(key.names);
        ids.zip(scoped).is_some_and(|(ids, scoped)| scoped.series.contains_key(&ids))
    };
    let weights = weights(past);
    let (kept, others): (Vec<_>, Vec<_>) = weights.iter().partition(|(weight, _)| has_place(weight));
    let lightest = kept.iter().map(|(weight, _)| weight.requests).min();
    // What is all as old as it can be is weighed, and not kept.
    let heaviest = others.iter().filter(|(_, is_kept)| *is_kept).map(|(weight, _)| weight.requests).max();
    assert!(lightest.is_none() || heaviest <= lightest, "{heaviest:?} {lightest:?}");
    if weights.iter().all(|(_, is_kept)| *is_kept) {
        assert_eq!(kept.len(), weights.len().min(keys_max));
    }
}

#[test]
fn the_heaviest_of_the_past_get_the_places_and_are_whole() {
    let limits = Limits { keys_max: 2, ..limits() };
    let mut number = 0;
    // Whatever order they come in: both of the heavy ones have a bucket behind all of the others.
    let mut events = |series: u32, count: u32, age_ms: i64| -> Vec<UsageEntry> {
        let numbers = number..number + count;
        number += count;
        numbers.map(|number| of_series(number, series, START_MS - age_ms)).collect()
    };
    let light = (10..20).flat_map(|series| events(series, 2, MINUTE_MS)).collect::<Vec<_>>();
    let heavy = [events(30, 3, 5 * MINUTE_MS), events(31, 2, 0), events(31, 2, 9 * MINUTE_MS)].concat();
    let past = Model::of([light, heavy].concat()).past(START_MS, &HashSet::new());
    for past in [past.clone(), past.into_iter().rev().collect()] {
        let fold = warmed_up(limits, 0, &past, START_MS);
        let live = ask(&fold, &scope("gw-a"), Dimension::ALL, START_MS);
        let row = |row: &LiveRow| (row.token.clone(), row.exact_since, row.windows[3].requests);
        let since = live.rows.iter().find(|row| row.rest).unwrap().exact_since;
        assert_eq!(
            live.rows.iter().map(row).collect::<Vec<_>>(),
            [(Some("t30".to_owned()), None, 3), (Some("t31".to_owned()), None, 4), (None, since, 20)]
        );
    }
}

/// An event of a series of its own, and of one gateway.
fn of_series(number: u32, series: u32, created_ms: i64) -> UsageEntry {
    UsageEntry { token: format!("t{series}"), id: entry(number, START_MS).id, ..entry(2, created_ms) }
}

#[test]
fn what_comes_often_takes_the_place_of_what_does_not() {
    let limits = Limits { keys_max: 2, ..limits() };
    let mut fold = WarmUp::begin(limits, 0, at(START_MS)).finish(at(START_MS));
    let mut number = 0;
    let mut apply = |fold: &mut Fold, series, now_ms| {
        number += 1;
        fold.apply(number.into(), &[of_series(number, series, now_ms)], at(now_ms))
    };
    assert_eq!(apply(&mut fold, 0, START_MS), Applied { folded: 1, ..Applied::default() });
    for _ in 0..10 {
        apply(&mut fold, 1, START_MS);
    }
    // A third one goes into the rest, and is known as the heaviest there.
    for _ in 0..3 {
        assert_eq!(apply(&mut fold, 2, START_MS), Applied { folded: 1, rest: 1, ..Applied::default() });
    }
    fold.sweep(at(START_MS));
    assert_eq!(
        apply(&mut fold, 2, START_MS + MINUTE_MS).rest,
        0,
        "it is more than twice as heavy as the first"
    );
    let now_ms = START_MS + MINUTE_MS;
    let live = ask(&fold, &scope("gw-a"), &[Dimension::Token], now_ms);
    let row = |row: &LiveRow| (row.token.clone(), row.rest, row.exact_since, row.windows[3].requests);
    let since = Some(at(START_MS + MINUTE_MS));
    assert_eq!(
        live.rows.iter().map(row).collect::<Vec<_>>(),
        [
            (Some("t1".to_owned()), false, since, 10),
            (Some("t2".to_owned()), false, since, 1),
            (None, true, since, 4),
        ]
    );
    assert_eq!(fold.keys(), 2);
    // By all names the first one is known to be whole.
    let live = ask(&fold, &scope("gw-a"), Dimension::ALL, now_ms);
    assert_eq!(live.rows.iter().map(|row| row.exact_since).collect::<Vec<_>>(), [None, since, since]);
    // Once no window reaches back to what was in the rest, everything is whole.
    apply(&mut fold, 2, now_ms + MINUTE_MS);
    let live = ask(&fold, &scope("gw-a"), &[Dimension::Token], now_ms + DAY_MS);
    assert_eq!(live.rows.iter().map(row).collect::<Vec<_>>(), [(Some("t2".to_owned()), false, None, 1)]);
}

#[test]
fn two_of_the_same_weight_do_not_take_turns() {
    let limits = Limits { keys_max: 1, ..limits() };
    let mut fold = WarmUp::begin(limits, 0, at(START_MS)).finish(at(START_MS));
    for number in 0..200 {
        let now_ms = START_MS + i64::from(number) * 20_000;
        fold.sweep(at(now_ms));
        let applied = fold.apply(u64::from(number) + 1, &[of_series(number, number % 2, now_ms)], at(now_ms));
        assert_eq!(applied.rest, u64::from(number % 2), "{number}");
    }
}

#[test]
fn the_rest_goes_when_no_window_reaches_back_to_it() {
    let limits = Limits { keys_max: 1, ..limits() };
    let mut fold = WarmUp::begin(limits, 0, at(START_MS)).finish(at(START_MS));
    fold.apply(1, &[of_series(1, 1, START_MS), of_series(2, 2, START_MS)], at(START_MS));
    let rows = |fold: &Fold, now_ms| ask(fold, &scope("gw-a"), &[Dimension::Token], now_ms).rows.len();
    assert_eq!(rows(&fold, START_MS + DAY_MS - 1), 2);
    let later_ms = START_MS + DAY_MS + SLACK_MS + MINUTE_MS;
    fold.sweep(at(later_ms));
    let applied = fold.apply(2, &[of_series(3, 2, later_ms)], at(later_ms));
    assert_eq!((applied.folded, applied.rest, rows(&fold, later_ms)), (1, 0, 1));
}

#[test]
fn tenants_beyond_the_bound_are_not_complete_while_a_window_reaches_back_to_their_calls() {
    let mut fold = WarmUp::begin(Limits { keys_max: 1, ..limits() }, 0, at(START_MS)).finish(at(START_MS));
    let gateway = |number: u32| scope(&format!("gw-{number}"));
    let call = |number: u32, seed, at_ms| UsageEntry { scope: gateway(number), ..entry(seed, at_ms) };
    for number in 0..1_000 {
        assert!(ask(&fold, &gateway(number), &[], START_MS).complete);
        assert_eq!(
            fold.apply(u64::from(number) + 1, &[call(number, number, START_MS)], at(START_MS)).folded,
            1
        );
    }
    assert_eq!(fold.windows.scopes.len(), 1_000);
    assert_eq!(fold.apply(1_001, &[call(1_000, 1_000, START_MS)], at(START_MS)).homeless, 1);
    // Who has a place goes on.
    assert_eq!(fold.apply(1_002, &[call(7, 1_001, START_MS)], at(START_MS)).folded, 1);
    assert!(ask(&fold, &gateway(7), &[], START_MS).complete);
    assert!(!ask(&fold, &gateway(1_000), &[], START_MS).complete);
    // When there is room again, it is not known yet whether those who come had calls before.
    let later = START_MS + DAY_MS + SLACK_MS;
    fold.sweep(at(later - 1));
    assert_eq!(fold.windows.scopes.len(), 1_000);
    assert!(!ask(&fold, &gateway(1_000), &[], later - 1).complete);
    fold.sweep(at(later + MINUTE_MS));
    assert_eq!(fold.windows.scopes.len(), 0);
    assert!(ask(&fold, &gateway(1_000), &[], later).complete);
    assert_eq!(fold.apply(1_003, &[call(1_000, 1_002, later)], at(later)).folded, 1);
    assert!(ask(&fold, &gateway(1_000), &[], later).complete);
}

#[test]
fn a_tenant_that_gets_a_place_is_not_complete_while_it_may_have_had_calls_before() {
    let mut fold = WarmUp::begin(Limits { keys_max: 1, ..limits() }, 0, at(START_MS)).finish(at(START_MS));
    let call =
        |number: u32, at_ms| UsageEntry { scope: scope(&format!("gw-{number}")), ..entry(number, at_ms) };
    for number in 0..1_000 {
        let at_ms = if number == 0 { START_MS - DAY_MS + MINUTE_MS } else { START_MS };
        fold.apply(u64::from(number) + 1, &[call(number, at_ms)], at(START_MS));
    }
    assert_eq!(fold.apply(1_001, &[call(1_000, START_MS)], at(START_MS)).homeless, 1);
    let later = START_MS + SLACK_MS + 3 * MINUTE_MS;
    fold.sweep(at(later));
    assert_eq!(fold.windows.scopes.len(), 999);
    assert_eq!(fold.apply(1_002, &[call(1_001, later)], at(later)).folded, 1);
    assert!(!ask(&fold, &scope("gw-1001"), &[], later).complete);
    let whole = START_MS + DAY_MS + SLACK_MS;
    assert!(ask(&fold, &scope("gw-1001"), &[], whole).complete);
}
