//! Sums over rows.

use weir_event::{Scope, Timestamp};
use weir_filter::Filter;
use weir_sql::{Annotated, Bind, Statement};

use super::owner::{Owner, of_owner};
use super::rows::{INPUT_TOKENS, MODEL_NAME, OUTPUT_TOKENS, QUOTA};

/// What is summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Rows.
    Rows,
    /// Quota units.
    Quota,
}

impl Amount {
    /// The sum, which no number of rows makes too large.
    fn sum(self) -> String {
        match self {
            Self::Rows => "toInt128(count())".to_owned(),
            Self::Quota => format!("sum(toInt128({QUOTA}))"),
        }
    }
}

/// The `amount` of all that the filter lets through.
#[must_use]
pub fn amount(scope: &Scope, owner: &Owner, filter: &Filter, amount: Amount) -> Statement {
    let sum = amount.sum();
    of_owner(&format!("{sum} AS amount"), scope, owner).filter(filter, Annotated::NONE).finish()
}

/// The same of each of these parts by itself: a row for every part in which there is any, and one without a part that names
/// the server that was asked.
#[must_use]
pub fn amount_by_part(
    scope: &Scope,
    owner: &Owner,
    filter: &Filter,
    amount: Amount,
    parts: Vec<String>,
) -> Statement {
    const SERVER: &str = "toString(serverUUID()) AS server";
    let what = format!("{SERVER}, toString(_part) AS part, {} AS amount", amount.sum());
    let mut select = of_owner(&what, scope, owner);
    let parts = select.bind(Bind::Texts(parts));
    select
        .push(format_args!(" AND _part IN {parts}"))
        .filter(filter, Annotated::NONE)
        .push(format_args!(" GROUP BY part UNION ALL SELECT {SERVER}, '', toInt128(0)"))
        .finish()
}

/// How many rows that the filter lets through ended at `since` or later, and their tokens.
#[must_use]
pub fn minute(scope: &Scope, owner: &Owner, filter: &Filter, since: Timestamp) -> Statement {
    let what = format!("count() AS requests, sum({INPUT_TOKENS} + {OUTPUT_TOKENS}) AS tokens");
    let mut select = of_owner(&what, scope, owner);
    let since = select.bind(Bind::Millis(since.millis()));
    select
        .push(format_args!(" AND created_at >= fromUnixTimestamp64Milli({since}, 'UTC')"))
        .filter(filter, Annotated::NONE)
        .finish()
}

/// What the filter lets through by hour and model, or by hour, user and model: rows of `owner_id`, `owner_name` (both empty for
/// all users together), `model_name`, `hour_s` (seconds since 1970), `requests`, `quota_units` and `tokens`.
#[must_use]
pub fn hours(scope: &Scope, owner: &Owner, filter: &Filter, by_user: bool) -> Statement {
    // No alias is the name of a column: conditions would ask for it instead.
    let user = if by_user {
        "user_id AS owner_id, user_name AS owner_name"
    } else {
        "'' AS owner_id, '' AS owner_name"
    };
    let key = if by_user { "hour_s, owner_id, owner_name, model_name" } else { "hour_s, model_name" };
    let what = format!(
        "{user}, {MODEL_NAME} AS model_name, toInt64(toUnixTimestamp(toStartOfHour(created_at))) AS hour_s, \
         count() AS requests, sum(toInt128({QUOTA})) AS quota_units, \
         sum({INPUT_TOKENS} + {OUTPUT_TOKENS}) AS tokens"
    );
    of_owner(&what, scope, owner)
        .filter(filter, Annotated::NONE)
        .push(format_args!(" GROUP BY {key} ORDER BY {key}"))
        .finish()
}
