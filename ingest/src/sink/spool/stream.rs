//! The stream of the spool, and the consumer that it is drained through.

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType, Stream};
use async_nats::jetstream::{Context, ErrorCode};
use weir_event::bus;

use super::SpoolError;

/// The stream, created if need be, and of the size that it is to have. What an operator set otherwise (replicas,
/// placement) stays.
pub(super) async fn stream(context: &Context, bytes_max: i64) -> Result<Stream, SpoolError> {
    let stream = context.get_or_create_stream(config(bytes_max)).await.map_err(SpoolError::Create)?;
    let found = &stream.cached_info().config;
    if found.max_bytes != bytes_max {
        let resized = Config { max_bytes: bytes_max, ..found.clone() };
        context.update_stream(resized).await.map_err(SpoolError::Resize)?;
        tracing::info!(bytes = bytes_max, before = found.max_bytes, "the spool has another size now");
    }
    Ok(stream)
}

/// The stream, if it is there.
pub(super) async fn find(context: &Context) -> Result<Option<Stream>, SpoolError> {
    match context.get_stream(bus::SPOOL_STREAM).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(answer) if answer.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                Ok(None)
            }
            // Nobody knows.
            _ => Err(SpoolError::Find(error)),
        },
    }
}

/// What every process drains the spool through.
pub(super) async fn consumer(stream: &Stream) -> Result<PullConsumer, SpoolError> {
    let config = pull::Config {
        durable_name: Some(bus::SPOOL_CONSUMER.to_owned()),
        description: Some("commits what waited for ClickHouse".to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: bus::SPOOL_ACK_WAIT,
        // Messages that are to be tried again later count: a limit would be reached by those that never can be
        // committed, and they would stop all others. How much is under way is bounded by what is pulled.
        max_ack_pending: -1,
        ..pull::Config::default()
    };
    stream.create_consumer(config).await.map_err(SpoolError::Consumer)
}

fn config(bytes_max: i64) -> Config {
    Config {
        name: bus::SPOOL_STREAM.to_owned(),
        description: Some("what waits for ClickHouse".to_owned()),
        subjects: vec![bus::SPOOL_SUBJECTS.to_owned()],
        retention: RetentionPolicy::WorkQueue,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        max_bytes: bytes_max,
        duplicate_window: bus::SPOOL_DUPLICATE_WINDOW,
        ..Config::default()
    }
}
