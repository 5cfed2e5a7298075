//! One log row, by its id.

use weir_event::{EventId, Scope};
use weir_sql::{LOGS, Select, Statement};

use super::column::Column;

/// The columns of a log entry, in the order in which they are read.
pub const ENTRY_COLUMNS: &[Column] = &[
    Column::Id,
    Column::CreatedAt,
    Column::EventId,
    Column::DurationMs,
    Column::Provider,
    Column::Model,
    Column::ModelType,
    Column::RequestType,
    Column::Path,
    Column::Step,
    Column::StatusCode,
    Column::Success,
    Column::Cached,
    Column::Truncated,
    Column::UserAgent,
    Column::TokensIn,
    Column::TokensOut,
    Column::TokensCacheRead,
    Column::TokensReasoning,
    Column::Cost,
    Column::CostSource,
    Column::Metadata,
    Column::Attributes,
    Column::RequestContentType,
    Column::ResponseContentType,
    Column::RequestSize,
    Column::ResponseSize,
];

/// The entry of an event: no row, or one row of [`ENTRY_COLUMNS`].
#[must_use]
pub fn entry(scope: &Scope, id: &EventId) -> Statement {
    Select::new(&columns(), LOGS, scope).log_of(id).push(format_args!(" LIMIT 1")).finish()
}

/// [`ENTRY_COLUMNS`] as a select list.
pub(super) fn columns() -> String {
    let names: Vec<_> = ENTRY_COLUMNS.iter().map(|column| column.name()).collect();
    names.join(", ")
}
