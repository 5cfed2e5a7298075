//! Dead letters as messages: for those who want to mend and resend them from Kafka.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::Message;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::time::sleep;

use super::client::{QuietContext, producer};
use super::{ConsumeError, KafkaConfig, KafkaMetrics};
use crate::pipeline::DeadLetter;

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What tells where a letter comes from, and why.
const TOPIC: &str = "weir-dead-letter-topic";
const PARTITION: &str = "weir-dead-letter-partition";
const OFFSET: &str = "weir-dead-letter-offset";
const REASON: &str = "weir-dead-letter-reason";
const DETAIL: &str = "weir-dead-letter-detail";
/// Stands in for the value where the broker does not take it.
const LEFT_OUT_BYTES: &str = "weir-dead-letter-left-out-bytes";

/// The topic that dead letters are produced to.
#[derive(Clone)]
pub(super) struct DeadLetterTopic {
    name: Arc<str>,
    producer: FutureProducer<QuietContext>,
    metrics: KafkaMetrics,
}

/// Why a message is a dead letter.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Its offset.
    pub(super) position: u64,
    reason: &'static str,
    detail: String,
}

impl Refusal {
    pub(super) fn of(letter: &DeadLetter) -> Self {
        Self { position: letter.position, reason: letter.reason, detail: letter.detail.clone() }
    }
}

impl DeadLetterTopic {
    /// The configured topic, if there is one.
    pub(super) fn of(config: &KafkaConfig, metrics: KafkaMetrics) -> Result<Option<Self>, ConsumeError> {
        let Some(name) = &config.dead_letter_topic else { return Ok(None) };
        Ok(Some(Self { name: name.as_str().into(), producer: producer(config)?, metrics }))
    }

    /// Returns when all replicas of the topic have the message, with its key, its headers and its bytes. One that the
    /// broker finds too large is produced without its bytes, and says so.
    pub(super) async fn produce(&self, message: &OwnedMessage, refusal: &Refusal) {
        let mut wait = FIRST_WAIT;
        let mut is_whole = true;
        loop {
            match self.send(message, refusal, is_whole).await {
                Ok(()) => break,
                Err(error) if is_whole && is_too_large(&error) => is_whole = false,
                Err(error) => {
                    tracing::warn!(
                        topic = message.topic(),
                        partition = message.partition(),
                        offset = message.offset(),
                        error = error.to_string(),
                        "a dead letter cannot be produced yet"
                    );
                    sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
        self.metrics.dead_letter_produced();
    }

    async fn send(
        &self,
        message: &OwnedMessage,
        refusal: &Refusal,
        is_whole: bool,
    ) -> Result<(), KafkaError> {
        let value = message.payload().unwrap_or_default();
        let headers = message.headers().cloned().unwrap_or_default();
        let mut headers = insert(headers, TOPIC, message.topic());
        headers = insert(headers, PARTITION, &message.partition().to_string());
        headers = insert(headers, OFFSET, &message.offset().to_string());
        headers = insert(headers, REASON, refusal.reason);
        headers = insert(headers, DETAIL, &refusal.detail);
        if !is_whole {
            headers = insert(headers, LEFT_OUT_BYTES, &value.len().to_string());
        }
        let mut record = FutureRecord::<[u8], [u8]>::to(&self.name).headers(headers);
        record.key = message.key();
        record.payload = is_whole.then_some(value);
        // Waits while the producer's queue is full; for how long the broker may take is a property of its own.
        let sent = self.producer.send(record, rdkafka::util::Timeout::Never).await;
        sent.map(|_| ()).map_err(|(error, _)| error)
    }
}

fn insert(headers: OwnedHeaders, key: &str, value: &str) -> OwnedHeaders {
    headers.insert(Header { key, value: Some(value) })
}

fn is_too_large(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
}
