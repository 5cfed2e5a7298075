//! Rows of a list, the newest first.

use weir_event::{EventId, Scope, Timestamp};
use weir_filter::Filter;
use weir_sql::{Annotated, Bind, Statement};

use super::owner::{Owner, of_owner};

/// A piece of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The rows before it.
    pub before: u64,
    /// Rows in it at most.
    pub limit: u32,
}

/// Where a row stands in a list: when it ended, and its id.
pub type Place = (Timestamp, EventId);

/// Quota units of a row. Where the source charged none they are those of its cost, since it was stored; 0 where it failed, or
/// where nothing is known.
pub(super) const QUOTA: &str = "ifNull(quota, 0)";
/// Input tokens as the source summed them up, wide enough for whatever it counted.
pub(super) const INPUT_TOKENS: &str = "ifNull(toInt128(prompt_tokens), ifNull(toInt128(tokens_in), 0))";
/// The same of the output.
pub(super) const OUTPUT_TOKENS: &str = "ifNull(toInt128(completion_tokens), ifNull(toInt128(tokens_out), 0))";
/// The model that was asked for, as far as that is known.
pub(super) const MODEL_NAME: &str = "if(model_requested = '', model, model_requested)";
/// The number that the source gave the row, or 0.
const NUMBER: &str = "greatest(toInt64OrZero(event_id), 0)";

// Of rows of other sources nobody is shown these, and they may be long.
const OTHER: &str = "if(dialect = 'new_api_log', usage_json, '')";
const METADATA: &str = "if(dialect = 'new_api_log', metadata, '')";

/// What is read of a row, in this order: names, and what stands behind them where that is no column of that name.
pub const ROW_COLUMNS: &[(&str, &str)] = &[
    ("id", ""),
    ("number", NUMBER),
    ("created_at", ""),
    ("dialect", ""),
    ("kind", ""),
    ("success", ""),
    ("streamed", ""),
    ("user_id", ""),
    ("user_name", ""),
    ("token_id", ""),
    ("token_name", ""),
    ("group", ""),
    ("channel_id", ""),
    ("ip", ""),
    ("request_id", ""),
    ("model_name", MODEL_NAME),
    ("model", ""),
    ("quota_units", QUOTA),
    ("input_tokens", INPUT_TOKENS),
    ("output_tokens", OUTPUT_TOKENS),
    ("tokens_cache_read", ""),
    ("duration_ms", ""),
    ("time_to_first_token_ms", ""),
    ("status_code", ""),
    ("path", ""),
    ("error", ""),
    ("other", OTHER),
    ("metadata_entries", METADATA),
    ("attributes", ""),
];

/// A slice of what the filter lets through, or of what of that is behind a place: rows of [`ROW_COLUMNS`]. Their order is that of
/// the table, by time and then by id: by the source's own numbers it would have to be made for every page, out of all rows.
#[must_use]
pub fn rows(scope: &Scope, owner: &Owner, filter: &Filter, slice: Slice, after: Option<Place>) -> Statement {
    let columns = ROW_COLUMNS.iter().map(|(name, expression)| match *expression {
        "" => format!("`{name}`"),
        expression => format!("{expression} AS {name}"),
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    let (limit, offset) = (slice.limit, i64::try_from(slice.before).unwrap_or(i64::MAX));
    let mut select = of_owner(&columns, scope, owner);
    if let Some((created_at, id)) = after {
        let created_at = select.bind(Bind::Millis(created_at.millis()));
        let created_at = format!("fromUnixTimestamp64Milli({created_at}, 'UTC')");
        let id = select.bind(Bind::Text(id.to_string()));
        // By time alone first: that is what the server looks for in the index.
        select = select.push(format_args!(
            " AND created_at <= {created_at} AND (created_at < {created_at} OR id < toFixedString({id}, 26))"
        ));
    }
    select
        .filter(filter, Annotated::NONE)
        .push(format_args!(" ORDER BY created_at DESC, id DESC LIMIT {limit} OFFSET {offset}"))
        .finish()
}
