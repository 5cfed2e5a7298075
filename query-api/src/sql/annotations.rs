//! What was said of entries after they were logged: of which fields there is anything, and of which entries.

use weir_event::{EventId, Scope};
use weir_sql::{ANNOTATIONS, AnnotatedField, Bind, LOGS, OF_TENANT, Select, Statement};

/// Of which fields the tenant has annotations: a row of `field` for each. It reads no more than one granule of each.
#[must_use]
pub fn annotated(scope: &Scope) -> Statement {
    let mut select = Select::new("field", ANNOTATIONS, scope);
    for (n, field) in AnnotatedField::ALL.into_iter().enumerate() {
        if n > 0 {
            select =
                select.push(format_args!(" UNION ALL SELECT field FROM {ANNOTATIONS} WHERE {OF_TENANT}"));
        }
        select = select.push(format_args!(" AND field = '{field}' LIMIT 1"));
    }
    select.finish()
}

/// What is said of these entries: a row of `id`, `field` and `value` for each field of each, none where nothing is.
#[must_use]
pub fn annotations(scope: &Scope, ids: &[EventId]) -> Statement {
    let mut select = Select::new("id, field, value", "annotations FINAL", scope);
    let ids = select.bind(Bind::Texts(ids.iter().map(EventId::to_string).collect()));
    let fields = AnnotatedField::ALL.map(|field| format!("'{field}'")).join(", ");
    select.push(format_args!(" AND field IN ({fields}) AND id IN {ids}")).finish()
}

/// Whether there is such an entry: a row of 1, or none.
#[must_use]
pub fn exists(scope: &Scope, id: &EventId) -> Statement {
    Select::new("1 AS found", LOGS, scope).log_of(id).push(format_args!(" LIMIT 1")).finish()
}
