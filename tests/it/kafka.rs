//! Topics of a real broker: every message is stored once, whatever happens meanwhile.

mod damage;
mod faults;
mod messages;
mod world;

use std::time::Duration;

use harness::traffic::record;
use harness::{System, eventually};
use rdkafka::Message;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::timeout;
use weir_local::{Installation, Kafka, KafkaUser};
use world::{GROUP, LIMIT, TOPIC, TOPICS, create_topic, produce_all};
pub(crate) use world::{Outgoing, World};

#[tokio::test]
async fn a_message_goes_through_the_broker_and_survives_its_death() {
    let folder = TempDir::new().unwrap();
    let kafka = Kafka::start(&Installation::detect().unwrap(), folder.path()).await.unwrap();
    create_topic(&kafka, TOPIC, 1).await;
    let say = |text: &str| Outgoing { value: Some(text.to_owned()), ..Outgoing::default() };
    produce_all(&kafka, vec![say("before the kill")], &[]).await;
    kafka.service.kill_hard().unwrap();
    kafka.service.restart(Kafka::START_LIMIT).await.unwrap();
    produce_all(&kafka, vec![say("after the kill")], &[]).await;
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.brokers)
        .set("group.id", "smoke")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&[TOPIC]).unwrap();
    for (offset, expected) in (0..).zip(["before the kill", "after the kill"]) {
        let message = timeout(LIMIT, consumer.recv()).await.unwrap().unwrap();
        assert_eq!((message.offset(), message.payload()), (offset, Some(expected.as_bytes())));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_topic_holds_is_stored_and_its_offsets_follow() {
    let world = World::start(3).await;
    world.produce(0..10_000, 3).await;
    world.expect_exactly(10_000).await;
    world.expect_committed(GROUP, 3).await;
    eventually(LIMIT, 0, || world.metric("weir_ingest_kafka_lag_messages{", &[TOPIC])).await;
    let records = "weir_ingest_records_total{";
    assert_eq!(world.metric(records, &["kafka", "\"Received\""]).await, 10_000);
    assert_eq!(world.metric(records, &["kafka", "\"Stored\""]).await, 10_000);
    let stopped = world.system.weir.ingest.stop(LIMIT).await.unwrap();
    assert!(stopped.success(), "{stopped}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_brokers_own_protocol_for_groups_will_do() {
    let world = World::start_with(2, &[("WEIR_INGEST_KAFKA_PROPERTIES", "group.protocol=consumer")]).await;
    world.produce(0..1_000, 2).await;
    world.expect_exactly(1_000).await;
    let second = world.another_ingest(&[]).await;
    world.produce(1_000..2_000, 2).await;
    world.expect_exactly(2_000).await;
    assert!(second.stop(LIMIT).await.unwrap().success());
    world.produce(2_000..3_000, 2).await;
    world.expect_exactly(3_000).await;
    world.expect_committed(GROUP, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_from_the_beginning_changes_no_row() {
    let world = World::start(2).await;
    world.produce(0..3_000, 2).await;
    world.expect_exactly(3_000).await;
    let rows = "SELECT sum(cityHash64(*)) FROM logs";
    let before = world.system.sql(rows).await;
    for group in ["replay-1", "replay-2"] {
        let ingest = world.another_ingest(&[("WEIR_INGEST_KAFKA_GROUP", group)]).await;
        world.expect_committed(group, 2).await;
        assert!(ingest.stop(LIMIT).await.unwrap().success());
        assert_eq!(world.system.sql(rows).await, before, "{group}");
    }
    world.expect_exactly(3_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_comes_over_http_and_over_kafka_is_stored_once() {
    let world = World::start(1).await;
    let at = harness::traffic::now_ms();
    let lines: Vec<String> = (0..50).map(|number| record(number, at)).collect();
    let messages = lines.iter().map(|line| Outgoing { value: Some(line.clone()), ..Outgoing::default() });
    let pushed = lines.join("\n");
    let ((), answer) = tokio::join!(world.produce_all(messages.collect(), &[]), world.system.push(&pushed));
    assert_eq!(answer.json()["received"], Value::from(50));
    world.expect_committed(GROUP, 1).await;
    world.expect_exactly(50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_wants_tls_and_a_password_is_read_from() {
    let user = KafkaUser { name: "weir".to_owned(), password: "p a=ss#word".to_owned() };
    let world = World::start_secured(&user).await;
    world.produce(0..200, 1).await;
    world.expect_exactly(200).await;
    world.expect_committed(GROUP, 1).await;
    let log = std::fs::read_to_string(world.system.weir.ingest.log()).unwrap();
    assert!(!log.contains(&user.password), "the password is in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_broker_pushes_are_taken_and_topics_once_it_is_there() {
    let folder = TempDir::new().unwrap();
    let kafka = Kafka::start(&Installation::detect().unwrap(), folder.path()).await.unwrap();
    create_topic(&kafka, TOPIC, 1).await;
    let message = Outgoing { value: Some(record(1, harness::traffic::now_ms())), ..Outgoing::default() };
    produce_all(&kafka, vec![message], &[]).await;
    // Ready once, so that the rest starts; then it has to come up again without its broker.
    let brokers = kafka.brokers.clone();
    let system = System::start_with(move |_| {
        vec![("WEIR_INGEST_KAFKA_BROKERS", brokers), (TOPICS.0, TOPICS.1.to_owned())]
    })
    .await;
    eventually(LIMIT, "1".to_owned(), || system.sql("SELECT count() FROM logs")).await;
    kafka.service.kill_hard().unwrap();
    system.weir.ingest.kill_hard().unwrap();
    let not_ready = system.weir.ingest.restart(Duration::from_secs(5)).await;
    assert!(not_ready.is_err(), "ready without a broker");
    let answer = system.push(&record(0, harness::traffic::now_ms())).await;
    assert_eq!(answer.json()["stored"], Value::from(1), "{}", answer.text);
    kafka.service.restart(Kafka::START_LIMIT).await.unwrap();
    system.weir.ingest.wait_until_ready(LIMIT).await.unwrap();
    let message = Outgoing { value: Some(record(2, harness::traffic::now_ms())), ..Outgoing::default() };
    produce_all(&kafka, vec![message], &[]).await;
    eventually(LIMIT, "3".to_owned(), || system.sql("SELECT count() FROM logs")).await;
    kafka.service.kill_hard().unwrap();
    let stopped = system.weir.ingest.stop(LIMIT).await.unwrap();
    assert!(stopped.success(), "{stopped}: {}", system.weir.ingest.log_tail());
}
