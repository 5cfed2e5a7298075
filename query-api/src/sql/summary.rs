//! The count and the extremes of everything that a filter lets through.

use weir_event::Scope;
use weir_filter::Filter;

use super::number::TOTAL_TOKENS;
use super::statement::{LOGS, Select, Statement};

/// The count, and the least and the greatest known value of each amount; the extremes are `NULL` where none is known.
#[must_use]
pub fn summary(scope: &Scope, filter: &Filter) -> Statement {
    let amounts = [
        ("cost", "cost"),
        ("duration", "duration_ms"),
        ("tokens_in", "tokens_in"),
        ("tokens_out", "tokens_out"),
        ("total_tokens", TOTAL_TOKENS),
    ];
    let extremes =
        amounts.map(|(name, value)| format!("min({value}) AS min_{name}, max({value}) AS max_{name}"));
    Select::new(&format!("count() AS total_count, {}", extremes.join(", ")), LOGS, scope)
        .filter(filter)
        .finish()
}
