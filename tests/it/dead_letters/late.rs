//! What a replay that was killed had under way when it died, and what comes of that later.

use std::process::Stdio;
use std::time::Duration;

use harness::traffic::ai_gateway_example;
use harness::{System, eventually};
use serde_json::json;
use tokio::time::sleep;

use super::replay::{INTO, LIMIT, expect_balance, expect_events, kill_behind, orphans, replay_with_key};
use super::{command, run, succeeded};

/// How long an insert of one block takes: below the engine's limit for a sleep.
const SLOW: Duration = Duration::from_millis(2_900);

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
    let system = System::start().await;
    orphans(&system, 0..2).await;
    let closed = ai_gateway_example("encrypted_chat");
    let answer = system.push_to("acc", &closed).await.json();
    assert_eq!((&answer["stored"], &answer["sealed"]), (&json!(1), &json!(1)), "{answer}");
    if let Some(age) = age {
        system.sql(age).await;
    }
    let proxy = kill_behind(&system, &["INSERT", "logs"]).await;
    let next = replay_with_key(&system, &INTO);
    assert!(next.success, "{} {}", next.text(), next.error);
    assert_eq!(system.sql("SELECT count(), uniqExact(id) FROM logs").await, "3\t3");
    let parts = "SELECT max(max_block_number) FROM system.parts WHERE table = 'logs'";
    let before = system.sql(parts).await;
    proxy.release();
    eventually(LIMIT, false, async || system.sql(parts).await == before).await;
    let rows = "SELECT count(), uniqExact(id), countIf(empty(flags)) FROM logs";
    eventually(LIMIT, "3\t3\t3".to_owned(), || system.sql(rows)).await;
    assert_eq!(succeeded(&system, &["list"]).text(), "no letters\n");
    system
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
    let age = "ALTER TABLE logs UPDATE ingested_at = ingested_at - INTERVAL 10 DAY WHERE 1 SETTINGS mutations_sync = 2";
    let system = lands_after_the_next(Some(age)).await;
    // Of the write that was killed and of the one after it, one row is left of each event.
    let entered = "SELECT sum(stored), sum(duplicates) FROM ledger FINAL WHERE bitAnd(write_id, 1) = 1";
    eventually(LIMIT, "3\t-3".to_owned(), || system.sql(entered)).await;
}
