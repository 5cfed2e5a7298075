//! Why a record cannot be decoded: what `dead_letters.reason` says.

use weir_event::TimestampError;

/// Why a record goes to the dead letters.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON.
    #[error("not JSON")]
    Malformed(#[source] serde_json::Error),
    /// JSON, but a field is of another type than the format has.
    #[error("a field has an unexpected type")]
    UnexpectedType(#[source] serde_json::Error),
    /// A JSON object without any field of a trace event.
    #[error("an object without any field of a Workers trace event")]
    NotATraceEvent,
    /// Nothing says when it happened.
    #[error("neither EventTimestampMs nor a log line has a time")]
    NoTimestamp,
    /// It says when it happened, but that cannot be.
    #[error("its timestamp")]
    Timestamp(#[from] TimestampError),
    /// Longer than a line may be; the letter holds its beginning.
    #[error("longer than a line may be; this is its beginning")]
    TooLong,
}

impl DecodeError {
    /// The reason code.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed_json",
            Self::UnexpectedType(_) => "unexpected_type",
            Self::NotATraceEvent => "not_a_trace_event",
            Self::NoTimestamp => "no_timestamp",
            Self::Timestamp(_) => "invalid_timestamp",
            Self::TooLong => "line_too_long",
        }
    }
}

impl From<serde_json::Error> for DecodeError {
    fn from(error: serde_json::Error) -> Self {
        match error.classify() {
            serde_json::error::Category::Data => Self::UnexpectedType(error),
            serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof
            | serde_json::error::Category::Io => Self::Malformed(error),
        }
    }
}
