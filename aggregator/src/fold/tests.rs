//! The fold against a model that keeps every event and adds them all up at each read.

mod model;
mod reread;
mod rest;

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;
use weir_event::bus::{LiveSnapshot, UsageEntry};
use weir_event::{Dimension, EventId, Scope, Usd};

use self::model::{Model, START_MS, at, entry, scope};
use super::windows::MINUTE_MS;
use super::*;

const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
const BY_TOKEN_AND_MODEL: [Dimension; 2] = [Dimension::Token, Dimension::Model];

fn limits() -> Limits {
    Limits { keys_max: 1_000, ids_max: 100_000, windows: WindowLengths::default() }
}

fn ask(fold: &Fold, scope: &Scope, group_by: &[Dimension], now_ms: i64) -> LiveSnapshot {
    fold.snapshot(&Question::of(scope.clone(), group_by.to_vec()), at(now_ms)).live
}

fn warm(sequence: u64, past: &[PastBucket], now_ms: i64) -> Fold {
    let mut warm_up = WarmUp::begin(limits(), sequence, at(now_ms));
    for bucket in past {
        warm_up.load(bucket);
    }
    warm_up.finish(at(now_ms))
}

#[derive(Clone, Debug)]
enum Step {
    /// An event arrives, this much before now, or after it.
    Event {
        seed: u32,
        age_ms: i64,
        duplicate: bool,
    },
    /// The clock moves, forward or back.
    Clock {
        by_ms: i64,
    },
    Sweep,
}

