//! What can go wrong with a deletion, sorted by what is known of it then.

use async_nats::jetstream::context::PublishError;
use weir_store::RowBinaryError;

use crate::store::StoreError;

/// Nothing is known to be deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeletionError {
    /// Nothing was deleted: other deletions, or the choice, took all the time that there was.
    #[error("time was up before the deletion began")]
    Busy,
    /// Nothing was deleted: rows cannot be chosen.
    #[error("logs cannot be read")]
    Store(#[from] StoreError),
    /// Nothing was deleted, and nothing ever will be.
    #[error(
        "the clickhouse user may not delete: it needs SELECT and INSERT on ledger and removals, and ALTER DELETE on logs, bodies, payloads and annotations"
    )]
    NoRights(#[source] Option<StoreError>),
    /// The ledger may have it, and then it will be deleted.
    #[error("it is not known whether the ledger has the deletion")]
    Unknown(#[source] Option<StoreError>),
}

/// The aggregator does not know of a deletion yet, or the ledger that it does.
#[derive(Debug, thiserror::Error)]
pub(super) enum TellError {
    /// There is no connection.
    #[error("nats is not there")]
    NotConnected,
    /// The stream did not take the word.
    #[error("nats does not take the word")]
    Publish(#[source] PublishError),
    /// It was told, and is told once more.
    #[error("the ledger does not take that it was told")]
    Store(#[from] StoreError),
}

/// A row of the ledger cannot be encoded, which its types rule out.
pub(super) fn unencodable(error: RowBinaryError) -> StoreError {
    StoreError::Misunderstanding(clickhouse::error::Error::Other(error.into()))
}

/// A row has a name or a time that no row of ours has. To pass it over would say that it is deleted.
pub(super) fn unreadable() -> StoreError {
    StoreError::Misunderstanding(clickhouse::error::Error::Custom("a row that is no event's".to_owned()))
}
