//! What was used within an hour.

use serde::Serialize;

use crate::store::NewApiHour;

/// An hour of a model, of one user or of all together, which is user 0 without a name; or of a user who is named and has the number 0,
/// of all models together.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names are new-api's")]
pub struct HourView {
    /// Always 0: there is no table that these are rows of.
    pub id: i64,
    pub user_id: i64,
    pub username: String,
    pub model_name: String,
    /// The hour's begin, in seconds since 1970.
    pub created_at: i64,
    pub token_used: i128,
    pub count: u64,
    pub quota: i128,
    #[serde(flatten)]
    pub unsplit: Option<Unsplit>,
}

/// What an hour could be split by as well, and is not.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Unsplit {
    pub use_group: String,
    pub token_id: i64,
    pub channel_id: i64,
    pub node_name: String,
}

impl HourView {
    /// Shows an hour; with the names of what it could be split by if `names_more`.
    #[must_use]
    pub fn new(hour: NewApiHour, names_more: bool) -> Self {
        Self {
            id: 0,
            user_id: hour.owner_id.parse().unwrap_or(0),
            username: hour.owner_name,
            model_name: hour.model_name,
            created_at: hour.hour_s,
            token_used: hour.tokens,
            count: hour.requests,
            quota: hour.quota_units,
            unsplit: names_more.then(Unsplit::default),
        }
    }
}
