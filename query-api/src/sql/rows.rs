//! Rows that somebody told of, with everything that a filter may ask for.

use weir_event::{EventId, Scope, Timestamp};
use weir_filter::{FlagField, NumberField, TextField};
use weir_sql::{Bind, LOGS, Select, Side, Statement, attribute, column, expression};

/// The rows of these events, by the end of each: those that are there, in no order. The fields of a kind are one array, in the
/// order of the catalogue and as conditions look at them, annotations apart; texts are `""` and numbers NULL where they are not
/// known.
#[must_use]
pub fn rows(scope: &Scope, events: &[(Timestamp, EventId)]) -> Statement {
    let mut select = Select::new(&what(), LOGS, scope);
    let ends: Vec<_> = events.iter().map(|(end, _)| end.millis().to_string()).collect();
    let ends = select.bind(Bind::Number("Array(Int64)", format!("[{}]", ends.join(","))));
    let ids = select.bind(Bind::Texts(events.iter().map(|(_, id)| id.to_string()).collect()));
    // Both, for the table is ordered by both.
    let keys = format!(
        "arrayMap((end, id) -> (fromUnixTimestamp64Milli(end, 'UTC'), toFixedString(id, 26)), {ends}, {ids})"
    );
    select.push(format_args!(" AND (created_at, id) IN {keys}")).finish()
}

fn what() -> String {
    let texts: Vec<_> = TextField::ALL.iter().map(|field| column(*field)).collect();
    let numbers = NumberField::ALL.iter().map(|field| format!("toString({})", expression(Side::Row, *field)));
    let numbers: Vec<_> = numbers.collect();
    let flags: Vec<_> = FlagField::ALL.iter().map(|field| flag(*field)).collect();
    format!(
        "id, created_at, started_at, ingested_at, CAST([{}], 'Array(String)') AS texts, \
         CAST([{}], 'Array(Nullable(String))') AS numbers, CAST([{}], 'Array(Bool)') AS flags, metadata",
        texts.join(", "),
        numbers.join(", "),
        flags.join(", "),
    )
}

fn flag(field: FlagField) -> String {
    match field {
        FlagField::Success | FlagField::Cached | FlagField::Streamed | FlagField::Truncated => {
            field.name().to_owned()
        }
        FlagField::CustomCost => "cost_source = 'custom'".to_owned(),
        FlagField::Authentication | FlagField::Wholesale | FlagField::CompatibilityMode => {
            format!("{} = 'true'", attribute(field.name()))
        }
    }
}
