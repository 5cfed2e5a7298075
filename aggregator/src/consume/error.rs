//! Why usage could not be consumed.

use std::sync::Arc;

use async_nats::jetstream::consumer::StreamError;
use async_nats::jetstream::consumer::pull::MessagesError;
use async_nats::jetstream::context::{ConsumerInfoError, CreateStreamError, StreamsError};
use async_nats::jetstream::stream::{ConsumerError, InfoError};

/// Usage cannot be consumed as things stand.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// The stream can be neither found nor created.
    #[error("usage stream is not available")]
    Stream(#[source] CreateStreamError),
    /// The stream does not say where it stands.
    #[error("usage stream cannot be looked at")]
    StreamInfo(#[source] InfoError),
    /// The durable consumer cannot be created or updated.
    #[error("consumer of the usage stream is not available")]
    Consumer(#[source] ConsumerError),
    /// The consumers cannot be listed.
    #[error("consumers of the usage stream cannot be listed")]
    Consumers(#[source] StreamsError),
    /// The consumer does not say where it stands.
    #[error("consumer of the usage stream cannot be looked at")]
    ConsumerInfo(#[source] ConsumerInfoError),
    /// Messages cannot be asked for.
    #[error("messages cannot be pulled")]
    Pull(#[source] StreamError),
    /// Messages stopped coming.
    #[error("pulling messages was interrupted")]
    Interrupted(#[source] MessagesError),
    /// Messages ended, which they never should.
    #[error("messages ended")]
    Ended,
    /// A message has no place in the stream.
    #[error("message is not from the stream")]
    Foreign(#[source] async_nats::Error),
    /// The server was not reached to terminate a message.
    #[error("message cannot be terminated")]
    Terminate(#[source] async_nats::Error),
    /// The past cannot be read from ClickHouse.
    #[error("past usage cannot be read")]
    History(#[source] clickhouse::error::Error),
    /// The past could not be read for several shards, this one among them.
    #[error("past usage is not known")]
    WarmUp(#[source] Arc<Self>),
    /// The lease of the shard is not held any more.
    #[error("shard is not held any more")]
    NotHeld,
    /// ClickHouse took too long to tell the past.
    #[error("past usage was not read in time")]
    HistoryTimedOut,
    /// Another part of the process is gone: it is about to end.
    #[error("process is about to end")]
    Closed,
    /// A message is not what its subject says. It never will be.
    #[error("message is not what its subject says")]
    Undecodable(#[source] serde_json::Error),
}

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Begin a new session after a while.
    Retry,
    /// Terminate the message, so that it does not come again, and go on.
    Terminate,
}

impl ConsumeError {
    /// What to do about it. Nothing here is worth ending the process for.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Undecodable(_) => Verdict::Terminate,
            Self::Stream(_)
            | Self::StreamInfo(_)
            | Self::Consumer(_)
            | Self::Consumers(_)
            | Self::ConsumerInfo(_)
            | Self::Pull(_)
            | Self::Interrupted(_)
            | Self::Ended
            | Self::Foreign(_)
            | Self::Terminate(_)
            | Self::History(_)
            | Self::WarmUp(_)
            | Self::NotHeld
            | Self::HistoryTimedOut
            | Self::Closed => Verdict::Retry,
        }
    }
}
