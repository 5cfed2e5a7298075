//! Clients of librdkafka, and what they tell.

use rdkafka::Message;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::FutureProducer;
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use tokio::sync::mpsc;

use super::{ConsumeError, KafkaConfig};

/// The properties of a consumer where the operator gives no others. What is queued ahead is bounded per partition: 2 MiB,
/// and what one more fetch brings of it, 1 MiB as it is compressed or one message.
const CONSUMER_DEFAULTS: [(&str, &str); 6] = [
    ("client.id", "weir-ingest"),
    ("queued.max.messages.kbytes", "2048"),
    ("fetch.max.bytes", "8388608"),
    // A full queue is looked at again this soon; with the second that is the default, catching up would wait, not work.
    ("fetch.queue.backoff.ms", "20"),
    // A message that was damaged on its way would be a dead letter, or worse.
    ("check.crcs", "true"),
    // OpenSSL is built in, and knows no place of this machine.
    ("ssl.ca.location", "probe"),
];

/// What does not vary.
const CONSUMER_FIXED: [(&str, &str); 4] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "earliest"),
    ("statistics.interval.ms", "1000"),
];

const PRODUCER_DEFAULTS: [(&str, &str); 2] = [("client.id", "weir-ingest"), ("ssl.ca.location", "probe")];

const PRODUCER_FIXED: [(&str, &str); 3] = [
    ("acks", "all"),
    ("enable.idempotence", "true"),
    // Whether a message is too large is the broker's to say: its own limit may be any.
    ("message.max.bytes", "1000000000"),
];

/// A consumer whose events come as [`Event`]s.
pub(super) type GroupConsumer = StreamConsumer<GroupContext>;

/// What librdkafka tells the group. It waits with a rebalance until the group has done what it asks for.
#[derive(Debug)]
pub(super) enum Event {
    /// Partitions are to be taken over.
    Assigned(TopicPartitionList),
    /// Partitions are to be given back.
    Revoked(TopicPartitionList),
    /// Partitions belong to others already: nothing of them may be committed.
    Lost(TopicPartitionList),
    /// How things stand.
    Statistics(Box<Statistics>),
}

/// Hands on what librdkafka tells. Once nobody listens, it gives partitions back by itself: then nothing is read of them.
pub(super) struct GroupContext(mpsc::UnboundedSender<Event>);

/// Only writes the log.
pub(super) struct QuietContext;

/// Makes the consumer. Opens no connection yet.
pub(super) fn consumer(
    config: &KafkaConfig,
) -> Result<(GroupConsumer, mpsc::UnboundedReceiver<Event>), ConsumeError> {
    let (sender, events) = mpsc::unbounded_channel();
    let mut client = client(config, &CONSUMER_DEFAULTS);
    client.set("group.id", &config.group);
    // The broker's own protocol for groups has assignors of its own.
    if config.properties.get("group.protocol").is_none_or(|protocol| protocol == "classic") {
        client.set("partition.assignment.strategy", "cooperative-sticky");
    }
    set(&mut client, &CONSUMER_FIXED);
    let made = client.create_with_context(GroupContext(sender));
    let consumer = made.map_err(|source| ConsumeError::Client { what: "consumer", source })?;
    Ok((consumer, events))
}

/// Makes a producer. Opens no connection yet.
pub(super) fn producer(config: &KafkaConfig) -> Result<FutureProducer<QuietContext>, ConsumeError> {
    let mut client = client(config, &PRODUCER_DEFAULTS);
    set(&mut client, &PRODUCER_FIXED);
    let made = client.create_with_context(QuietContext);
    made.map_err(|source| ConsumeError::Client { what: "producer", source })
}

fn client(config: &KafkaConfig, defaults: &[(&str, &str)]) -> ClientConfig {
    let mut client = ClientConfig::new();
    set(&mut client, defaults);
    config.properties.set_in(&mut client);
    client.set("bootstrap.servers", &config.brokers).set_log_level(RDKafkaLogLevel::Info);
    client
}

fn set(client: &mut ClientConfig, properties: &[(&str, &str)]) {
    for (name, value) in properties {
        client.set(*name, *value);
    }
}

/// What the consumer's own queue has for us: messages come through their partitions' queues, so it is an error.
pub(super) async fn next_error(consumer: &GroupConsumer) -> ConsumeError {
    match consumer.recv().await {
        Ok(message) => {
            ConsumeError::Astray { topic: message.topic().to_owned(), partition: message.partition() }
        }
        Err(error @ KafkaError::MessageConsumptionFatal(_)) => ConsumeError::Fatal(error),
        Err(error) => ConsumeError::Passing(error),
    }
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        // Nobody wants them any more when nobody listens.
        let _ = self.0.send(Event::Statistics(Box::new(statistics)));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(error = error.to_string(), reason, "kafka");
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        what: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let event = match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Event::Assigned(partitions.clone()),
            // The other thing that there is: to revoke them.
            _ if consumer.assignment_lost() => Event::Lost(partitions.clone()),
            _ => Event::Revoked(partitions.clone()),
        };
        if self.0.send(event).is_err()
            && let Err(error) = consumer.incremental_unassign(partitions)
        {
            tracing::debug!(error = error.to_string(), "partitions could not be given back at the end");
        }
    }
}

impl ClientContext for QuietContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(error = error.to_string(), reason, "kafka producer");
    }
}

/// Nothing is lost by what librdkafka calls an error: it tries again, and so do we.
fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Debug => tracing::debug!(facility, message, "librdkafka"),
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => tracing::info!(facility, message, "librdkafka"),
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(facility, message, "librdkafka"),
    }
}
