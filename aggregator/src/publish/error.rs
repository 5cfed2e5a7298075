//! Why something could not be published.

/// A rollup or an answer could not be written. Nothing is lost by it: minutes stay dirty, messages unacknowledged.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// ClickHouse did not do what a statement asked.
    #[error("rollups cannot be computed")]
    Statement(#[source] clickhouse::error::Error),
    /// ClickHouse did not answer in time.
    #[error("clickhouse does not answer")]
    TimedOut,
    /// A message could not be acknowledged: it will come again.
    #[error("message cannot be acknowledged")]
    Acknowledge(#[source] async_nats::Error),
}

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The service is not there: try everything again later.
    RetryAll,
    /// The service refused this one statement: go on with the others, and try this one again later.
    RetryThis,
}

impl PublishError {
    /// What to do about it. Nothing here is worth ending the process for.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Statement(clickhouse::error::Error::BadResponse(_)) => Verdict::RetryThis,
            Self::Statement(_) | Self::TimedOut | Self::Acknowledge(_) => Verdict::RetryAll,
        }
    }

    /// Whether it may be for what one statement asks, so that this is better asked for by itself.
    #[must_use]
    pub const fn is_of_one_statement(&self) -> bool {
        matches!(self, Self::TimedOut | Self::Statement(clickhouse::error::Error::BadResponse(_)))
    }
}
