//! Why a record cannot be decoded: what `dead_letters.reason` and `detail` say.

use serde_json::error::Category;
use weir_event::wire::WireError;
use weir_event::{ScopeError, TimestampError};

use crate::text::{NAME_MAX, shorten};

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
    /// Nested deeper than anything that is read here.
    #[error("nested deeper than {} levels", super::event::DEPTH_MAX)]
    TooDeep,
    /// A field that the form does not have: most often a misspelt one, whose value would be lost.
    #[error("{field} is not a field of this form")]
    UnknownField {
        /// Its path.
        field: String,
    },
    /// A field that the form always has is not there.
    #[error("there is no {field}")]
    MissingField {
        /// Its path.
        field: String,
    },
    /// A field is there twice, so that it is not clear which is meant.
    #[error("{field} is there twice")]
    DuplicateField {
        /// Its path.
        field: String,
    },
    /// A field of the right type has a value that it cannot have.
    #[error("{field} has a value that it cannot have")]
    InvalidValue {
        /// Its path.
        field: String,
    },
    /// A field that says when something happened cannot be read, or is not of our time.
    #[error("{field} is no time of the years 2000 to 2099 as this form writes it")]
    InvalidTime {
        /// Its path.
        field: String,
    },
    /// A CloudEvent of a version that is not known here.
    #[error("specversion is not 1.x")]
    SpecVersion,
    /// A CloudEvent whose data is said not to be JSON.
    #[error("datacontenttype is not JSON")]
    ContentType,
    /// It does not make sense as a whole.
    #[error(transparent)]
    Event(WireError),
    /// Which of the forms it is in cannot be told.
    #[error("it has the fields of {found}, so its form cannot be told")]
    UnknownForm {
        /// The forms that it could be in, or `no known form`.
        found: String,
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
    /// What came beside it names an account or a gateway that cannot be one.
    #[error("whose it is: {0}")]
    Address(ScopeError),
    /// What came beside it cannot be read.
    #[error("it has a header whose name is not UTF-8")]
    Headers,
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
            Self::TooDeep => "too_deep",
            Self::UnknownField { .. } => "unknown_field",
            Self::MissingField { .. } => "missing_field",
            Self::DuplicateField { .. } => "duplicate_field",
            Self::InvalidValue { .. } => "invalid_value",
            Self::SpecVersion => "unsupported_specversion",
            Self::ContentType => "unsupported_content_type",
            Self::Event(error) => reason_of(error),
            Self::UnknownForm { .. } => "unknown_form",
            Self::NoTimestamp { .. } => "no_timestamp",
            Self::NoGateway => "no_gateway",
            Self::Gateway(_) => "invalid_gateway",
            Self::InvalidTime { .. } | Self::Timestamp { .. } | Self::Future { .. } => "invalid_timestamp",
            Self::Address(_) => "invalid_address",
            Self::Headers => "invalid_headers",
            Self::TooLong => "line_too_long",
            Self::Defect => "defect",
        }
    }

    /// An error of the JSON reader, without the value that it would repeat. `path` finds the field.
    pub(super) fn of_json(error: &serde_json::Error, path: impl FnOnce() -> String) -> Self {
        let column = error.column();
        match error.classify() {
            Category::Data => Self::of_data(&error.to_string(), &path(), column),
            Category::Syntax | Category::Eof | Category::Io => Self::Malformed { column },
        }
    }

    /// Serde tells what is wrong in words alone.
    fn of_data(message: &str, path: &str, column: usize) -> Self {
        // A name that is none of those which a map may have is no part of the path.
        let (path, is_name) = path.strip_suffix(".?").map_or((path, false), |map| (map, true));
        let parent = Some(path.to_owned()).filter(|path| !matches!(path.as_str(), "" | "." | "?"));
        let field = || shorten(parent.clone().unwrap_or_else(|| "the record".to_owned()), NAME_MAX);
        // The name stands in backticks, and is not always a part of the path.
        let named = || {
            let name = message.split('`').nth(1).unwrap_or_default();
            let parent = parent.as_deref().filter(|parent| parent.rsplit('.').next() != Some(name));
            let whole = parent.map_or_else(|| name.to_owned(), |parent| format!("{parent}.{name}"));
            shorten(whole, NAME_MAX)
        };
        match message {
            message if message.starts_with("unknown field") => Self::UnknownField { field: named() },
            message if is_name && message.starts_with("unknown variant") => {
                Self::UnknownField { field: named() }
            }
            message if message.starts_with("missing field") => Self::MissingField { field: named() },
            message if message.starts_with("duplicate field") => Self::DuplicateField { field: named() },
            message if is_of_time(message) => Self::InvalidTime { field: field() },
            message if message.starts_with("invalid type") => Self::UnexpectedType { field: field(), column },
            // Out of its range, or not of its vocabulary.
            _ => Self::InvalidValue { field: field() },
        }
    }

    /// The same, of a part of the record that is found under `parent`.
    pub(super) fn within(mut self, parent: &str) -> Self {
        if let Self::UnexpectedType { field, .. }
        | Self::UnknownField { field }
        | Self::MissingField { field }
        | Self::DuplicateField { field }
        | Self::InvalidTime { field }
        | Self::InvalidValue { field } = &mut self
        {
            *field = if field == "the record" { parent.to_owned() } else { format!("{parent}.{field}") };
        }
        self
    }
}

/// Whether an error of serde's repeats what the reader of times says.
fn is_of_time(message: &str) -> bool {
    message.starts_with("not an RFC 3339 time") || message.contains(" is not in the years 2000 to 2099")
}

impl From<WireError> for DecodeError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Missing { field } => Self::MissingField { field: field.to_owned() },
            error => Self::Event(error),
        }
    }
}

const fn reason_of(error: &WireError) -> &'static str {
    match error {
        WireError::Missing { .. } | WireError::EmptyEventId => "missing_field",
        WireError::Tokens(_) | WireError::Units(_) => "impossible_usage",
        WireError::EndsBeforeStart | WireError::TokenHash | WireError::NegativePrice { .. } => {
            "invalid_value"
        }
    }
}
