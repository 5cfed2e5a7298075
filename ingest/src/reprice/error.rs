//! Why a reprice did not come to its end.

use weir_event::TimestampError;

use crate::sink::BusError;

/// A reprice that did not do what was asked for. Whatever it did is whole: the same command finishes it.
#[derive(Debug, thiserror::Error)]
pub enum RepriceError {
    /// ClickHouse did not do what was asked of it.
    #[error("{what}")]
    ClickHouse {
        /// What was to be done.
        what: &'static str,
        /// What it said.
        #[source]
        source: clickhouse::error::Error,
    },
    /// The range holds no time.
    #[error("--to is not after --from")]
    EmptyRange,
    /// Nobody said yes.
    #[error("nothing was changed: it was not confirmed (--yes, or an answer at a terminal)")]
    NotConfirmed,
    /// Another run is at work, or was about to be.
    #[error("nothing was changed: reprice {run} is at work; wait for its end, and try again")]
    Busy {
        /// Whose.
        run: String,
    },
    /// Signs of life did not get through for so long that another run may have taken over.
    #[error("this run could not show in time that it is alive, so another may have taken over: run it again")]
    LeaseLost,
    /// A mutation cannot be carried out.
    #[error("changes cannot be applied to logs, they were taken back: {reason}")]
    Mutation {
        /// What ClickHouse says.
        reason: String,
    },
    /// Rows that were to be changed are not, though ClickHouse said that it was done.
    #[error("{rows} rows of batch {batch} were not changed: run it again")]
    NotApplied {
        /// The batch.
        batch: u32,
        /// How many.
        rows: u64,
    },
    /// The tables are replicated.
    #[error("logs is replicated: costs can be computed anew only on a single server so far")]
    Replicated,
    /// The bus did not take what it was told. The costs are right, the statistics are not.
    #[error(
        "costs are written, but statistics are not up to date, since nats did not take the word: run it again when nats is back"
    )]
    NotMarked(#[source] MarkError),
    /// What is shown to the terminal, or read from it.
    #[error("terminal")]
    Terminal(#[from] std::io::Error),
    /// A row's time, or the clock, is outside of the years that Weir works in.
    #[error("time")]
    Time(#[from] TimestampError),
}

/// Why minutes could not be marked dirty.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// There is nobody to tell.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Not taken.
    #[error("message is not taken")]
    Publish(#[from] async_nats::jetstream::context::PublishError),
}

impl RepriceError {
    /// For `map_err` of a statement.
    pub(super) fn clickhouse(what: &'static str) -> impl FnOnce(clickhouse::error::Error) -> Self {
        move |source| Self::ClickHouse { what, source }
    }
}
