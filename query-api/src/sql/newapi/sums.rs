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

/// What hours are split by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoursBy {
    /// The model.
    Model,
    /// The user, by number and name, and the model.
    UserAndModel,
    /// The user's name.
    UserName,
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

/// What the filter lets through by hour and what else it is split by: rows of `owner_id`, `owner_name`, `model_name` (each empty
/// where it is not split by that), `hour_s` (seconds since 1970), `requests`, `quota_units` and `tokens`.
#[must_use]
pub fn hours(scope: &Scope, owner: &Owner, filter: &Filter, by: HoursBy) -> Statement {
    let (id, name, model, key) = match by {
        HoursBy::Model => ("''", "''", MODEL_NAME, "hour_s, model_name"),
        HoursBy::UserAndModel => {
            ("user_id", "user_name", MODEL_NAME, "hour_s, owner_id, owner_name, model_name")
        }
        HoursBy::UserName => ("''", "user_name", "''", "hour_s, owner_name"),
    };
    // No alias is the name of a column: conditions would ask for it instead.
    let what = format!(
        "{id} AS owner_id, {name} AS owner_name, {model} AS model_name, \
         toInt64(toUnixTimestamp(toStartOfHour(created_at))) AS hour_s, \
         count() AS requests, sum(toInt128({QUOTA})) AS quota_units, \
         sum({INPUT_TOKENS} + {OUTPUT_TOKENS}) AS tokens"
    );
    of_owner(&what, scope, owner)
        .filter(filter, Annotated::NONE)
        .push(format_args!(" GROUP BY {key} ORDER BY {key}"))
        .finish()
}
