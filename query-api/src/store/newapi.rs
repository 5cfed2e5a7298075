//! What new-api's API lists and sums up: rows of a tenant, of a user in it, or of a key of it.

mod rows;

use clickhouse::Row;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use weir_event::{Attributes, EventId, EventKind, Scope, Timestamp};
use weir_filter::Filter;

use super::error::StoreError;
use super::log_store::LogStore;
use super::record::{attributes, event_id, timestamp};
use super::summaries::{OfPart, Summary};
use crate::auth::{KeyLogs, OwnLogs, Readable};
use crate::sql::newapi::{self as sql, Amount, HoursBy, Owner, Slice};

pub use self::rows::NewApiRows;

/// The most hours, by model and user, that one answer may have. More is an error.
const HOURS_MAX: u32 = 200_000;

/// Rows of a tenant that their reader may see: all of them, a user's, or those of a key.
pub trait LogsOf {
    /// The tenant.
    fn scope(&self) -> &Scope;

    /// Whose of its rows.
    fn owner(&self) -> Owner;
}

/// A row as new-api's API shows it: [`crate::sql::newapi::ROW_COLUMNS`]. Texts are `""` and counts `None` where the source
/// did not say.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
#[expect(missing_docs, reason = "the columns are described in the migration and in weir_event::UsageEvent")]
pub struct NewApiRow {
    #[serde(deserialize_with = "event_id")]
    pub id: EventId,
    /// The number that the source gave it, or 0.
    pub number: i64,
    #[serde(deserialize_with = "timestamp")]
    pub created_at: Timestamp,
    pub dialect: String,
    #[serde(deserialize_with = "kind")]
    pub kind: EventKind,
    pub success: bool,
    pub streamed: bool,
    pub user_id: String,
    pub user_name: String,
    pub token_id: String,
    pub token_name: String,
    pub group: String,
    pub channel_id: String,
    pub ip: String,
    pub request_id: String,
    /// The model that was asked for, or else the one that answered.
    pub model_name: String,
    pub model: String,
    /// What was charged, or what its cost was in quota units when it was stored; 0 where that is not known.
    pub quota_units: i64,
    /// As the source summed them up.
    pub input_tokens: i128,
    /// As the source summed them up.
    pub output_tokens: i128,
    pub tokens_cache_read: Option<u64>,
    pub duration_ms: Option<u64>,
    pub time_to_first_token_ms: Option<u64>,
    pub status_code: Option<u16>,
    pub path: String,
    pub error: String,
    /// What it said besides, as it came; `""` for rows of other sources than new-api's log.
    pub other: String,
    /// Its metadata as JSON; `""` for rows of other sources than new-api's log.
    pub metadata_entries: String,
    #[serde(deserialize_with = "attributes")]
    pub attributes: Attributes,
}

/// What was used: new-api's statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewApiUsage {
    /// Quota units.
    pub quota: i128,
    /// Requests of the last minute.
    pub requests: u64,
    /// Tokens of the last minute.
    pub tokens: i128,
}

/// What was used within an hour: of a model or of all, by one user or by all.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct NewApiHour {
    /// The user's number, as text; `""` where it is not by their number.
    pub owner_id: String,
    /// The user's name; `""` where it is not by user.
    pub owner_name: String,
    /// The model that was asked for; `""` where it is not by model.
    pub model_name: String,
    /// When the hour began, in seconds since 1970.
    pub hour_s: i64,
    /// Requests.
    pub requests: u64,
    /// Quota units.
    pub quota_units: i128,
    /// Input and output tokens.
    pub tokens: i128,
}

/// A sum over rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Row, Deserialize)]
pub(super) struct Sum {
    amount: i128,
}

/// [`Sum`] over the rows of one part, or, with an empty name, only the server that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
struct PartSum {
    server: String,
    part: String,
    amount: i128,
}

#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
struct Minute {
    requests: u64,
    tokens: i128,
}

