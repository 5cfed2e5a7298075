//! What dies while topics are read.

use std::time::Duration;

use harness::eventually;
use rdkafka::Offset;
use tokio::time::sleep;
use weir_local::{Kafka, Service, Weir};

use super::world::{GROUP, LIMIT, TOPIC, World, create_topic_anew, delete_records, records};

const PARTITIONS: u64 = 4;
const BATCH: u64 = 1_000;

/// Produces batch after batch from 0 on, slowly enough for something to happen in between.
async fn produce_steadily(world: &World, batches: u64) {
    for batch in 0..batches {
        world.produce(batch * BATCH..(batch + 1) * BATCH, PARTITIONS).await;
        sleep(Duration::from_millis(300)).await;
    }
}

/// How many records of topics became `result` in an ingest.
async fn kafka_records(world: &World, ingest: &Service, result: &str) -> u64 {
    world.metric_of(ingest, "weir_ingest_records_total{", &["kafka", result]).await
}

/// Waits until at least `count` records are stored.
async fn stored_at_least(world: &World, count: u64) {
    let sql = format!("SELECT count() >= {count} FROM logs");
    eventually(LIMIT, "1".to_owned(), || world.system.sql(&sql)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_come_die_and_leave_and_every_message_is_stored_once() {
    let world = World::start(4).await;
    let changes = async {
        stored_at_least(&world, BATCH).await;
        let second = world.another_ingest(&[]).await;
        stored_at_least(&world, 5 * BATCH).await;
        let third = world.another_ingest(&[]).await;
        stored_at_least(&world, 10 * BATCH).await;
        second.kill_hard().unwrap();
        stored_at_least(&world, 15 * BATCH).await;
        let stopped = third.stop(LIMIT).await.unwrap();
        assert!(stopped.success(), "{stopped}: {}", third.log_tail());
    };
    tokio::join!(produce_steadily(&world, 30), changes);
    world.expect_exactly(30 * BATCH).await;
    world.expect_committed(GROUP, 4).await;
    assert!(world.metric("weir_ingest_kafka_rebalances_total{", &["Revoked"]).await > 0);
    let letters = world.system.sql("SELECT count() FROM dead_letters").await;
    assert_eq!(letters, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orderly_changes_make_no_message_come_twice() {
    // Writes that wait for more, so that something is always under way when a partition has to go.
    let world = World::start_with(4, &[("WEIR_INGEST_WRITE_INTERVAL", "1s")]).await;
    let changes = async {
        stored_at_least(&world, BATCH).await;
        let second = world.another_ingest(&[]).await;
        stored_at_least(&world, 8 * BATCH).await;
        let (stored, duplicates) = (
            kafka_records(&world, &second, "\"Stored\"").await,
            kafka_records(&world, &second, "\"Duplicate\"").await,
        );
        assert!(stored > 0 && duplicates == 0, "the second one: {stored} stored, {duplicates} came twice");
        assert!(second.stop(LIMIT).await.unwrap().success());
    };
    tokio::join!(produce_steadily(&world, 20), changes);
    world.expect_exactly(20 * BATCH).await;
    let duplicates = kafka_records(&world, &world.system.weir.ingest, "\"Duplicate\"").await;
    assert_eq!(duplicates, 0, "what was read of a partition is committed before it is given up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_dies_and_comes_back_loses_and_doubles_nothing() {
    let world = World::start(4).await;
    world.produce(0..2 * BATCH, PARTITIONS).await;
    stored_at_least(&world, 1).await;
    world.kafka.service.kill_hard().unwrap();
    sleep(Duration::from_secs(1)).await;
    world.kafka.service.restart(Kafka::START_LIMIT).await.unwrap();
    world.produce(2 * BATCH..4 * BATCH, PARTITIONS).await;
    world.expect_exactly(4 * BATCH).await;
    world.expect_committed(GROUP, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_made_anew_is_read_from_its_beginning() {
    let world = World::start(1).await;
    world.produce(0..BATCH, 1).await;
    world.expect_exactly(BATCH).await;
    world.expect_committed(GROUP, 1).await;
    create_topic_anew(&world.kafka, TOPIC, 1).await;
    // Less than there was: all of these offsets were read before.
    world.produce(BATCH..BATCH + BATCH / 2, 1).await;
    world.expect_exactly(BATCH + BATCH / 2).await;
    world.expect_committed(GROUP, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_deletes_before_it_is_read_is_counted_once() {
    let world = World::start(2).await;
    let ingest = &world.system.weir.ingest;
    let lost = || world.metric("weir_ingest_kafka_lost_offsets_total{", &[TOPIC, "\"Deleted\""]);
    let stored = async |count: u64| {
        let sql = "SELECT count(), uniqExact(ray_id) FROM logs";
        eventually(LIMIT, format!("{count}\t{count}"), || world.system.sql(sql)).await;
    };
    world.produce(0..BATCH, 2).await;
    world.expect_exactly(BATCH).await;
    world.expect_committed(GROUP, 2).await;
    assert!(ingest.stop(LIMIT).await.unwrap().success());
    world.produce(BATCH..2 * BATCH, 2).await;
    let half = BATCH / 2;
    let kept = 300;
    delete_records(&world.kafka, 0, Offset::Offset((2 * half - kept).try_into().unwrap())).await;
    // Of the other one nothing is left, so nothing is read that would show it.
    delete_records(&world.kafka, 1, Offset::End).await;
    ingest.restart(LIMIT).await.unwrap();
    stored(BATCH + kept).await;
    eventually(LIMIT, half - kept + half, lost).await;
    world.expect_committed(GROUP, 2).await;
    assert!(ingest.stop(LIMIT).await.unwrap().success());
    ingest.restart(LIMIT).await.unwrap();
    world.produce(2 * BATCH..3 * BATCH, 2).await;
    stored(2 * BATCH + kept).await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(lost().await, 0, "it was told of before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_clickhouse_is_away_partitions_wait_and_even_a_kill_loses_nothing() {
    let world = World::start(4).await;
    world.produce(0..BATCH, PARTITIONS).await;
    world.expect_exactly(BATCH).await;
    world.system.weir.clickhouse.service.kill_hard().unwrap();
    world.produce(BATCH..5 * BATCH, PARTITIONS).await;
    let paused = || async { world.metric("weir_ingest_kafka_paused{", &[TOPIC]).await > 0 };
    eventually(LIMIT, true, paused).await;
    eventually(LIMIT, true, || async { world.metric("weir_ingest_kafka_lag_messages{", &[TOPIC]).await > 0 })
        .await;
    // Longer than offsets are committed in; what was read and not stored must not be behind one of them.
    sleep(Duration::from_secs(3)).await;
    world.system.weir.ingest.kill_hard().unwrap();
    world.system.weir.clickhouse.service.restart(Weir::START_LIMIT).await.unwrap();
    world.system.weir.ingest.restart(LIMIT).await.unwrap();
    world.expect_exactly(5 * BATCH).await;
    world.expect_committed(GROUP, 4).await;
    eventually(LIMIT, false, paused).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_that_cannot_be_stored_takes_bounded_memory_and_is_stored_after() {
    /// More than twice of what may be taken, which is the sum of the bounds and of the process itself.
    const BACKLOG: u64 = 10_000;
    const PADDING_BYTES: usize = 60_000;
    const TAKEN_BYTES_MAX: u64 = 256 << 20;
    let world = World::start_with(4, &[("WEIR_INGEST_KAFKA_PENDING_BYTES_MAX", "32MiB")]).await;
    world.system.weir.clickhouse.service.kill_hard().unwrap();
    let padding = format!(r#"\"messages\":[\"{}\"]"#, "x".repeat(PADDING_BYTES));
    for first in (0..BACKLOG).step_by(1_000) {
        let mut messages = records(first..first + 1_000, PARTITIONS);
        for message in &mut messages {
            message.value = message.value.take().map(|value| value.replace(r#"\"messages\":[]"#, &padding));
        }
        world.produce_all(messages, &[]).await;
    }
    let paused = || async { world.metric("weir_ingest_kafka_paused{", &[TOPIC]).await };
    eventually(LIMIT, PARTITIONS, paused).await;
    sleep(Duration::from_secs(3)).await;
    let status = format!("/proc/{}/status", world.system.weir.ingest.pid().unwrap());
    if let Ok(status) = std::fs::read_to_string(status) {
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(peak << 10 < TAKEN_BYTES_MAX, "{peak} kB were taken");
    }
    world.system.weir.clickhouse.service.restart(Weir::START_LIMIT).await.unwrap();
    world.expect_exactly(BACKLOG).await;
    world.expect_committed(GROUP, 4).await;
}
