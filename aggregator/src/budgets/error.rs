//! Why budgets could not be watched.

use async_nats::jetstream::consumer::StreamError;
use async_nats::jetstream::consumer::pull::MessagesError;
use async_nats::jetstream::context::{CreateStreamError, GetStreamError, PublishError};
use async_nats::jetstream::stream::{ConsumerError, LastRawMessageError};

/// Budgets cannot be watched as things stand. All of it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum BudgetsError {
    /// There is no stream of usage yet, or NATS is away.
    #[error("usage stream is not available")]
    Usage(#[source] GetStreamError),
    /// The stream of usage cannot be listened to.
    #[error("consumer of the usage stream is not available")]
    Consumer(#[source] ConsumerError),
    /// Messages cannot be asked for.
    #[error("messages cannot be pulled")]
    Pull(#[source] StreamError),
    /// Messages stopped coming.
    #[error("pulling messages was interrupted")]
    Interrupted(#[source] MessagesError),
    /// Messages ended, or the connection did.
    #[error("messages ended")]
    Ended,
    /// Nobody can be heard who says that budgets were changed.
    #[error("changes of budgets cannot be heard of")]
    Deaf(#[source] async_nats::SubscribeError),
    /// The stream of alerts can be neither found nor created.
    #[error("alert stream is not available")]
    Alerts(#[source] CreateStreamError),
    /// What was told last of a threshold is not to be had.
    #[error("last alert cannot be read")]
    LastAlert(#[source] LastRawMessageError),
    /// An alert cannot be written, or nobody knows whether it is.
    #[error("alert cannot be written")]
    Publish(#[source] PublishError),
    /// ClickHouse does not answer what is asked.
    #[error("what was used cannot be read")]
    Store(#[source] clickhouse::error::Error),
    /// ClickHouse does not answer in time.
    #[error("what was used was not read in time")]
    TimedOut,
    /// The watch of a gateway broke.
    #[error("watch of a gateway broke")]
    Broken(#[source] tokio::task::JoinError),
}

impl BudgetsError {
    /// Whether it may be for what one statement asks, so that others may still be answered.
    #[must_use]
    pub const fn is_of_one_statement(&self) -> bool {
        matches!(self, Self::TimedOut | Self::Store(clickhouse::error::Error::BadResponse(_)))
    }
}
