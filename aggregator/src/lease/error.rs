//! Why a lease could be neither looked at nor written.

use async_nats::jetstream::context::CreateKeyValueError;
use async_nats::jetstream::kv::{EntryError, UpdateError};

/// A lease cannot be looked at or written as things stand. It is worth another attempt.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The bucket can be neither found nor created.
    #[error("bucket of leases is not available")]
    Bucket(#[source] CreateKeyValueError),
    /// The record cannot be read.
    #[error("lease cannot be read")]
    Read(#[source] EntryError),
    /// The record cannot be written. It may be, all the same.
    #[error("lease cannot be written")]
    Write(#[source] UpdateError),
    /// There was no answer in time. What was asked may be done, all the same.
    #[error("lease was not answered for in time")]
    TimedOut,
    /// What was read is older than what we wrote.
    #[error("lease was read from before it was ours")]
    Stale,
}