/// Windows of every class, each at random.
fn lengths() -> impl Strategy<Value = WindowLengths> {
    let some = |lengths: &'static [u64]| prop::sample::subsequence(lengths, 0..=lengths.len());
    let others = (some(&[1, 7, 60, 900]), some(&[901, 1_860, 7_200]), some(&[7_201, 11_000, 86_400]));
    let lengths = others.prop_filter_map("there are windows", |(short, medium, long)| {
        let seconds = short.into_iter().chain(medium).chain(long);
        WindowLengths::new(&seconds.map(Duration::from_secs).collect::<Vec<_>>()).ok()
    });
    prop_oneof![Just(WindowLengths::default()), lengths]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let age = prop_oneof![
        4 => -2_000_i64..400_000,
        2 => 0_i64..4_000_000,
        2 => 80_000_000_i64..87_200_000,
        1 => -400_000_i64..0,
        1 => Just(DAY_MS),
    ];
    let event = (0_u32..60, age, prop::bool::weighted(0.1))
        .prop_map(|(seed, age_ms, duplicate)| Step::Event { seed, age_ms, duplicate });
    let clock = prop_oneof![
        4 => 0_i64..70_000,
        2 => 0_i64..4_000_000,
        1 => 80_000_000_i64..90_000_000,
        2 => -SLACK_MS..0,
        1 => -4_000_000_i64..-SLACK_MS,
    ]
    .prop_map(|by_ms| Step::Clock { by_ms });
    prop::collection::vec(prop_oneof![6 => event, 2 => clock, 1 => Just(Step::Sweep)], 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn windows_are_what_adding_up_every_event_gives(
        steps in steps(),
        lengths in lengths(),
        group_by in prop::sample::subsequence(Dimension::ALL, 0..=5),
    ) {
        let limits = Limits { windows: lengths, ..limits() };
        let longest_ms = lengths.longest_ms();
        let mut fold = WarmUp::begin(limits, 0, at(START_MS)).finish(at(START_MS));
        let mut model = Model { lengths, ..Model::default() };
        let (mut now_ms, mut latest_ms, mut sequence) = (START_MS, START_MS, 0);
        let mut seen = HashSet::new();
        for step in steps {
            match step {
                Step::Clock { by_ms } => now_ms += by_ms,
                Step::Sweep => fold.sweep(at(now_ms)),
                Step::Event { seed, age_ms, duplicate } => {
                    let event = UsageEntry { duplicate, ..entry(seed, now_ms - age_ms) };
                    sequence += 1;
                    let applied = fold.apply(sequence, std::slice::from_ref(&event), at(now_ms));
                    let created_ms = event.created_at.millis();
                    // The ids are complete from the warm-up on, and from a while before it.
                    let known = created_ms <= START_MS - OVERLAP_MS + AHEAD_MAX_MS;
                    let expected = if duplicate && (known || seen.contains(&event.id)) {
                        Applied { duplicate: 1, ..Applied::default() }
                    } else if !seen.insert(event.id) {
                        Applied { repeated: 1, ..Applied::default() }
                    } else if created_ms > now_ms + AHEAD_MAX_MS {
                        Applied { skewed: 1, ..Applied::default() }
                    } else if created_ms / lengths.widest_ms() * lengths.widest_ms() <= now_ms - longest_ms {
                        Applied { late: 1, ..Applied::default() }
                    } else {
                        model.events.push((event, now_ms - created_ms > LATE_AFTER_MS));
                        Applied { folded: 1, ..Applied::default() }
                    };
                    // With the clock set back by more than what is kept for it, an old event may find no bucket.
                    prop_assert!(applied == expected || now_ms < latest_ms - SLACK_MS);
                    // The same message again changes nothing.
                    let again = fold.apply(sequence, &[entry(1_000, now_ms)], at(now_ms));
                    prop_assert_eq!(again, Applied { redelivered: 1, ..Applied::default() });
                }
            }
            latest_ms = latest_ms.max(if matches!(step, Step::Clock { .. }) { i64::MIN } else { now_ms });
            let whole = now_ms >= latest_ms - SLACK_MS;
            prop_assert_eq!(fold.needs_warm_up(at(now_ms)), !whole);
            for gateway in ["gw-a", "gw-b"] {
                let live = ask(&fold, &scope(gateway), &group_by, now_ms);
                prop_assert_eq!(live.complete, whole);
                if whole {
                    prop_assert_eq!(live, model.snapshot(&scope(gateway), &group_by, now_ms));
                }
            }
        }
    }

    /// Rows are committed, then published, in any order among them; who stored some of them dies before, so these
    /// are only ever published as duplicates, as others are too; the aggregator dies and starts again at any time;
    /// messages that were not acknowledged come again.
    #[test]
    fn a_restart_at_any_time_loses_and_doubles_nothing(
        events in prop::collection::vec((0_i64..80_000_000, 0_usize..4, 0_u8..6), 1..60),
        restarts in prop::collection::vec((0_usize..60, 0_usize..10), 0..4),
    ) {
        let (mut store, mut stream, mut unpublished) = (Model::default(), Vec::new(), Vec::new());
        let mut fold = warm(0, &[], START_MS);
        let mut delivered = 0_usize;
        for (position, (age_ms, held, fate)) in events.into_iter().enumerate() {
            let age_ms = if fate == 0 { age_ms % (OVERLAP_MS - AHEAD_MAX_MS) } else { age_ms };
            let event = entry(u32::try_from(position).unwrap(), START_MS - age_ms);
            let duplicate = UsageEntry { duplicate: true, ..event.clone() };
            store.events.push((event.clone(), false));
            match fate {
                0 => unpublished.push(duplicate),
                1 => unpublished.extend([duplicate.clone(), event, duplicate]),
                _ => unpublished.push(event),
            }
            // Up to `held` entries stay committed and unpublished for now.
            while unpublished.len() > held {
                stream.push(unpublished.remove(unpublished.len() / 2));
            }
            for (_, redelivered) in restarts.iter().filter(|(when, _)| *when == position) {
                // No more ids than ClickHouse has to give: what is older is known by the sequence of its message.
                let just_ended = |entry: &&UsageEntry| entry.created_at.millis() >= START_MS - OVERLAP_MS;
                let recent = store.events.iter().map(|(event, _)| event).filter(just_ended).chain(&unpublished);
                let recent = recent.map(|entry| entry.id).collect();
                fold = warm(stream.len() as u64, &store.past(START_MS, &recent), START_MS);
                delivered = delivered.saturating_sub(*redelivered);
            }
            for (index, entry) in stream.iter().enumerate().skip(delivered) {
                fold.apply(index as u64 + 1, std::slice::from_ref(entry), at(START_MS));
            }
            delivered = stream.len();
        }
        for (index, entry) in stream.iter().chain(&unpublished).enumerate().skip(delivered) {
            fold.apply(index as u64 + 1, std::slice::from_ref(entry), at(START_MS));
        }
        for gateway in ["gw-a", "gw-b"] {
            // What came late is told by when it came, which is not looked at here.
            let live = LiveSnapshot { late: 0, ..ask(&fold, &scope(gateway), Dimension::ALL, START_MS) };
            prop_assert_eq!(live, store.snapshot(&scope(gateway), Dimension::ALL, START_MS));
        }
    }

    /// What was warmed up stays right while time passes, and when the clock is set back as far as it may.
    #[test]
    fn warmed_up_windows_are_those_that_saw_everything(
        ages in prop::collection::vec(-300_000_i64..87_600_000, 1..60),
        moves in prop::collection::vec(-200_000_i64..400_000, 1..10),
    ) {
        let events = ages.iter().zip(0..).map(|(age_ms, seed)| entry(seed, START_MS - age_ms));
        let store = Model::of(events);
        let fold = warm(0, &store.past(START_MS, &HashSet::new()), START_MS);
        let mut now_ms = START_MS;
        for by_ms in moves {
            now_ms = (now_ms + by_ms).max(START_MS - SLACK_MS);
            for gateway in ["gw-a", "gw-b"] {
                let live = ask(&fold, &scope(gateway), &BY_TOKEN_AND_MODEL, now_ms);
                prop_assert_eq!(live, store.snapshot(&scope(gateway), &BY_TOKEN_AND_MODEL, now_ms));
            }
        }
    }
}

#[test]
fn nothing_is_complete_before_the_warm_up() {
    let fold = Fold::cold(limits(), at(START_MS));
    assert!(fold.needs_warm_up(at(START_MS)));
    assert!(!ask(&fold, &scope("gw-a"), &[], START_MS).complete);
}

#[test]
fn seconds_are_kept_through_a_clock_that_is_set_back_where_no_window_is_read_from_minutes() {
    let windows = WindowLengths::new(&[Duration::from_secs(1)]).unwrap();
    let mut fold = WarmUp::begin(Limits { windows, ..limits() }, 0, at(START_MS)).finish(at(START_MS));
    fold.sweep(at(START_MS + 31_000));
    let now_ms = START_MS + 31_000 - SLACK_MS;
    assert_eq!(fold.apply(1, &[entry(2, now_ms)], at(now_ms)).folded, 1);
    assert_eq!(ask(&fold, &scope("gw-a"), &[], now_ms).rows.len(), 1);
}

#[test]
fn idle_keys_leave_and_make_room() {
    let limits = Limits { keys_max: 1, ..limits() };
    let mut fold = WarmUp::begin(limits, 0, at(START_MS)).finish(at(START_MS));
    fold.apply(1, &[entry(2, START_MS)], at(START_MS));
    let later = START_MS + DAY_MS + SLACK_MS;
    fold.sweep(at(later));
    assert_eq!(fold.keys(), 1, "the clock may be set back by this much");
    fold.sweep(at(later + 1));
    assert_eq!(fold.keys(), 0);
    let applied = fold.apply(2, &[entry(3, later)], at(later));
    assert_eq!(applied.folded, 1);
}

#[test]
fn a_duplicate_of_what_may_have_been_forgotten_is_not_folded() {
    let limits = Limits { ids_max: 2, ..limits() };
    let mut fold = WarmUp::begin(limits, 0, at(START_MS)).finish(at(START_MS));
    let now_ms = START_MS + 3_600_000;
    let apply = |fold: &mut Fold, sequence, seed, created_ms, duplicate| {
        let event = UsageEntry { duplicate, ..entry(seed, created_ms) };
        fold.apply(sequence, &[event], at(now_ms))
    };
    for seed in 0..3 {
        assert_eq!(apply(&mut fold, u64::from(seed) + 1, seed, now_ms + AHEAD_MAX_MS, false).folded, 1);
    }
    // The first was folded, and its id made room: from now on only what ended after that can be known as missing.
    assert_eq!(apply(&mut fold, 4, 0, now_ms + AHEAD_MAX_MS, true).duplicate, 1);
    assert_eq!(apply(&mut fold, 5, 7, now_ms, true).duplicate, 1);
    // Of what is remembered it is known anyway.
    assert_eq!(apply(&mut fold, 6, 2, now_ms + AHEAD_MAX_MS, true).duplicate, 1);
}

#[test]
fn what_was_read_is_known_until_all_is_folded_that_was_published_meanwhile() {
    let limits = Limits { ids_max: 2, ..limits() };
    let events: Vec<_> = (0..5).map(|seed| entry(seed * 2, START_MS)).collect();
    let recent = events.iter().map(|event| event.id).collect();
    let mut warm_up = WarmUp::begin(limits, 0, at(START_MS));
    for bucket in &Model::of(events.clone()).past(START_MS, &recent) {
        warm_up.load(bucket);
    }
    // It took ten seconds, and the clock of NATS may be another.
    let mut fold = warm_up.finish(at(START_MS + 10_000));
    fold.keep_ids(1);
    fold.folded_through(at(START_MS + 69_999));
    assert_eq!(fold.apply(1, &events, at(START_MS)).repeated, 5);
    fold.folded_through(at(START_MS + 70_000));
    assert_eq!(fold.ids(), 2);
}

#[test]
fn costs_are_exact_to_the_last_digit() {
    let mut fold = warm(0, &[], START_MS);
    let entries: Vec<_> = (0..1_000_u32)
        .map(|n| UsageEntry {
            id: EventId::derive(at(START_MS), &[&n.to_le_bytes()]),
            cost: Some("0.000000000000000001".parse().unwrap()),
            ..entry(1, START_MS)
        })
        .collect();
    fold.apply(1, &entries, at(START_MS));
    let live = ask(&fold, &entries[0].scope, &[], START_MS);
    let expected: Usd = "0.000000000000001".parse().unwrap();
    assert!(live.rows[0].windows.iter().all(|window| window.cost == expected && window.requests == 1_000));
}

#[test]
fn a_cost_beyond_the_range_makes_the_snapshot_incomplete() {
    let mut fold = warm(0, &[], START_MS);
    let rich = |seed| UsageEntry { cost: Some("6000000000".parse().unwrap()), ..entry(seed, START_MS) };
    fold.apply(1, &[rich(1)], at(START_MS));
    assert!(ask(&fold, &rich(1).scope, &[], START_MS).complete);
    fold.apply(2, &[UsageEntry { id: rich(2).id, ..rich(1) }], at(START_MS));
    let snapshot = fold.snapshot(&Question::of(rich(1).scope, Vec::new()), at(START_MS));
    assert!(!snapshot.live.complete);
    assert_eq!(snapshot.beyond_range, 4);
}

#[test]
fn the_watermark_is_told_once_everything_is_there_and_goes_forward_only() {
    let mut fold = Fold::cold(limits(), at(START_MS));
    fold.folded_through(at(START_MS - 5));
    assert_eq!(ask(&fold, &scope("gw-a"), &[], START_MS).complete_through, None, "the past is not read");
    let mut fold = warm(0, &[], START_MS);
    assert_eq!(ask(&fold, &scope("gw-a"), &[], START_MS).complete_through, None);
    fold.folded_through(at(START_MS - 5));
    fold.folded_through(at(START_MS - 70));
    assert_eq!(ask(&fold, &scope("gw-a"), &[], START_MS).complete_through, Some(at(START_MS - 5)));
}
