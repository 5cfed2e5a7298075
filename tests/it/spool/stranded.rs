//! A stream that keeps what is committed, as NATS leaves it behind after a disk was full. Here it is one that is to keep
//! everything: so it can be looked at what is done about it, by how many processes, and how often.

use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::stream::{Config, RetentionPolicy};
use futures_util::StreamExt;
use harness::{System, eventually, jetstream};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use weir_event::Source;
use weir_event::bus::{SPOOL_CONSUMER, SPOOL_STREAM, SPOOL_SUBJECTS, settling_subject, spool_subject};
use weir_local::{Service, Weir};

use super::doubt::behind;
use super::{
    LEDGER, LIMIT, REDELIVERY_LIMIT, STORED, push_spooled, records, restart, restart_clickhouse, start,
    stop_clickhouse,
};
use crate::outage::proxy::Proxy;

/// A Weir whose spool keeps everything.
async fn start_keeping() -> System {
    let system = start().await;
    keep_everything(&system).await;
    system
}

async fn keep_everything(system: &System) {
    let ingest = &system.weir.ingest;
    assert!(ingest.stop(Weir::STOP_LIMIT).await.unwrap().success());
    let jetstream = jetstream(&system.weir.nats).await;
    // It may have been stopped before it made one.
    let _ = jetstream.delete_stream(SPOOL_STREAM).await;
    let keeping = Config {
        name: SPOOL_STREAM.to_owned(),
        subjects: vec![SPOOL_SUBJECTS.to_owned()],
        retention: RetentionPolicy::Limits,
        ..Config::default()
    };
    jetstream.create_stream(keeping).await.unwrap();
    restart(ingest).await;
}

/// How many messages nobody has been given, and how many are not acknowledged.
async fn owed(system: &System) -> (u64, usize) {
    let stream = jetstream(&system.weir.nats).await.get_stream(SPOOL_STREAM).await.unwrap();
    let consumer = stream.consumer_info(SPOOL_CONSUMER).await.ok();
    consumer.map_or((u64::MAX, 0), |consumer| (consumer.num_pending, consumer.num_ack_pending))
}

/// How often a process has said that nothing but a restart of NATS helps.
async fn told(system: &System, ingest: &Service) -> u64 {
    let name = r#"weir_ingest_drain_troubles_total{trouble="Stranded"} "#;
    let metrics = system.metrics_of(ingest).await;
    metrics.lines().find_map(|line| line.strip_prefix(name)?.parse().ok()).unwrap_or(0)
}

/// Waits until every process has looked, and leaves it at that.
async fn expect_told(system: &System, processes: &[&Service]) {
    for ingest in processes {
        let before = told(system, ingest).await;
        eventually(LIMIT, true, async || told(system, ingest).await > before).await;
    }
}

#[tokio::test]
async fn what_nats_kept_is_drained_once_more_for_each_start_of_it_whoever_looks() {
    let system = start_keeping().await;
    let second = system.second_ingest(Vec::new()).await;
    let (ingest, nats) = (&system.weir.ingest, &system.weir.nats.service);
    stop_clickhouse(&system).await;
    push_spooled(&system, &records(0..10)).await;
    restart_clickhouse(&system).await;
    eventually(LIMIT, (0, 0), || owed(&system)).await;
    expect_told(&system, &[ingest, &second.service]).await;
    let counted = async |deliveries: u64| {
        let duplicates = (deliveries - 1) * 10;
        format!("logpush\t{}\t10\t{duplicates}\t0\t0", deliveries * 10)
    };
    assert_eq!(system.sql(LEDGER).await, counted(1).await, "before its restart it would keep them again");
    for restarts in 1..=2 {
        restart(nats).await;
        eventually(LIMIT, counted(1 + restarts).await, || system.sql(LEDGER)).await;
        expect_told(&system, &[ingest, &second.service]).await;
        assert!(ingest.stop(Weir::STOP_LIMIT).await.unwrap().success());
        restart(ingest).await;
        expect_told(&system, &[ingest, &second.service]).await;
        assert_eq!(system.sql(LEDGER).await, counted(1 + restarts).await, "after restart {restarts}");
    }
    assert_eq!(system.sql(STORED).await, "10\t10");
}

#[tokio::test]
async fn what_can_never_be_committed_does_not_keep_what_nats_kept() {
    let system = start_keeping().await;
    let jetstream = jetstream(&system.weir.nats).await;
    let of_the_future = vec![9, 1, 2, 3];
    jetstream.publish(spool_subject(Source::Http, 7), of_the_future.into()).await.unwrap().await.unwrap();
    stop_clickhouse(&system).await;
    push_spooled(&system, &records(0..10)).await;
    restart_clickhouse(&system).await;
    eventually(LIMIT, (0, 1), || owed(&system)).await;
    restart(&system.weir.nats.service).await;
    // What waited for ClickHouse may be waiting still, as far as it is known for a while.
    eventually(REDELIVERY_LIMIT, "logpush\t20\t10\t10\t0\t0".to_owned(), || system.sql(LEDGER)).await;
    expect_told(&system, &[&system.weir.ingest]).await;
    assert_eq!(system.sql(STORED).await, "10\t10");
}

/// Says of every write whose outcome is unknown that it is being settled, until it is aborted.
async fn settle_everything(system: &System) -> JoinHandle<()> {
    let nats = &system.weir.nats;
    let client = ConnectOptions::with_token(nats.token.clone()).connect(&nats.url).await.unwrap();
    let mut questions = client.subscribe(settling_subject("*")).await.unwrap();
    client.flush().await.unwrap();
    tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            client.publish(question.reply.unwrap(), "".into()).await.unwrap();
        }
    })
}

#[tokio::test]
async fn what_waits_for_the_end_of_a_write_is_not_handed_out_with_what_nats_kept() {
    let mut proxy = Proxy::new();
    let system = behind(&mut proxy).await;
    keep_everything(&system).await;
    stop_clickhouse(&system).await;
    push_spooled(&system, &records(0..10)).await;
    restart_clickhouse(&system).await;
    eventually(LIMIT, (0, 0), || owed(&system)).await;
    expect_told(&system, &[&system.weir.ingest]).await;
    let settling = settle_everything(&system).await;
    proxy.hold_next(&["INSERT", "logs"]);
    push_spooled(&system, &records(10..15)).await;
    let once = "logpush\t15\t15\t0\t0\t0";
    eventually(LIMIT, once.to_owned(), || system.sql(LEDGER)).await;
    // It was given out more than once by then.
    sleep(Duration::from_secs(5)).await;
    assert_eq!(owed(&system).await, (0, 1));
    restart(&system.weir.nats.service).await;
    sleep(Duration::from_secs(20)).await;
    assert_eq!(system.sql(LEDGER).await, once, "one message is not done with");
    settling.abort();
    eventually(REDELIVERY_LIMIT, "logpush\t25\t15\t10\t0\t0".to_owned(), || system.sql(LEDGER)).await;
    assert_eq!(system.sql(STORED).await, "15\t15");
    proxy.release();
}