impl LogStore {
    /// A slice of the rows that the filter lets through, the newest first, and how many there are. Two statements at once: a
    /// row that is written between them may be in one answer and not yet in the other.
    pub async fn newapi_list(
        &self,
        logs: &impl LogsOf,
        filter: &Filter,
        slice: Slice,
    ) -> Result<(NewApiRows, u64), StoreError> {
        let (rows, count) = tokio::try_join!(
            self.newapi_rows(logs, filter, slice),
            self.newapi_amount(logs, filter, Amount::Rows)
        )?;
        Ok((rows, u64::try_from(count).unwrap_or(0)))
    }

    /// A slice of the rows that the filter lets through, the newest first.
    pub async fn newapi_rows(
        &self,
        logs: &impl LogsOf,
        filter: &Filter,
        slice: Slice,
    ) -> Result<NewApiRows, StoreError> {
        NewApiRows::begin(self, logs, filter, slice).await
    }

    /// What was used: the quota of what `total` lets through, and what `lately` lets through that ended at `since` or later.
    pub async fn newapi_usage(
        &self,
        logs: &impl LogsOf,
        total: &Filter,
        lately: &Filter,
        since: Timestamp,
    ) -> Result<NewApiUsage, StoreError> {
        let minute = async {
            let statement = sql::minute(logs.scope(), &logs.owner(), lately, since);
            Ok(self.query(&statement).fetch_one::<Minute>().await?)
        };
        let quota = self.newapi_amount(logs, total, Amount::Quota);
        let (quota, Minute { requests, tokens }) = tokio::try_join!(quota, minute)?;
        Ok(NewApiUsage { quota, requests, tokens })
    }

    /// What the filter lets through by hour and what else it is split by, the oldest first.
    pub async fn newapi_hours(
        &self,
        logs: &impl LogsOf,
        filter: &Filter,
        by: HoursBy,
    ) -> Result<Vec<NewApiHour>, StoreError> {
        let query = self.query(&sql::hours(logs.scope(), &logs.owner(), filter, by));
        Ok(query.with_setting("max_result_rows", HOURS_MAX.to_string()).fetch_all().await?)
    }

    /// A sum over everything that the filter lets through, at one moment.
    pub async fn newapi_amount(
        &self,
        logs: &impl LogsOf,
        filter: &Filter,
        amount: Amount,
    ) -> Result<i128, StoreError> {
        let (scope, owner) = (logs.scope(), logs.owner());
        let question = sql::amount(scope, &owner, filter, amount);
        let by_part = |parts| sql::amount_by_part(scope, &owner, filter, amount, parts);
        Ok(self.summed_up::<_, PartSum>(self.sums(), &question, by_part).await?.amount)
    }
}

impl LogsOf for Readable<Scope> {
    fn scope(&self) -> &Scope {
        self
    }

    fn owner(&self) -> Owner {
        Owner::Anyone
    }
}

impl LogsOf for Readable<OwnLogs> {
    fn scope(&self) -> &Scope {
        OwnLogs::scope(self)
    }

    fn owner(&self) -> Owner {
        Owner::User(self.user_id())
    }
}

impl LogsOf for Readable<KeyLogs> {
    fn scope(&self) -> &Scope {
        KeyLogs::scope(self)
    }

    fn owner(&self) -> Owner {
        let hashes = self.token_hashes().iter().map(|digest| digest.to_hex()).collect();
        Owner::Token { hashes, id: self.token_id() }
    }
}

impl Summary for Sum {
    fn add(&mut self, other: &Self) {
        self.amount = self.amount.saturating_add(other.amount);
    }
}

impl From<PartSum> for OfPart<Sum> {
    fn from(PartSum { server, part, amount }: PartSum) -> Self {
        Self { server, part, summary: Sum { amount } }
    }
}

fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EventKind, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_from_exactly_the_columns_that_are_asked_for() {
        let asked_for: Vec<_> = sql::ROW_COLUMNS.iter().map(|(name, _)| *name).collect();
        assert_eq!(NewApiRow::COLUMN_NAMES, asked_for);
    }
}
