//! The count and the extremes of everything that a filter lets through.

use weir_event::Scope;

use super::statement::{LOGS, Select, Statement};
use crate::filter::Filter;

/// Input and output together; unknown only where both are. Embeddings have no output, and it is not reported.
const TOTAL_TOKENS: &str =
    "if(tokens_in IS NULL AND tokens_out IS NULL, NULL, ifNull(tokens_in, 0) + ifNull(tokens_out, 0))";

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
