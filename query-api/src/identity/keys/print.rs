//! How keys are shown.

use serde::Serialize;

use crate::identity::print::{end, or_dash, time};
use crate::store::KeyRow;

pub(super) const TITLES: [&str; 9] =
    ["id", "for", "token id", "name", "user", "key", "quota", "expires", "status"];

/// A key for programs.
#[derive(Serialize)]
pub(super) struct KeyJson<'k> {
    id: &'k str,
    account_id: &'k str,
    gateway_id: &'k str,
    token_id: Option<i64>,
    name: &'k str,
    user_id: Option<i64>,
    display: &'k str,
    granted_quota: Option<i64>,
    used_before: i64,
    counted_from: Option<String>,
    created_at: String,
    expires_at: Option<String>,
    status: &'k str,
}

impl<'k> KeyJson<'k> {
    pub(super) fn new(row: &'k KeyRow, now_ms: i64) -> Self {
        let KeyRow { account_id, gateway_id, name, display, granted_quota, .. } = row;
        Self {
            id: row.id(),
            account_id,
            gateway_id,
            token_id: number(row.token_id),
            name,
            user_id: number(row.user_id),
            display,
            granted_quota: *granted_quota,
            used_before: row.used_before,
            counted_from: row.counted_from.map(time),
            created_at: time(row.created_at),
            expires_at: row.expires_at.map(time),
            status: status(row, now_ms),
        }
    }
}

/// A line of the table.
pub(super) fn cells(row: &KeyRow, now_ms: i64) -> [String; 9] {
    let or_unknown = |id| number(id).map_or_else(|| "-".to_owned(), |id| id.to_string());
    [
        row.id().to_owned(),
        format!("{}/{}", row.account_id, row.gateway_id),
        or_unknown(row.token_id),
        or_dash(&row.name),
        or_unknown(row.user_id),
        or_dash(&row.display),
        row.granted_quota.map_or_else(|| "unlimited".to_owned(), |quota| quota.to_string()),
        end(row.expires_at),
        status(row, now_ms).to_owned(),
    ]
}

fn number(id: i64) -> Option<i64> {
    Some(id).filter(|id| *id > 0)
}

fn status(row: &KeyRow, now_ms: i64) -> &str {
    let is_expired = row.expires_at.is_some_and(|end| end <= now_ms);
    if is_expired && row.status == "enabled" { "expired" } else { &row.status }
}
