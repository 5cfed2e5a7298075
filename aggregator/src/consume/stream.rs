//! The usage stream and our consumers of it, as they are described to the server.
//!
//! Each shard has a consumer of its own, named by the shard and the epoch of its lease. Whoever takes the shard makes a new one that
//! begins where the last was acknowledged to, and deletes that: so a process that was frozen, and thinks that it goes on, can
//! neither pull nor acknowledge anything.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::StreamError;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, StorageType, Stream};
use futures_util::TryStreamExt;
use weir_event::bus::{self, SHARDS};
use weir_service::telemetry::chain;

use super::error::ConsumeError;

/// The name of the one durable consumer that there was for all shards, and what ours begin with.
const CONSUMER: &str = "aggregator";
/// Messages of a shard that may wait for a flush, at most. Bounds what is delivered again after a crash.
const ACK_PENDING_MAX: i64 = 10_000;
/// Messages in one pull: bounds what waits in memory before it is folded.
pub(super) const PULL_MESSAGES: usize = 100;
const PULL_EXPIRES: Duration = Duration::from_secs(30);
const PULL_HEARTBEAT: Duration = Duration::from_secs(5);
/// After which the server lets go of a consumer that nobody asks: there is nothing left to consume by then.
const IDLE_MAX: Duration = bus::USAGE_AGE_MAX.saturating_mul(2);

/// Which stream it is, and up to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// When the stream was created, in nanoseconds: tells it from another one of the same name.
    pub(super) created_ns: i128,
    /// Its last sequence, or the highest that was taken.
    pub(super) latest: u64,
}

/// The consumers of a shard that there were before its holder's.
#[derive(Debug, Default)]
pub(super) struct Predecessors {
    names: Vec<String>,
    /// Up to where one of them was acknowledged, the furthest.
    pub(super) acknowledged: u64,
    /// Whether there is the one that was for all shards.
    from_before_shards: bool,
}

impl Position {
    pub(super) fn of(info: &Info) -> Self {
        Self { created_ns: info.created.unix_timestamp_nanos(), latest: info.state.last_sequence }
    }

    /// Whether `found`, what the stream says now, goes on from here.
    pub(super) fn leads_to(&self, found: &Self) -> bool {
        self.created_ns == found.created_ns && self.latest <= found.latest
    }
}

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

/// The consumers that `shard` had before the lease of `epoch`. Those of later epochs tell how far it has come as well: they are
/// later holders', or there were other leases before ours began anew.
pub(super) async fn predecessors(
    stream: &Stream,
    shard: u16,
    epoch: u64,
) -> Result<Predecessors, ConsumeError> {
    let names = consumer_names(stream).await?;
    let from_before_shards = names.iter().any(|name| name == CONSUMER);
    let (mut acknowledged, mut earlier) = (0, Vec::new());
    for name in names {
        let at = match shard_and_epoch(&name) {
            Some((of, at)) if of == shard && at != epoch => at,
            None if name == CONSUMER => epoch,
            Some(_) | None => continue,
        };
        let floor = match stream.consumer_info(&name).await {
            Ok(info) => info.ack_floor.stream_sequence,
            // Somebody else has deleted it: the shard is theirs.
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => 0,
            Err(error) => return Err(ConsumeError::ConsumerInfo(error)),
        };
        acknowledged = acknowledged.max(floor);
        if at < epoch {
            earlier.push(name);
        }
    }
    Ok(Predecessors { names: earlier, acknowledged, from_before_shards })
}

/// Deletes them. What cannot be deleted now is by the next holder.
pub(super) async fn delete(stream: &Stream, predecessors: Predecessors) -> Result<(), ConsumeError> {
    let Predecessors { mut names, from_before_shards, .. } = predecessors;
    if from_before_shards {
        // Every shard takes over from that one: whoever is the last to do so deletes it.
        let shards: BTreeSet<u16> =
            consumer_names(stream).await?.iter().filter_map(|name| Some(shard_and_epoch(name)?.0)).collect();
        names.extend((shards.len() == usize::from(SHARDS)).then(|| CONSUMER.to_owned()));
    }
    for name in names {
        if let Err(error) = stream.delete_consumer(&name).await {
            tracing::debug!(
                consumer = name,
                error = chain(&error),
                "consumer of an earlier holder is not deleted"
            );
        }
    }
    Ok(())
}

async fn consumer_names(stream: &Stream) -> Result<Vec<String>, ConsumeError> {
    stream.consumer_names().try_collect().await.map_err(ConsumeError::Consumers)
}

/// The consumer of `shard` for the lease of `epoch`, as it is or, if it is not there, beginning after `floor`. What is not
/// acknowledged for `ack_wait` comes again.
pub(super) async fn shard_consumer(
    stream: &Stream,
    (shard, epoch): (u16, u64),
    floor: u64,
    ack_wait: Duration,
) -> Result<PullConsumer, ConsumeError> {
    let name = consumer_name(shard, epoch);
    let deliver_policy = match stream.consumer_info(&name).await {
        Ok(info) => info.config.deliver_policy,
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => {
            DeliverPolicy::ByStartSequence { start_sequence: floor + 1 }
        }
        Err(error) => return Err(ConsumeError::ConsumerInfo(error)),
    };
    let config = pull::Config {
        durable_name: Some(name),
        description: Some("folds a shard of usage into windows and rollups".to_owned()),
        deliver_policy,
        ack_policy: AckPolicy::Explicit,
        ack_wait,
        max_ack_pending: ACK_PENDING_MAX,
        filter_subjects: vec![bus::usage_subject(shard), bus::DIRTY_SUBJECT.to_owned()],
        inactive_threshold: IDLE_MAX,
        ..pull::Config::default()
    };
    stream.create_consumer(config).await.map_err(ConsumeError::Consumer)
}

/// The messages as they come, so many at once.
pub(crate) async fn messages(consumer: &PullConsumer, at_once: usize) -> Result<pull::Stream, StreamError> {
    let stream = consumer.stream().max_messages_per_batch(at_once);
    stream.expires(PULL_EXPIRES).heartbeat(PULL_HEARTBEAT).messages().await
}

fn consumer_name(shard: u16, epoch: u64) -> String {
    format!("{CONSUMER}-{shard}-{epoch}")
}

fn shard_and_epoch(name: &str) -> Option<(u16, u64)> {
    let (shard, epoch) = name.strip_prefix(CONSUMER)?.strip_prefix('-')?.split_once('-')?;
    Some((shard.parse().ok()?, epoch.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_consumer_says_whose_it_is() {
        assert_eq!(shard_and_epoch(&consumer_name(7, 123)), Some((7, 123)));
        for other in ["aggregator", "aggregator-7", "aggregator-budgets-7", "budgets-7-1"] {
            assert_eq!(shard_and_epoch(other), None, "{other}");
        }
    }

    #[test]
    fn another_stream_of_the_same_name_does_not_go_on() {
        let at = |created_ns, latest| Position { created_ns, latest };
        assert!(at(1, 5).leads_to(&at(1, 5)) && at(1, 5).leads_to(&at(1, 9)));
        assert!(!at(1, 5).leads_to(&at(2, 9)) && !at(1, 5).leads_to(&at(1, 4)));
    }
}
