//! The count and the extremes of everything that a filter lets through.

use weir_event::Scope;
use weir_filter::Filter;
use weir_sql::{Annotated, Bind, LOGS, Select, Statement, TOTAL_TOKENS};

/// What is told the least and the greatest of, with the columns that it is made of.
const AMOUNTS: [(&str, &str); 5] = [
    ("cost", "cost"),
    ("duration", "duration_ms"),
    ("tokens_in", "tokens_in"),
    ("tokens_out", "tokens_out"),
    ("total_tokens", TOTAL_TOKENS),
];

/// The parts that `logs` is made of now, with what tells their content from any other, and the server that was asked. No
/// row is read.
pub const PARTS: &str = "SELECT toString(serverUUID()) AS server, name, \
    reinterpret(unhex(hash_of_all_files), 'UInt128') AS content FROM system.parts \
    WHERE active AND database = currentDatabase() AND table = 'logs'";

/// The count, and the least and the greatest known value of each amount; the extremes are `NULL` where none is known.
/// Where the filter asks for what is annotated, it is no function of the rows of `logs` alone, nor of their parts.
#[must_use]
pub fn summary(scope: &Scope, filter: &Filter, annotated: Annotated) -> Statement {
    Select::new(&aggregates(), LOGS, scope).filter(filter, annotated).finish()
}

/// The same of each of these parts by itself: a row for every part in which there is any row, and one without a part that
/// names the server that was asked. It is for filters that ask for nothing that is annotated.
#[must_use]
pub fn summary_by_part(scope: &Scope, filter: &Filter, parts: Vec<String>) -> Statement {
    const SERVER: &str = "toString(serverUUID()) AS server";
    let nothing = AMOUNTS.map(|_| "NULL, NULL").join(", ");
    let mut select =
        Select::new(&format!("{SERVER}, toString(_part) AS part, {}", aggregates()), LOGS, scope);
    let parts = select.bind(Bind::Texts(parts));
    select
        .push(format_args!(" AND _part IN {parts}"))
        .filter(filter, Annotated::NONE)
        .push(format_args!(" GROUP BY part UNION ALL SELECT {SERVER}, '', toUInt64(0), {nothing}"))
        .finish()
}

fn aggregates() -> String {
    let extremes =
        AMOUNTS.map(|(name, value)| format!("min({value}) AS min_{name}, max({value}) AS max_{name}"));
    format!("count() AS total_count, {}", extremes.join(", "))
}
