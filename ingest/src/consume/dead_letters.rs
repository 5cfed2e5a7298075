//! Dead letters as messages: for those who want to mend and resend them from Kafka.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::Message;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::time::sleep;

use super::client::{QuietContext, producer};
use super::partition::TopicPartition;
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
/// Stand in for the key, and for the message's own headers, where it does not take these either.
const LEFT_OUT_KEY_BYTES: &str = "weir-dead-letter-left-out-key-bytes";
const LEFT_OUT_HEADERS: &str = "weir-dead-letter-left-out-headers";

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

/// What of a message is produced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// All of it.
    Whole,
    /// Its key and its headers.
    WithoutValue,
    /// Nothing: only what is said of it, which has a bound.
    Nothing,
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

    /// Returns when all replicas of the topic have the message of `partition`, with its key, its headers and its bytes. One
    /// that the broker finds too large is produced without its bytes, and if need be without its key and its headers, and says
    /// so.
    pub(super) async fn produce(
        &self,
        partition: &TopicPartition,
        message: &OwnedMessage,
        refusal: &Refusal,
    ) {
        let mut extent = Extent::Whole;
        let (mut wait, mut waiting) = (FIRST_WAIT, None);
        loop {
            let Err(error) = self.send(message, refusal, extent).await else { break };
            if let Some(less) = extent.less().filter(|_| is_too_large(&error)) {
                extent = less;
                continue;
            }
            tracing::warn!(
                partition = %partition,
                offset = message.offset(),
                error = error.to_string(),
                "a dead letter cannot be produced yet"
            );
            waiting = waiting.or_else(|| self.metrics.waits(partition));
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        self.metrics.dead_letter_produced();
    }

    async fn send(
        &self,
        message: &OwnedMessage,
        refusal: &Refusal,
        extent: Extent,
    ) -> Result<(), KafkaError> {
        let headers = headers_of(message, refusal, extent);
        let mut record = FutureRecord::<[u8], [u8]>::to(&self.name).headers(headers);
        (record.key, record.payload) = match extent {
            Extent::Whole => (message.key(), Some(message.payload().unwrap_or_default())),
            Extent::WithoutValue => (message.key(), None),
            Extent::Nothing => (None, None),
        };
        // Waits while the producer's queue is full; for how long the broker may take is a property of its own.
        let sent = self.producer.send(record, rdkafka::util::Timeout::Never).await;
        sent.map(|_| ()).map_err(|(error, _)| error)
    }
}

impl Extent {
    /// What is produced of a message of which the broker finds this too large.
    const fn less(self) -> Option<Self> {
        match self {
            Self::Whole => Some(Self::WithoutValue),
            Self::WithoutValue => Some(Self::Nothing),
            Self::Nothing => None,
        }
    }
}

/// The headers of a letter: the message's own as far as they are produced, and what is said of it.
fn headers_of(message: &OwnedMessage, refusal: &Refusal, extent: Extent) -> OwnedHeaders {
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len).to_string();
    let own = message.headers().filter(|_| extent != Extent::Nothing);
    let mut headers = own.cloned().unwrap_or_default();
    headers = insert(headers, TOPIC, message.topic());
    headers = insert(headers, PARTITION, &message.partition().to_string());
    headers = insert(headers, OFFSET, &message.offset().to_string());
    headers = insert(headers, REASON, refusal.reason);
    headers = insert(headers, DETAIL, &refusal.detail);
    if extent != Extent::Whole {
        headers = insert(headers, LEFT_OUT_BYTES, &length(message.payload()));
    }
    if extent == Extent::Nothing {
        headers = insert(headers, LEFT_OUT_KEY_BYTES, &length(message.key()));
        let count = message.headers().map_or(0, Headers::count);
        headers = insert(headers, LEFT_OUT_HEADERS, &count.to_string());
    }
    headers
}

fn insert(headers: OwnedHeaders, key: &str, value: &str) -> OwnedHeaders {
    headers.insert(Header { key, value: Some(value) })
}

fn is_too_large(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;

    use super::*;

    #[test]
    fn of_a_message_that_is_too_large_less_is_produced_until_nothing_of_it_is() {
        let own = insert(OwnedHeaders::new(), "trace", "t-1");
        let (value, key) = (b"value".to_vec(), b"key".to_vec());
        let (topic, time) = ("usage".to_owned(), Timestamp::NotAvailable);
        let message = OwnedMessage::new(Some(value), Some(key), topic, time, 0, 7, Some(own));
        let refusal = Refusal { position: 7, reason: "malformed_json", detail: "it is no JSON".to_owned() };
        let mut told = Vec::new();
        let mut extent = Some(Extent::Whole);
        while let Some(produced) = extent {
            let headers = headers_of(&message, &refusal, produced);
            let of = |name: &str| headers.iter().find(|header| header.key == name)?.value;
            let text = |name: &str| of(name).map(|value| String::from_utf8(value.to_vec()).unwrap());
            assert_eq!((text(TOPIC).as_deref(), text(OFFSET).as_deref()), (Some("usage"), Some("7")));
            assert_eq!(text(REASON).as_deref(), Some("malformed_json"));
            told.push(["trace", LEFT_OUT_BYTES, LEFT_OUT_KEY_BYTES, LEFT_OUT_HEADERS].map(text));
            extent = produced.less();
        }
        let some = |text: &str| Some(text.to_owned());
        let expected = [
            [some("t-1"), None, None, None],
            [some("t-1"), some("5"), None, None],
            [None, some("5"), some("3"), some("1")],
        ];
        assert_eq!(told, expected);
    }
}
