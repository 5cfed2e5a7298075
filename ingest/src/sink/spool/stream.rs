//! The stream of the spool, and the consumer that it is drained through.

use std::collections::HashMap;

use async_nats::jetstream::consumer::{self, AckPolicy, PullConsumer, pull};
use async_nats::jetstream::context::{ConsumerInfoErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType, Stream};
use async_nats::jetstream::{Context, ErrorCode};
use weir_event::bus;

use super::SpoolError;

/// What of a consumer says in which starts of NATS it was made.
const MADE_IN: &str = "weir_made_in";
const SEPARATOR: &str = ",";
/// So many are remembered.
const STARTS_MAX: usize = 16;

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

/// What every process drains the spool through: the one that is there, or a new one. `server_id` tells this start of NATS
/// from others.
///
/// One that is as it is to be is left alone. NATS takes a change whatever came since somebody looked: of two processes that
/// start at the same moment one would undo what the other one has noted in the metadata, and everything that NATS kept would be
/// handed out, and counted, once more. Where settings have to be changed, which a new program does once, it is looked at
/// afterwards whether another one was made meanwhile. What remains is that moment in a cluster: whoever made it may have been
/// connected to another server, whose start is not noted then.
pub(super) async fn consumer(
    context: &Context,
    stream: &Stream,
    server_id: &str,
) -> Result<PullConsumer, SpoolError> {
    let Some(found) = look_at_consumer(stream).await? else {
        return consumer_after(stream, &[], server_id).await;
    };
    let mut starts = made_in(&found.config.metadata);
    let config = consumer_config(bearing(&starts));
    if has_settings(&found.config, &config) {
        return Ok(PullConsumer::new(config, found, context.clone()));
    }
    // One of an older program is changed to what it is to be. It is not made here: that would hand out all messages.
    let updated = stream.update_consumer(config).await.map_err(SpoolError::UpdateConsumer)?;
    if updated.cached_info().created == found.created {
        return Ok(updated);
    }
    starts.push(server_id.to_owned());
    stream.update_consumer(consumer_config(bearing(&starts))).await.map_err(SpoolError::UpdateConsumer)
}

/// A new one, in the place of one that was made in the starts `made_in` of NATS. Fails where there is one already.
pub(super) async fn consumer_after(
    stream: &Stream,
    made_in: &[String],
    server_id: &str,
) -> Result<PullConsumer, SpoolError> {
    let starts: Vec<_> = made_in.iter().cloned().chain([server_id.to_owned()]).collect();
    let config = consumer_config(bearing(&starts));
    stream.create_consumer_strict(config).await.map_err(SpoolError::CreateConsumer)
}

/// How the consumer stands; `None` where there is none, which NATS has to have said.
pub(super) async fn look_at_consumer(stream: &Stream) -> Result<Option<consumer::Info>, SpoolError> {
    match stream.consumer_info(bus::SPOOL_CONSUMER).await {
        Ok(info) => Ok(Some(info)),
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
        Err(error) => Err(SpoolError::LookAtConsumer(error)),
    }
}

/// The starts of NATS in which a consumer with this metadata was made, or made anew. Servers of a cluster have one each.
pub(super) fn made_in(metadata: &HashMap<String, String>) -> Vec<String> {
    let starts = metadata.get(MADE_IN).map(String::as_str).unwrap_or_default();
    starts.split(SEPARATOR).filter(|start| !start.is_empty()).map(str::to_owned).collect()
}

/// The metadata of a consumer that was made in these starts.
fn bearing(starts: &[String]) -> HashMap<String, String> {
    let starts = &starts[starts.len().saturating_sub(STARTS_MAX)..];
    HashMap::from([(MADE_IN.to_owned(), starts.join(SEPARATOR))])
}

fn consumer_config(metadata: HashMap<String, String>) -> pull::Config {
    pull::Config {
        durable_name: Some(bus::SPOOL_CONSUMER.to_owned()),
        description: Some("commits what waited for ClickHouse".to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: bus::SPOOL_ACK_WAIT,
        // Messages that are to be tried again later count: a limit would be reached by those that never can be
        // committed, and they would stop all others. How much is under way is bounded by what is pulled.
        max_ack_pending: -1,
        metadata,
        ..pull::Config::default()
    }
}

/// Whether a consumer has the settings of this program.
fn has_settings(found: &consumer::Config, settings: &pull::Config) -> bool {
    found.description == settings.description
        && found.ack_wait == settings.ack_wait
        && found.max_ack_pending == settings.max_ack_pending
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_bears_the_last_starts_that_it_was_made_in() {
        assert!(made_in(&HashMap::new()).is_empty());
        assert!(made_in(&bearing(&[])).is_empty());
        let starts: Vec<_> = (0..2 * STARTS_MAX).map(|number| format!("N{number}")).collect();
        assert_eq!(made_in(&bearing(&starts[..2])), starts[..2]);
        assert_eq!(made_in(&bearing(&starts)), starts[STARTS_MAX..]);
    }
}
