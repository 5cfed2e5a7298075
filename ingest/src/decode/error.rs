//! Why a record cannot be decoded: what `dead_letters.reason` and `detail` say.

use serde_json::error::Category;
use weir_event::{ScopeError, TimestampError};

/// Why a record goes to the dead letters. No message repeats a value of the record: it may be a secret, or long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON.
    #[error("not JSON from column {column} on")]
    Malformed {
        /// Where it stops being JSON, from 1.
        column: usize,
    },
    /// JSON, but a field that identifies or times the event is of another type than the format has.
    #[error("{field} has an unexpected type, at column {column}")]
    UnexpectedType {
        /// Its path, or `the record`.
        field: String,
        /// Where it ends, from 1.
        column: usize,
    },
    /// Nothing says when it happened.
    #[error("there is no time in {looked_in}")]
    NoTimestamp {
        /// What would have said it.
        looked_in: &'static str,
    },
    /// It says when it happened, but that cannot be.
    #[error("{field}: {source}")]
    Timestamp {
        /// What says it.
        field: &'static str,
        /// Why it cannot be.
        source: TimestampError,
    },
    /// It says that it has yet to happen.
    #[error("it is {ahead_ms} ms ahead of this server's clock")]
    Future {
        /// How far ahead it is.
        ahead_ms: u64,
    },
    /// Neither the record nor the path that it was pushed to names a gateway.
    #[error("neither the record nor the path of the push names a gateway")]
    NoGateway,
    /// It names a gateway that cannot be one.
    #[error("Gateway: {0}")]
    Gateway(#[from] ScopeError),
    /// Longer than a line may be; the letter holds its beginning.
    #[error("longer than a line may be; this is its beginning")]
    TooLong,
    /// A defect of ours, with this record as its witness.
    #[error("a defect in the decoder")]
    Defect,
}

impl DecodeError {
    /// The reason code.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed_json",
            Self::UnexpectedType { .. } => "unexpected_type",
            Self::NoTimestamp { .. } => "no_timestamp",
            Self::NoGateway => "no_gateway",
            Self::Gateway(_) => "invalid_gateway",
            Self::Timestamp { .. } | Self::Future { .. } => "invalid_timestamp",
            Self::TooLong => "line_too_long",
            Self::Defect => "defect",
        }
    }

    /// An error of the JSON reader, without the value that it would repeat. `path` finds the field.
    pub(super) fn of_json(error: &serde_json::Error, path: impl FnOnce() -> String) -> Self {
        let column = error.column();
        match error.classify() {
            Category::Data => {
                let field = Some(path()).filter(|path| !matches!(path.as_str(), "" | "." | "?"));
                Self::UnexpectedType { field: field.unwrap_or_else(|| "the record".to_owned()), column }
            }
            Category::Syntax | Category::Eof | Category::Io => Self::Malformed { column },
        }
    }
}
