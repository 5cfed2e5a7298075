//! Why the spool did not take a batch, or does not give one out.

use async_nats::jetstream::consumer::pull::{BatchError, MessagesError};
use async_nats::jetstream::context::{
    ConsumerInfoError, CreateStreamError, GetStreamError, PublishError, UpdateStreamError,
};
use async_nats::jetstream::stream::{
    ConsumerCreateStrictError, ConsumerError, ConsumerUpdateError, InfoError,
};

use super::super::SinkError;

/// Why the spool did not take a batch, or does not give one out.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// NATS is not there, or was not a moment ago.
    #[error("nats is away")]
    Away,
    /// A row is larger than a message may be.
    #[error("a row takes {bytes} bytes when compressed, a message may have {bytes_max}")]
    RowTooLarge {
        /// Of the message that it would be.
        bytes: usize,
        /// That NATS takes.
        bytes_max: usize,
    },
    /// The stream could not be created.
    #[error("the stream cannot be created")]
    Create(#[source] CreateStreamError),
    /// The stream is not there, or cannot be looked at.
    #[error("the stream cannot be found")]
    Find(#[source] GetStreamError),
    /// The stream does not take its size.
    #[error("the size of the stream cannot be changed")]
    Resize(#[source] UpdateStreamError),
    /// The stream cannot be looked at.
    #[error("the stream cannot be looked at")]
    Info(#[source] InfoError),
    /// JetStream did not acknowledge a message: the stream or its disk is full, or it took too long.
    #[error("jetstream did not take a message")]
    Publish(#[source] PublishError),
    /// The consumer cannot be looked at.
    #[error("the consumer cannot be looked at")]
    LookAtConsumer(#[source] ConsumerInfoError),
    /// The consumer could not be created.
    #[error("the consumer cannot be created")]
    CreateConsumer(#[source] ConsumerCreateStrictError),
    /// The consumer does not take its settings.
    #[error("the settings of the consumer cannot be changed")]
    UpdateConsumer(#[source] ConsumerUpdateError),
    /// The consumer could not be deleted.
    #[error("the consumer cannot be deleted")]
    DeleteConsumer(#[source] ConsumerError),
    /// Messages could not be asked for.
    #[error("messages cannot be pulled")]
    Pull(#[source] BatchError),
    /// Messages did not come.
    #[error("pulling messages was interrupted")]
    Interrupted(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It is not known whether a batch is stored already.
    #[error("whether a batch is stored")]
    Doubt(#[source] Box<SinkError>),
    /// A message is of a form that this program does not know.
    #[error("a message cannot be read: {0}")]
    Unreadable(&'static str),
    /// A defect: encoding stopped.
    #[error("encoding stopped")]
    Stopped,
}

impl From<MessagesError> for SpoolError {
    fn from(error: MessagesError) -> Self {
        Self::Interrupted(Box::new(error))
    }
}
