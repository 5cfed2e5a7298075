//! The broker that the tests use is a real one.

use std::time::Duration;

use rdkafka::Message;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tempfile::TempDir;
use tokio::time::timeout;
use weir_local::{Installation, Kafka};

const LIMIT: Duration = Duration::from_mins(1);
const TOPIC: &str = "smoke";

#[tokio::test]
async fn a_message_goes_through_the_broker_and_survives_its_death() {
    let folder = TempDir::new().unwrap();
    let kafka = Kafka::start(&Installation::detect().unwrap(), folder.path()).await.unwrap();
    produce(&kafka, "before the kill").await;
    kafka.service.kill_hard().unwrap();
    kafka.service.restart(Kafka::START_LIMIT).await.unwrap();
    produce(&kafka, "after the kill").await;
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

async fn produce(kafka: &Kafka, payload: &str) {
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", &kafka.brokers).set("acks", "all").create().unwrap();
    let record = FutureRecord::<str, _>::to(TOPIC).payload(payload);
    producer.send(record, LIMIT).await.map_err(|(error, _)| error).unwrap();
}
