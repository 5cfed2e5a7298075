//! The usage stream and our consumer of it, as they are described to the server.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType, Stream};
use weir_event::bus;

use super::error::ConsumeError;

/// The name of the durable consumer.
const CONSUMER: &str = "aggregator";
/// Messages that may wait for a flush, at most. Bounds what is delivered again after a crash.
const ACK_PENDING_MAX: i64 = 50_000;
/// Messages in one pull: bounds what waits in memory before it is folded.
const PULL_MESSAGES: usize = 100;
const PULL_EXPIRES: Duration = Duration::from_secs(30);
const PULL_HEARTBEAT: Duration = Duration::from_secs(5);

/// The stream, created if nobody has yet. One that is there is taken as it is.
pub(super) async fn usage_stream(context: &Context) -> Result<Stream, ConsumeError> {
    let config = Config {
        name: bus::USAGE_STREAM.to_owned(),
        subjects: vec![bus::USAGE_SUBJECTS.to_owned()],
        storage: StorageType::File,
        discard: DiscardPolicy::Old,
        max_age: bus::USAGE_AGE_MAX,
        max_bytes: bus::USAGE_BYTES_MAX,
        duplicate_window: bus::USAGE_DUPLICATE_WINDOW,
        ..Config::default()
    };
    context.get_or_create_stream(config).await.map_err(ConsumeError::Stream)
}

/// The consumer, created or brought up to this description. What is not acknowledged for `ack_wait` comes again.
pub(super) async fn usage_consumer(
    stream: &Stream,
    ack_wait: Duration,
) -> Result<PullConsumer, ConsumeError> {
    let config = pull::Config {
        durable_name: Some(CONSUMER.to_owned()),
        description: Some("folds usage into windows and rollups".to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait,
        max_ack_pending: ACK_PENDING_MAX,
        ..pull::Config::default()
    };
    stream.create_consumer(config).await.map_err(ConsumeError::Consumer)
}

/// The messages as they come.
pub(super) async fn messages(consumer: &PullConsumer) -> Result<pull::Stream, ConsumeError> {
    consumer
        .stream()
        .max_messages_per_batch(PULL_MESSAGES)
        .expires(PULL_EXPIRES)
        .heartbeat(PULL_HEARTBEAT)
        .messages()
        .await
        .map_err(ConsumeError::Pull)
}
