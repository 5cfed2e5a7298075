//! Answers of parts against the answer of the whole.

use proptest::prelude::*;

use super::*;

const WINDOWS_S: [u64; 2] = [60, 3_600];

/// A call: of which shard and API token, what model, how much.
type Call = (u16, u8, u8, u64);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_795_176_000_000 + millis).unwrap()
}

fn snapshot(calls: &[Call], by_token: bool) -> LiveSnapshot {
    let mut rows: BTreeMap<Group, LiveRow> = BTreeMap::new();
    for (shard, token, model, amount) in calls {
        let window = |window_s| LiveWindow {
            window_s,
            requests: 1,
            tokens_in: *amount,
            cost: format!("0.{amount:018}").parse().unwrap(),
            duration: {
                let mut duration = Histogram::new();
                duration.add(*amount, 1);
                duration
            },
            ..LiveWindow::default()
        };
        let row = LiveRow {
            token: by_token.then(|| format!("{shard}-{token}")),
            model: Some(format!("model-{model}")),
            windows: WINDOWS_S.map(window).to_vec(),
            ..LiveRow::default()
        };
        assert!(!collect(&mut rows, vec![row]));
    }
    let mut shards: Vec<_> = calls.iter().map(|(shard, ..)| *shard).collect();
    shards.sort_unstable();
    shards.dedup();
    let late = calls.len() as u64;
    let rows = rows.into_values().collect();
    LiveSnapshot { as_of: at(0), complete_through: Some(at(0)), complete: true, shards, late, rows }
}

fn of_shard(calls: &[Call], shard: u16) -> Vec<Call> {
    calls.iter().filter(|call| call.0 == shard).copied().collect()
}

proptest! {
    #[test]
    fn parts_are_merged_to_the_whole(
        calls in prop::collection::vec((0_u16..4, 0_u8..3, 0_u8..3, 0_u64..5_000), 0..60),
        by_token: bool,
    ) {
        let parts = || (0..4).map(|shard| snapshot(&of_shard(&calls, shard), by_token));
        prop_assert_eq!(LiveSnapshot::merge(parts()).unwrap(), snapshot(&calls, by_token));
        // In any order, and step by step.
        let step = |merged, part| LiveSnapshot::merge([part, merged]).unwrap();
        prop_assert_eq!(parts().reduce(step).unwrap(), snapshot(&calls, by_token));
    }

    #[test]
    fn the_top_of_parts_is_the_top_of_the_whole(
        calls in prop::collection::vec((0_u16..4, 0_u8..3, 0_u8..3, 0_u64..5_000), 0..60),
        n in 0_u32..8,
    ) {
        for by in [Measure::TokensIn, Measure::Cost] {
            let top = Top { n, by, window_s: 60 };
            let amounts = |snapshot: &LiveSnapshot| -> Vec<_> {
                snapshot.rows.iter().map(|row| (row.windows[0].tokens_in, row.windows[0].cost)).collect()
            };
            let mut whole = snapshot(&calls, true);
            let mut best = amounts(&whole);
            best.sort_unstable();
            whole.keep_top(top);
            let parts = (0..4).map(|shard| {
                let mut part = snapshot(&of_shard(&calls, shard), true);
                part.keep_top(top);
                part
            });
            let mut merged = LiveSnapshot::merge(parts).unwrap();
            merged.keep_top(top);
            let mut kept = amounts(&merged);
            kept.sort_unstable();
            prop_assert_eq!(&kept[..], &best[best.len().saturating_sub(n as usize)..]);
            prop_assert!(merged.rows.is_sorted_by_key(LiveRow::group));
            prop_assert_eq!(whole.rows.len(), merged.rows.len());
        }
    }
}

#[test]
fn it_claims_no_more_than_the_least_of_them() {
    let first = LiveSnapshot { complete_through: None, ..snapshot(&[(2, 0, 0, 1)], true) };
    let second = LiveSnapshot { as_of: at(-5), complete: false, ..snapshot(&[(1, 0, 0, 1)], true) };
    let merged = LiveSnapshot::merge([first, second]).unwrap();
    assert_eq!((merged.as_of, merged.complete_through, merged.complete), (at(-5), None, false));
    assert_eq!((merged.shards, merged.late), (vec![1, 2], 2));
    assert_eq!(LiveSnapshot::merge([]), None);
}

#[test]
fn an_answer_of_no_shard_takes_nothing_from_the_others() {
    let none = LiveSnapshot { as_of: at(-5), complete_through: None, ..snapshot(&[], true) };
    let some = snapshot(&[(1, 0, 0, 1)], true);
    for parts in [[none.clone(), some.clone()], [some.clone(), none.clone()]] {
        assert_eq!(LiveSnapshot::merge(parts), Some(some.clone()));
    }
    assert_eq!(LiveSnapshot::merge([none.clone(), none.clone()]), Some(none));
}

#[test]
fn a_group_that_may_be_in_the_rest_of_another_shard_is_exact_from_then_on() {
    let rest = |since| LiveRow {
        model: None,
        rest: true,
        exact_since: Some(at(since)),
        ..snapshot(&[(1, 0, 0, 7)], false).rows.remove(0)
    };
    let check = |by_token, expected| {
        let mut with_rest = snapshot(&[(1, 0, 0, 5)], by_token);
        with_rest.rows.push(rest(70));
        let other = snapshot(&[(0, 0, 1, 5)], by_token);
        let merged = LiveSnapshot::merge([with_rest, other]).unwrap();
        let since: Vec<_> = merged.rows.iter().map(|row| (row.rest, row.exact_since)).collect();
        assert_eq!(since, [(false, expected), (false, expected), (true, Some(at(70)))]);
    };
    check(false, Some(at(70)));
    // A token is in one shard, which has said what it lacks.
    check(true, None);
}

#[test]
fn a_cost_that_leaves_the_range_is_held_and_said() {
    let mut rich = snapshot(&[(1, 0, 0, 7)], false);
    rich.rows[0].windows[0].cost = "6000000000".parse().unwrap();
    let merged = LiveSnapshot::merge([rich.clone(), rich]).unwrap();
    assert_eq!(merged.rows[0].windows[0].cost.to_string(), "9999999999.999999999999999999");
    assert!(!merged.complete);
}
