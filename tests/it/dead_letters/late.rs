//! What a replay that was killed has stored, or had under way, and what comes of that without it.

use std::process::Stdio;
use std::time::Duration;

use harness::traffic::ai_gateway_example;
use harness::{System, eventually};
use serde_json::json;
use tokio::time::sleep;

use super::replay::{
    ENTRY, INTO, LIMIT, Point, expect_balance, expect_events, kill_at, kill_behind, orphans, replay_with_key,
    sealed,
};
use super::{command, run, succeeded};
use crate::outage::proxy::Proxy;

/// How long an insert of one block takes: below the engine's limit for a sleep.
const SLOW: Duration = Duration::from_millis(2_900);

const EAGER: (&str, &str) = ("WEIR_INGEST_RECONCILE_INTERVAL", "1s");
const INSERT: Point = (0, &["INSERT", "logs"]);
/// Makes every row that no replay stored one of long ago.
const AGE: &str = "ALTER TABLE logs UPDATE ingested_at = ingested_at - INTERVAL 10 DAY WHERE write_id % 2 = 0 \
    SETTINGS mutations_sync = 2";
pub(super) const ROWS: &str = "SELECT count(), uniqExact(id), countIf(empty(flags)) FROM logs";
/// How many rows the ledger says there are, and by how much it does not balance.
const ENTERED: &str = "SELECT sum(stored), sum(received - stored - duplicates - dead_lettered - ignored - deleted) FROM ledger FINAL";
/// Of how many rows replays have something left to do.
pub(super) const OPEN: &str =
    "SELECT count() FROM ledger FINAL WHERE startsWith(subject, 'replay:') AND version < 2";

/// A system that looks all the time for what is to be put right.
pub(super) async fn start_eager() -> System {
    System::start_with(|_| vec![(EAGER.0, EAGER.1.to_owned())]).await
}

/// Replays that were killed are left alone for as long as they may be at work.
pub(super) async fn let_time_pass(system: &System) {
    let age = "ALTER TABLE ledger UPDATE entered_at = entered_at - INTERVAL 10 MINUTE WHERE startsWith(subject, 'replay:') \
        SETTINGS mutations_sync = 2";
    system.sql(age).await;
}

async fn slow_down(system: &System) {
    let seconds = SLOW.as_secs_f32();
    system.sql(&format!("ALTER TABLE logs ADD COLUMN slow UInt8 MATERIALIZED sleep({seconds})")).await;
}

#[tokio::test]
async fn an_insert_that_outlives_its_replay_is_waited_for_by_the_next() {
    let system = System::start().await;
    orphans(&system, 0..2).await;
    slow_down(&system).await;
    let mut replay = command(&system, &INTO).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let running = "SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO logs%'";
    eventually(LIMIT, "1".to_owned(), || system.sql(running)).await;
    replay.kill().unwrap();
    replay.wait().unwrap();
    assert_eq!(system.sql("SELECT count() FROM logs").await, "0");
    let next = run(&system, &INTO);
    assert!(next.success, "{} {}", next.text(), next.error);
    let expected = "2 letters: 2 stored, 0 duplicates, 0 ignored, 0 opened, 0 stay";
    assert_eq!(next.text().lines().next(), Some(expected));
    sleep(SLOW).await;
    assert_eq!(system.sql("SELECT count(), uniqExact(id), uniqExact(write_id) FROM logs").await, "2\t2\t1");
    expect_balance(&system, [2, 2, 0, 0, 0, 2]).await;
    expect_events(&system, 2).await;
    assert_eq!(succeeded(&system, &["list"]).text(), "no letters\n");
}

/// A replay is killed, the next one is done, and only then ClickHouse is given what the first one had sent: something
/// between them held it back. `age` is what is done to the rows first.
async fn lands_after_the_next(age: Option<&str>) -> System {
    let system = start_eager().await;
    orphans(&system, 0..2).await;
    let closed = ai_gateway_example("encrypted_chat");
    let answer = system.push_to("acc", &closed).await.json();
    assert_eq!((&answer["stored"], &answer["sealed"]), (&json!(1), &json!(1)), "{answer}");
    if let Some(age) = age {
        system.sql(age).await;
    }
    let proxy = kill_behind(&system, INSERT).await;
    let_time_pass(&system).await;
    let next = replay_with_key(&system, &INTO);
    assert!(next.success, "{} {}", next.text(), next.error);
    assert_eq!(system.sql("SELECT count(), uniqExact(id) FROM logs").await, "3\t3");
    land(&system, &proxy).await;
    eventually(LIMIT, "3\t3\t3".to_owned(), || system.sql(ROWS)).await;
    assert_eq!(succeeded(&system, &["list"]).text(), "no letters\n");
    system
}

/// Lets ClickHouse have what was held back, and waits until its rows are there.
async fn land(system: &System, proxy: &Proxy) {
    let parts = "SELECT max(max_block_number) FROM system.parts WHERE table = 'logs'";
    let before = system.sql(parts).await;
    proxy.release();
    eventually(LIMIT, false, async || system.sql(parts).await == before).await;
}

#[tokio::test]
async fn an_insert_that_lands_after_the_next_replay_is_found_and_counted_once() {
    let system = lands_after_the_next(None).await;
    let balance =
        "SELECT sum(received) = sum(stored + duplicates + dead_lettered), sum(stored) FROM ledger FINAL";
    eventually(LIMIT, "1\t3".to_owned(), || system.sql(balance)).await;
}

#[tokio::test]
async fn a_row_that_is_opened_twice_is_found_however_old_it_is() {
    let system = lands_after_the_next(Some(AGE)).await;
    // Of the write that was killed and of the one after it, one row is left of each event.
    let entered = "SELECT sum(stored), sum(duplicates) FROM ledger FINAL WHERE bitAnd(write_id, 1) = 1";
    eventually(LIMIT, "3\t-3".to_owned(), || system.sql(entered)).await;
}

