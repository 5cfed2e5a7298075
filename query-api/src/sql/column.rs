//! The columns of `logs` that statements may name.

use std::fmt;

/// A column of `logs`. Its name is the same in the table and in the rows that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are described in the migration")]
pub enum Column {
    Id,
    CreatedAt,
    StartedAt,
    EventId,
    DurationMs,
    Provider,
    Model,
    ModelType,
    RequestType,
    Path,
    Step,
    StatusCode,
    Success,
    Cached,
    Truncated,
    UserAgent,
    TokensIn,
    TokensOut,
    TokensCacheRead,
    TokensReasoning,
    Cost,
    CostSource,
    Metadata,
    Attributes,
    RequestContentType,
    ResponseContentType,
    RequestSize,
    ResponseSize,
}

impl Column {
    /// Its name, safe to stand in a statement.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::CreatedAt => "created_at",
            Self::StartedAt => "started_at",
            Self::EventId => "event_id",
            Self::DurationMs => "duration_ms",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::ModelType => "model_type",
            Self::RequestType => "request_type",
            Self::Path => "path",
            Self::Step => "step",
            Self::StatusCode => "status_code",
            Self::Success => "success",
            Self::Cached => "cached",
            Self::Truncated => "truncated",
            Self::UserAgent => "user_agent",
            Self::TokensIn => "tokens_in",
            Self::TokensOut => "tokens_out",
            Self::TokensCacheRead => "tokens_cache_read",
            Self::TokensReasoning => "tokens_reasoning",
            Self::Cost => "cost",
            Self::CostSource => "cost_source",
            Self::Metadata => "metadata",
            Self::Attributes => "attributes",
            Self::RequestContentType => "request_content_type",
            Self::ResponseContentType => "response_content_type",
            Self::RequestSize => "request_size",
            Self::ResponseSize => "response_size",
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
