//! A row of a list.

use std::collections::HashMap;

use serde::Serialize;
use weir_event::{Dialect, EventKind};

use super::other;
use crate::store::NewApiRow;

/// Who is shown a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// An admin: all of it.
    Admin,
    /// A user, who is shown no channel's name, and not what of `other` is for admins.
    User {
        /// What their rows have for ids.
        id: UserId,
        /// Whether `other` names the channel of an error all the same.
        names_failed_channels: bool,
    },
}

/// What users are shown as the id of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserId {
    /// The row's own, modulo 1,024: two rows may have the same.
    Remainder,
    /// Its place in the list.
    Place(i64),
}

/// A row with the keys that new-api's have, in their order; `channel_id` is what its documentation calls `channel`.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names are new-api's")]
pub struct RowView {
    pub id: i64,
    pub user_id: i64,
    /// Seconds since 1970.
    pub created_at: i64,
    #[serde(rename = "type")]
    pub row_type: u8,
    pub content: String,
    pub username: String,
    pub token_name: String,
    pub model_name: String,
    pub quota: i64,
    pub prompt_tokens: i128,
    pub completion_tokens: i128,
    /// Whole seconds.
    pub use_time: u64,
    pub is_stream: bool,
    pub channel: i64,
    pub channel_id: i64,
    pub channel_name: String,
    pub token_id: i64,
    pub group: String,
    pub ip: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub upstream_request_id: String,
    /// JSON in a text.
    pub other: String,
}

impl RowView {
    /// Shows a row. `type_of` numbers the kinds.
    #[must_use]
    pub fn new(row: NewApiRow, audience: Audience, type_of: impl Fn(EventKind) -> u8) -> Self {
        let own_id = if row.number > 0 { row.number } else { row.id.number() };
        let old = Old::of(&row);
        let (whole, said) = (other::whole(&row), row.attributes);
        let told = |text: Option<String>, name| text.unwrap_or_else(|| old.text(name));
        let content = if row.success { told(said.content, "content") } else { row.error };
        let (id, channel_name, other) = match audience {
            Audience::Admin => (own_id, told(said.channel_name, "channel_name"), whole),
            Audience::User { id, names_failed_channels } => {
                let id = match id {
                    UserId::Remainder => own_id % 1_024,
                    UserId::Place(place) => place,
                };
                (id, String::new(), other::for_users(&whole, names_failed_channels))
            }
        };
        Self {
            id,
            user_id: number(&row.user_id),
            created_at: row.created_at.millis().div_euclid(1_000),
            row_type: type_of(row.kind),
            content,
            username: row.user_name,
            token_name: row.token_name,
            model_name: row.model_name,
            quota: row.quota_units,
            prompt_tokens: row.input_tokens,
            completion_tokens: row.output_tokens,
            use_time: row.duration_ms.unwrap_or(0) / 1_000,
            is_stream: row.streamed,
            channel: number(&row.channel_id),
            channel_id: number(&row.channel_id),
            channel_name,
            token_id: number(&row.token_id),
            group: row.group,
            ip: row.ip,
            request_id: row.request_id,
            upstream_request_id: told(said.upstream_request_id, "upstream_request_id"),
            other,
        }
    }
}

/// What rows of new-api have in their metadata that were stored before it had another place.
struct Old(HashMap<String, String>);

impl Old {
    fn of(row: &NewApiRow) -> Self {
        let is_meant = row.dialect == Dialect::NewApiLog.as_str() && !row.metadata_entries.is_empty();
        Self(if is_meant {
            serde_json::from_str(&row.metadata_entries).unwrap_or_default()
        } else {
            HashMap::new()
        })
    }

    fn text(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_default()
    }
}

/// The number that a text is to the letter, as filters compare it; 0 for what is none.
fn number(text: &str) -> i64 {
    text.parse().ok().filter(|number: &i64| number.to_string() == text).unwrap_or(0)
}

#[cfg(test)]
mod tests;