/// Every event has one row, with all of it; the ledger and the rollups say so, and nothing is left to be done.
pub(super) async fn expect_put_right(system: &System, events: u64) {
    eventually(LIMIT, [&*events.to_string(); 3].join("\t"), || system.sql(ROWS)).await;
    eventually(LIMIT, format!("{events}\t0"), || system.sql(ENTERED)).await;
    let cost = system.sql("SELECT count(), toString(sum(cost)) FROM logs").await;
    let rollup = "SELECT sum(requests), toString(sum(cost)) FROM usage_1m FINAL";
    eventually(LIMIT, cost, || system.sql(rollup)).await;
    eventually(LIMIT, "0".to_owned(), || system.sql(OPEN)).await;
}

#[tokio::test]
async fn what_a_killed_replay_stored_is_counted_once_though_no_other_one_is_run() {
    let system = start_eager().await;
    let points: [Point; 3] = [ENTRY, (0, &["splitByChar"]), (0, &["DELETE FROM logs"])];
    let (mut events, mut held) = (0, Vec::new());
    for (round, point) in (0_u64..).zip(points) {
        orphans(&system, 2 * round..2 * round + 2).await;
        sealed(&system, round).await;
        system.sql(AGE).await;
        held.push(kill_at(&system, point).await);
        events += 3;
        assert_eq!(system.sql("SELECT count() FROM logs").await, (events + 1).to_string(), "{point:?}");
        let_time_pass(&system).await;
        expect_put_right(&system, events).await;
    }
    // What they had sent last comes after all.
    for proxy in held {
        proxy.release();
    }
    sleep(SLOW).await;
    expect_put_right(&system, events).await;
    let done = replay_with_key(&system, &INTO);
    assert!(done.success, "{} {}", done.text(), done.error);
    expect_put_right(&system, events).await;
}

#[tokio::test]
async fn what_a_killed_replay_had_sent_is_counted_once_when_it_lands() {
    let system = start_eager().await;
    orphans(&system, 0..2).await;
    sealed(&system, 0).await;
    system.sql(AGE).await;
    let proxy = kill_behind(&system, INSERT).await;
    let_time_pass(&system).await;
    // Nothing is to be put right yet, however often it is looked at.
    sleep(SLOW).await;
    assert_eq!(system.sql(ROWS).await, "1\t1\t0");
    land(&system, &proxy).await;
    expect_put_right(&system, 3).await;
}

#[tokio::test]
async fn a_row_of_a_killed_replay_that_is_taken_out_again_was_stored() {
    let system = start_eager().await;
    sealed(&system, 0).await;
    sealed(&system, 1).await;
    system.sql(AGE).await;
    let proxy = kill_behind(&system, ENTRY).await;
    assert_eq!(system.sql(ROWS).await, "4\t2\t2");
    // One by a replay that had read what there was of its event before it came.
    let repaired = "INSERT INTO ledger \
            (hour, source, account_id, write_id, subject, stored, duplicates, gateway_id, minute, version) \
        SELECT toStartOfHour(ingested_at), source, account_id, write_id, id, -1, 1, gateway_id, toStartOfMinute(created_at), 2 \
        FROM logs WHERE bitAnd(write_id, 1) = 1 AND id = (SELECT max(id) FROM logs)";
    system.sql(repaired).await;
    let out = "DELETE FROM logs WHERE bitAnd(write_id, 1) = 1 AND id = (SELECT max(id) FROM logs)";
    system.sql(out).await;
    // The other one by somebody who wants none of it.
    let query_api = system.weir.addresses.query_api;
    let gateway = system.sql("SELECT any(gateway_id) FROM logs").await;
    let url = format!("http://{query_api}/client/v4/accounts/acc/ai-gateway/gateways/{gateway}/logs?limit=1");
    let delete = system.http.delete(url).bearer_auth(&system.weir.secrets.query_token);
    let deleted = delete.send().await.unwrap();
    assert!(deleted.status().is_success(), "{:?}", deleted.text().await);
    assert_eq!(system.sql(ROWS).await, "1\t1\t0");
    assert_eq!(system.sql(ENTERED).await, "-1\t0");
    let_time_pass(&system).await;
    eventually(LIMIT, "0".to_owned(), || system.sql(OPEN)).await;
    assert_eq!(system.sql(ENTERED).await, "1\t0");
    // The entry that the replay makes of it is the same.
    proxy.release();
    let own =
        "SELECT sum(stored), max(version) FROM ledger FINAL WHERE bitAnd(write_id, 1) = 1 AND subject = ''";
    eventually(LIMIT, "2\t1".to_owned(), || system.sql(own)).await;
    assert_eq!(system.sql(ENTERED).await, "1\t0");
}

#[tokio::test]
async fn what_lands_is_found_however_many_rows_do_not() {
    let system = start_eager().await;
    sealed(&system, 0).await;
    system.sql(AGE).await;
    let _held = kill_at(&system, ENTRY).await;
    // Others are younger, and come before it in order.
    let others = "INSERT INTO ledger (hour, source, account_id, write_id, subject, version) \
        SELECT hour, source, 'abc', 2 * number + 3, subject, 1 \
        FROM ledger CROSS JOIN numbers(60000) AS numbers WHERE startsWith(subject, 'replay:')";
    system.sql(others).await;
    let_time_pass(&system).await;
    eventually(LIMIT, "1\t1\t1".to_owned(), || system.sql(ROWS)).await;
    eventually(LIMIT, "1\t0".to_owned(), || system.sql(ENTERED)).await;
    eventually(LIMIT, "60000".to_owned(), || system.sql(OPEN)).await;
}
