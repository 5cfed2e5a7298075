//! What new-api's rows say of a request beside their columns: JSON in a text.

use serde_json::{Map, Value};
use weir_event::Dialect;

use super::go_json;
use crate::store::NewApiRow;

/// What users are not shown: which channels were tried and who changed what.
const HIDDEN: [&str; 2] = ["admin_info", "audit_info"];
/// What errors say of the channel that failed, beside its number.
const OF_FAILED_CHANNEL: [&str; 2] = ["channel_name", "channel_type"];
/// How new-api says that there was no first token.
const NO_FIRST_TOKEN_MS: i64 = -1_000;

/// What the row came with, to the byte; of a row that is not new-api's what is known of the call.
pub(super) fn whole(row: &NewApiRow) -> String {
    if row.dialect == Dialect::NewApiLog.as_str() {
        return row.other.clone();
    }
    if row.kind.is_call() { Value::Object(known(row)).to_string() } else { String::new() }
}

/// The same as users are shown it: read and printed anew, without what is hidden; with the name and type of a channel that failed
/// only if `names_failed_channels`.
pub(super) fn for_users(whole: &str, names_failed_channels: bool) -> String {
    let is_hidden =
        |name: &str| HIDDEN.contains(&name) || (!names_failed_channels && OF_FAILED_CHANNEL.contains(&name));
    let whole = go_json::paired(whole);
    let shown = go_json::members(&whole).and_then(|mut members| {
        members.retain(|name, _| !is_hidden(name));
        go_json::print(&members)
    });
    shown.unwrap_or_else(|| "null".to_owned())
}

/// In the order of the alphabet.
fn known(row: &NewApiRow) -> Map<String, Value> {
    let mut members = Map::new();
    let mut add = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
    let is_mapped = !row.model.is_empty() && row.model != row.model_name;
    add("cache_tokens", row.tokens_cache_read.unwrap_or(0).into());
    add("frt", row.time_to_first_token_ms.map_or(NO_FIRST_TOKEN_MS.into(), Value::from));
    if is_mapped {
        add("is_model_mapped", true.into());
    }
    if !row.path.is_empty() {
        add("request_path", format!("/{}", row.path).into());
    }
    if let Some(status) = row.status_code.filter(|_| !row.success) {
        add("status_code", status.into());
    }
    if is_mapped {
        add("upstream_model_name", row.model.clone().into());
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_shown_an_object_without_what_is_hidden_or_null() {
        let check = |whole: &str, expected: &str| {
            for names_failed_channels in [false, true] {
                assert_eq!(for_users(whole, names_failed_channels), expected, "{whole}");
            }
        };
        check(
            r#"{"model_ratio":15.0,"admin_info":{"use_channel":["1"]},"audit_info":{},"stream_status":{"status":"ok"}}"#,
            r#"{"model_ratio":15,"stream_status":{"status":"ok"}}"#,
        );
        check(r#"{"op":{"admin_info":1}}"#, r#"{"op":{"admin_info":1}}"#);
        for nothing in ["", "null", "[1]", "not json"] {
            check(nothing, "null");
        }
    }

    #[test]
    fn what_an_error_says_of_its_channel_is_shown_where_new_api_leaves_it() {
        let whole =
            r#"{"channel_id":7,"channel_name":"main","channel_type":14,"error":{"channel_name":"x"}}"#;
        assert_eq!(for_users(whole, true), whole);
        assert_eq!(for_users(whole, false), r#"{"channel_id":7,"error":{"channel_name":"x"}}"#);
    }
}
