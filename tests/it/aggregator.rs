//! The aggregator: its windows and its rollups equal the logs, whatever comes twice, late, or in between a crash and
//! a restart.

mod audit;
mod expected;
mod live;
mod past;
mod quarters;
mod random;
mod shards;
mod world;

use std::time::Duration;

use async_nats::jetstream::stream::Config;
use weir_event::bus::{self, LiveSnapshot, UsageEntry};

use self::world::{LIMIT, World, entries, entry, scope};

const GATEWAYS: [&str; 2] = ["gw-a", "gw-b"];

/// Holds the windows of both gateways to what `all` add up to.
async fn check_windows(world: &World, all: &[UsageEntry]) {
    for gateway in GATEWAYS {
        let scope = scope(gateway);
        let live = world.live(&scope).await;
        assert_eq!(live, expected::snapshot(all, &scope, live.as_of), "{}", world.first.service.log_tail());
    }
}

/// Waits until the windows count as many requests as `all` has in the longest window, then checks them.
async fn wait_for_windows(world: &World, all: &[UsageEntry]) {
    let settled = async {
        loop {
            let mut same = true;
            for gateway in GATEWAYS {
                let scope = scope(gateway);
                let live = world.live(&scope).await;
                same &= requests(&live) == requests(&expected::snapshot(all, &scope, live.as_of));
            }
            if same {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(LIMIT, settled).await.is_err() {
        check_windows(world, all).await;
    }
    check_windows(world, all).await;
}

fn requests(live: &LiveSnapshot) -> u64 {
    live.rows.iter().map(|row| row.windows[3].requests).sum()
}

/// Waits until every message is acknowledged, then checks the rollups: they are written before.
async fn check_rollups(world: &World, all: &[UsageEntry]) {
    world.wait_until_acknowledged().await;
    let (rollups, expected) = (world.rollups().await, expected::rollups(all));
    let missing: Vec<_> = expected.iter().filter(|rollup| !rollups.contains(rollup)).collect();
    let wrong: Vec<_> = rollups.iter().filter(|rollup| !expected.contains(rollup)).collect();
    assert!(missing.is_empty() && wrong.is_empty(), "missing {missing:#?}, wrong {wrong:#?}");
    assert_eq!(rollups.len(), expected.len());
}

fn as_duplicates(entries: &[UsageEntry]) -> Vec<UsageEntry> {
    entries.iter().map(|entry| UsageEntry { duplicate: true, ..entry.clone() }).collect()
}

#[tokio::test]
async fn aggregator_windows_and_rollups_equal_the_logs_and_what_comes_twice_changes_nothing() {
    let world = World::start(&[]).await;
    let mut all = entries(0, 400, world.now_ms().await);
    world.deliver(&all).await;
    wait_for_windows(&world, &all).await;
    check_rollups(&world, &all).await;

    // The same in other messages, as duplicates, and in part: nothing is counted twice.
    world.publish(&all[..120]).await;
    world.publish(&as_duplicates(&all)).await;
    let more = entries(1_000, 100, world.now_ms().await);
    world.commit(&more).await;
    world.publish(&[&all[100..200], &more[..]].concat()).await;
    all.extend(more);
    wait_for_windows(&world, &all).await;
    check_rollups(&world, &all).await;
    assert_eq!(world.metric("weir_aggregator_entries_duplicate_total").await, 400);
    assert_eq!(world.metric("weir_aggregator_entries_repeated_total").await, 220);
}

#[tokio::test]
async fn aggregator_shows_rows_that_were_changed_after_it_is_told_of_their_minutes() {
    let world = World::start(&[]).await;
    let mut all = entries(0, 200, world.now_ms().await);
    world.deliver(&all).await;
    wait_for_windows(&world, &all).await;

    let change = "ALTER TABLE logs UPDATE cost = cost * 2 WHERE token = 'team-a' SETTINGS mutations_sync = 2";
    world.store.query(change).execute().await.unwrap();
    let mut changed = Vec::new();
    for entry in all.iter_mut().filter(|entry| entry.token == "team-a" && entry.cost.is_some()) {
        entry.cost = entry.cost.unwrap().checked_mul(2);
        changed.push(entry.clone());
    }
    assert!(changed.len() > 30);
    // Twice: it is as good as once.
    for _ in 0..2 {
        world.publish_dirty(&changed).await;
    }
    let as_expected = async || {
        for gateway in GATEWAYS {
            let live = world.live(&scope(gateway)).await;
            if live != expected::snapshot(&all, &scope(gateway), live.as_of) {
                return false;
            }
        }
        true
    };
    harness::eventually(LIMIT, true, as_expected).await;
    check_rollups(&world, &all).await;
    check_windows(&world, &all).await;
}

#[tokio::test]
async fn aggregator_reads_a_tenant_again_while_everybody_elses_windows_go_on() {
    let world = World::start(&[]).await;
    let now_ms = world.now_ms().await;
    let (first, more) = (entries(0, 200, now_ms), entries(1_000, 100, now_ms));
    world.deliver(&first).await;
    wait_for_windows(&world, &first).await;
    let warm_ups = world.metric("weir_aggregator_warm_ups_total").await;

    // One gateway loses rows, and ClickHouse tells nothing of what is left before more of both has come.
    world.execute("DELETE FROM logs WHERE gateway_id = 'gw-a' AND model = 'model-0'").await;
    let is_gone = |entry: &UsageEntry| entry.scope == scope("gw-a") && entry.model == "model-0";
    let (gone, mut left): (Vec<_>, Vec<_>) = first.into_iter().partition(is_gone);
    assert!(gone.len() > 20);
    world.commit(&more).await;
    world.clickhouse.service.suspend().unwrap();
    world.publish_dirty(&gone).await;
    let is_complete = async || world.live(&scope("gw-a")).await.complete;
    harness::eventually(LIMIT, false, is_complete).await;
    // Some of it before the reading has begun, and some while it waits.
    world.publish(&more[..50]).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    world.publish(&more[50..]).await;
    left.extend(more);
    let is_right = async |gateway: &str| {
        let live = world.live(&scope(gateway)).await;
        live == expected::snapshot(&left, &scope(gateway), live.as_of)
    };
    harness::eventually(LIMIT, true, || is_right("gw-b")).await;
    assert!(!is_complete().await);
    world.clickhouse.service.resume().unwrap();
    harness::eventually(LIMIT, true, || is_right("gw-a")).await;

    // What was deleted, and is stored again, counts again.
    world.deliver(&gone).await;
    left.extend(gone);
    wait_for_windows(&world, &left).await;
    check_rollups(&world, &left).await;
    assert!(world.metric("weir_aggregator_rereads_total").await > 0);
    assert_eq!(world.metric("weir_aggregator_warm_ups_total").await, warm_ups, "nobody else was read");
}

#[tokio::test]
async fn aggregator_that_is_killed_has_the_same_windows_after_its_restart() {
    let world = World::start(&[]).await;
    let now_ms = world.now_ms().await;
    let seen = entries(0, 200, now_ms);
    world.deliver(&seen).await;
    wait_for_windows(&world, &seen).await;

    world.first.service.kill_hard().unwrap();
    // While it is away: some are committed and published, some are committed and not yet published.
    let (published, late) = (entries(1_000, 150, now_ms), entries(2_000, 150, now_ms));
    world.deliver(&published).await;
    world.commit(&late).await;
    world.restart().await;
    let mut all = [seen, published, late.clone()].concat();
    check_windows(&world, &all).await;

    world.publish(&late).await;
    let more = entries(3_000, 50, world.now_ms().await);
    world.deliver(&more).await;
    all.extend(more);
    wait_for_windows(&world, &all).await;
    check_rollups(&world, &all).await;
    check_windows(&world, &all).await;
}

#[tokio::test]
async fn aggregator_counts_once_what_was_stored_and_only_ever_announced_as_a_duplicate() {
    let world = World::start(&[]).await;
    let now_ms = world.now_ms().await;
    let mut all = entries(0, 100, now_ms);
    world.deliver(&all).await;
    // Whoever stored these died before telling of them; then the sender sent them again, more than once.
    let unannounced: Vec<_> = (0..100).map(|n| entry(1_000 + n, now_ms - i64::from(n) * 1_000)).collect();
    world.commit(&unannounced).await;
    world.publish(&as_duplicates(&unannounced)).await;
    all.extend(unannounced);
    world.publish(&as_duplicates(&all)).await;
    world.publish(&all).await;
    wait_for_windows(&world, &all).await;
    check_rollups(&world, &all).await;
    check_windows(&world, &all).await;
}

#[tokio::test]
async fn aggregator_counts_redelivered_messages_once() {
    let world = World::start(&[]).await;
    let now_ms = world.now_ms().await;
    let all = entries(0, 200, now_ms);
    world.commit(&all).await;
    // Nothing is acknowledged while ClickHouse does not answer, and everything comes again.
    world.clickhouse.service.suspend().unwrap();
    world.publish(&all).await;
    wait_for_windows(&world, &all).await;
    let redelivered = "weir_aggregator_entries_redelivered_total";
    while world.metric(redelivered).await < 200 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    check_windows(&world, &all).await;

    // And once more to the next process.
    world.first.service.kill_hard().unwrap();
    world.clickhouse.service.resume().unwrap();
    world.restart().await;
    check_windows(&world, &all).await;
    check_rollups(&world, &all).await;
    assert_eq!(world.metric(redelivered).await, 200);
    check_windows(&world, &all).await;
}

#[tokio::test]
async fn aggregator_writes_tombstones_for_groups_that_are_gone() {
    let world = World::start(&[]).await;
    let created_ms = world.now_ms().await / 60_000 * 60_000;
    // In one minute of one gateway, in nine groups.
    let all: Vec<_> = (0..36).map(|n| entry(n * 2, created_ms + i64::from(n))).collect();
    world.deliver(&all).await;
    check_rollups(&world, &all).await;

    world.store.query("DELETE FROM logs WHERE model = 'model-0'").execute().await.unwrap();
    let (gone, left): (Vec<_>, Vec<_>) = all.iter().cloned().partition(|entry| entry.model == "model-0");
    // A minute that nothing touches is not computed anew. This one is touched by a duplicate.
    world.publish(&as_duplicates(&left[..1])).await;
    world.wait_until_acknowledged().await;
    let mut expected = [expected::rollups(&left), gone.iter().map(expected::empty_rollup).collect()].concat();
    expected.sort();
    expected.dedup();
    assert!(expected.iter().any(|rollup| rollup.requests == 0));
    assert_eq!(world.rollups().await, expected);
}

/// ClickHouse compares a `DateTime64` with a `DateTime` as if the latter had no fractions when it chooses what to
/// read: it left out parts that begin within the last second. Hence parts of their own, at every edge of one minute.
#[tokio::test]
async fn aggregator_misses_no_row_at_the_edges_of_a_minute() {
    let world = World::start(&[]).await;
    let minute_ms = (world.now_ms().await - 2 * 3_600_000) / 60_000 * 60_000;
    let mut all = Vec::new();
    for (seed, offset_ms) in (0..).zip([0, 1, 999, 1_000, 58_999, 59_000, 59_001, 59_999]) {
        let part = [entry(seed * 2, minute_ms + offset_ms)];
        world.deliver(&part).await;
        all.extend(part);
    }
    check_rollups(&world, &all).await;
    world.first.service.kill_hard().unwrap();
    world.restart().await;
    check_windows(&world, &all).await;
    check_rollups(&world, &all).await;
}

#[tokio::test]
async fn aggregator_outlives_nats_and_clickhouse_and_says_what_is_missing() {
    let world = World::start(&[]).await;
    let warm_ups = world.metric("weir_aggregator_warm_ups_total").await;
    let now_ms = world.now_ms().await;
    let mut all = entries(0, 100, now_ms);
    world.deliver(&all).await;
    check_rollups(&world, &all).await;

    world.nats.service.kill_hard().unwrap();
    wait_for_ops(&world, r#""nats":"not connected""#).await;
    world.nats.service.restart(LIMIT).await.unwrap();
    world.first.service.wait_until_ready(LIMIT).await.unwrap();
    let more = entries(1_000, 100, now_ms);
    world.deliver(&more).await;
    all.extend(more);
    wait_for_windows(&world, &all).await;

    let unseen = entries(2_000, 100, now_ms);
    world.commit(&unseen).await;
    world.clickhouse.service.kill_hard().unwrap();
    world.publish(&unseen).await;
    all.extend(unseen);
    wait_for_windows(&world, &all).await;
    wait_for_ops(&world, r#""clickhouse":"#).await;
    world.clickhouse.service.restart(LIMIT).await.unwrap();
    world.first.service.wait_until_ready(LIMIT).await.unwrap();
    check_rollups(&world, &all).await;
    check_windows(&world, &all).await;
    assert_eq!(world.metric("weir_aggregator_warm_ups_total").await, warm_ups, "it lost nothing");
}

async fn wait_for_ops(world: &World, expected: &str) {
    let said = async {
        while !world.ops("/readyz").await.contains(expected) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, said).await.unwrap();
}

#[tokio::test]
async fn aggregator_reads_the_past_again_when_the_stream_is_another_one() {
    let world = World::start(&[]).await;
    let warm_ups = world.metric("weir_aggregator_warm_ups_total").await;
    let mut all = entries(0, 200, world.now_ms().await);
    world.deliver(&all).await;
    wait_for_windows(&world, &all).await;
    check_rollups(&world, &all).await;

    // The new stream gives out the sequences of the old one again.
    world.jetstream.delete_stream(bus::USAGE_STREAM).await.unwrap();
    while world.jetstream.get_stream(bus::USAGE_STREAM).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let more = entries(1_000, 200, world.now_ms().await);
    world.deliver(&more).await;
    all.extend(more);
    wait_for_windows(&world, &all).await;
    check_rollups(&world, &all).await;
    assert!(world.metric("weir_aggregator_warm_ups_total").await > warm_ups);
}

/// No message tells of the minutes that are computed anew after the past was read.
async fn wait_for_rollups(world: &World, all: &[UsageEntry]) {
    let expected = expected::rollups(all);
    let written = async {
        while world.rollups().await != expected {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let _ = tokio::time::timeout(LIMIT, written).await;
    check_rollups(world, all).await;
}

/// The past is read for as long as windows reach: what is older, and was told of in a message that is lost, is not
/// found (and said to be missing, see the log).
fn entries_of_a_day(first_seed: u32, count: u32, now_ms: i64) -> Vec<UsageEntry> {
    let is_of_the_day = |entry: &UsageEntry| now_ms - entry.created_at.millis() < 82_800_000;
    entries(first_seed, count, now_ms).into_iter().filter(is_of_the_day).collect()
}

#[tokio::test]
async fn aggregator_that_missed_messages_says_so_and_reads_what_they_told_of() {
    let world = World::start(&[]).await;
    let mut all = entries(0, 100, world.now_ms().await);
    world.deliver(&all).await;
    check_rollups(&world, &all).await;
    assert_eq!(world.first.service.stop(LIMIT).await.unwrap().code(), Some(0));

    let mut stream = world.jetstream.get_stream(bus::USAGE_STREAM).await.unwrap();
    let config = Config { max_messages: 3, ..stream.info().await.unwrap().config.clone() };
    world.jetstream.update_stream(config).await.unwrap();
    // As if an hour had passed since: nothing about them is recent.
    let hour_ago_ms = world.now_ms().await - 3_600_000;
    let more = entries_of_a_day(1_000, 500, hour_ago_ms);
    world.commit_at(&more, hour_ago_ms).await;
    world.publish(&more).await;
    all.extend(more);
    world.restart().await;
    check_windows(&world, &all).await;
    wait_for_rollups(&world, &all).await;
    assert!(world.metric("weir_aggregator_losses_total").await > 0, "the stream kept three messages");
}

#[tokio::test]
async fn aggregator_that_falls_behind_the_stream_reads_what_it_missed() {
    // A lease that outlasts the time that it stands still: the stream alone is what it finds changed.
    let world = World::start(&["--aggregator-lease-timeout", "1m"]).await;
    let warm_ups = world.metric("weir_aggregator_warm_ups_total").await;
    let mut stream = world.jetstream.get_stream(bus::USAGE_STREAM).await.unwrap();
    let config = Config { max_messages: 3, ..stream.info().await.unwrap().config.clone() };
    world.jetstream.update_stream(config).await.unwrap();
    let all = entries_of_a_day(0, 400, world.now_ms().await);
    world.commit(&all).await;
    // More messages than it has asked for are gone when it wakes up.
    world.first.service.suspend().unwrap();
    for entry in &all {
        world.publish(std::slice::from_ref(entry)).await;
    }
    world.first.service.resume().unwrap();
    wait_for_windows(&world, &all).await;
    wait_for_rollups(&world, &all).await;
    assert!(world.metric("weir_aggregator_warm_ups_total").await > warm_ups);
    assert!(world.metric("weir_aggregator_losses_total").await > 0);
}

#[tokio::test]
async fn aggregator_writes_rollups_once_their_table_is_there() {
    let world = World::start(&[]).await;
    world.store.query("RENAME TABLE usage_1m TO elsewhere").execute().await.unwrap();
    let all = entries(0, 100, world.now_ms().await);
    world.deliver(&all).await;
    wait_for_windows(&world, &all).await;
    wait_for_ops(&world, r#""clickhouse":"rollups cannot be computed""#).await;
    world.store.query("RENAME TABLE elsewhere TO usage_1m").execute().await.unwrap();
    check_rollups(&world, &all).await;
    check_windows(&world, &all).await;
}

#[tokio::test]
async fn aggregator_terminates_what_it_cannot_decode_and_refuses_what_it_cannot_answer() {
    let world = World::start(&[]).await;
    for payload in ["", "nonsense", r#"{"entries":[{}]}"#] {
        world.publish_bytes(payload.into()).await;
    }
    let all = entries(0, 10, world.now_ms().await);
    world.deliver(&all).await;
    wait_for_windows(&world, &all).await;
    world.wait_until_acknowledged().await;
    assert_eq!(world.metric("weir_aggregator_messages_undecodable_total").await, 3);

    let refusal = world.ask(b"nonsense".to_vec()).await;
    let headers = refusal.headers.unwrap();
    assert_eq!(headers.get("Nats-Service-Error-Code").unwrap().as_str(), "400");
    assert!(world.live(&scope("gw-unknown")).await.rows.is_empty());
}

#[tokio::test]
async fn aggregator_that_is_stopped_writes_and_acknowledges_what_it_has_first() {
    let args = ["--aggregator-flush-interval", "30s", "--aggregator-ack-wait", "1m"];
    let world = World::start(&args).await;
    let all = entries(0, 300, world.now_ms().await);
    world.deliver(&all).await;
    wait_for_windows(&world, &all).await;
    assert!(world.rollups().await.is_empty(), "there was no flush yet");
    let status = world.first.service.stop(LIMIT).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", world.first.service.log_tail());
    assert_eq!(world.rollups().await, expected::rollups(&all));
    // What it sent last is taken in by and by.
    world.wait_until_acknowledged().await;
}
