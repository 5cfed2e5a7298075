//! Why rows could not be stored.

use std::sync::Arc;

use weir_event::TimestampError;

/// Why a batch was not committed, or is not known to be. The sender may always come back with it: what was committed
/// is found by its ids.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SinkError {
    /// ClickHouse did not take it.
    #[error("clickhouse {operation}")]
    ClickHouse {
        /// What was asked of it.
        operation: &'static str,
        /// What it said. Shared, since one insert serves many pushes.
        #[source]
        source: Arc<clickhouse::error::Error>,
    },
    /// ClickHouse did not answer in time.
    #[error("clickhouse {operation} took longer than {limit_ms} ms")]
    TimedOut {
        /// What was asked of it.
        operation: &'static str,
        /// The limit that was in force.
        limit_ms: u128,
    },
    /// The machine's clock is outside the years that Weir works in.
    #[error("the clock")]
    Clock(#[source] TimestampError),
    /// The process is stopping.
    #[error("the writer has stopped")]
    Stopped,
}

impl SinkError {
    pub(super) fn clickhouse(operation: &'static str) -> impl Fn(clickhouse::error::Error) -> Self {
        move |source| Self::ClickHouse { operation, source: Arc::new(source) }
    }
}
