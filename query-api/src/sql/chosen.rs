//! Which log entries a deletion takes.

use weir_event::Scope;
use weir_filter::{Filter, NumberField};
use weir_sql::{
    ANNOTATIONS, Annotated, AnnotatedField, LOGS, OF_TENANT, Select, Side, Statement, expression,
};

use super::column::Column;
use super::page::Direction;

/// What a deletion goes by. Entries without a value come last either way; a text that is not there is the empty one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderBy {
    /// A column.
    Column(Column),
    /// What somebody thinks of the answer: what was said since, or else what the row has.
    Feedback,
}

/// The ids of the first `limit` entries that the filter lets through; a row of `id` for each. Entries that are equal in
/// what they go by are ordered by time and id, in the same direction, as in a list.
#[must_use]
pub fn chosen(
    scope: &Scope,
    filter: &Filter,
    annotated: Annotated,
    (by, direction): (OrderBy, Direction),
    limit: u32,
) -> Statement {
    let by_time = format!("{} {direction}, {} {direction}", Column::CreatedAt, Column::Id);
    let end = |by: Option<&str>| {
        let first = by.map_or_else(String::new, |by| format!("{by} {direction} NULLS LAST, "));
        format!(" ORDER BY {first}{by_time} LIMIT {limit}")
    };
    let end = match by {
        OrderBy::Column(Column::CreatedAt) => end(None),
        OrderBy::Column(column) => end(Some(column.name())),
        OrderBy::Feedback if annotated.has(AnnotatedField::Feedback) => {
            return by_what_was_said(scope, filter, annotated, &end(Some("if(is_said, said, own)")));
        }
        OrderBy::Feedback => end(Some(&expression(Side::Row, NumberField::Feedback))),
    };
    Select::new("id", LOGS, scope).filter(filter, annotated).push(format_args!("{end}")).finish()
}

fn by_what_was_said(scope: &Scope, filter: &Filter, annotated: Annotated, end: &str) -> Statement {
    let feedback = |side| expression(side, NumberField::Feedback);
    let (own, said) = (feedback(Side::Row), feedback(Side::Annotation));
    let what = format!("id, created_at, {own} AS own");
    let entries = Select::new(&what, LOGS, scope).filter(filter, annotated).finish();
    let text = format!(
        "SELECT id FROM ({}) AS entries LEFT ANY JOIN ( \
            SELECT id, {said} AS said, true AS is_said FROM {ANNOTATIONS} FINAL WHERE {OF_TENANT} AND field = '{}' \
         ) AS annotated USING (id){end}",
        entries.text(),
        AnnotatedField::Feedback,
    );
    let binds = entries.binds().map(|(name, bind)| (name.to_owned(), bind.clone())).collect();
    Statement::new(text, binds)
}
