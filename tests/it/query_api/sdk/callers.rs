//! Who may do what, and how they say who they are.

use serde_json::json;

use super::case::{Call, Case};
use super::rows::Row;

/// Tokens.
pub(super) struct Callers {
    pub(super) reader: String,
    /// Of another account.
    pub(super) writer_elsewhere: String,
    /// It may be sent with an address, `me@example.com`.
    pub(super) with_address: String,
}

pub(super) fn cases(rows: &[Row], callers: &Callers) -> Vec<Case> {
    let id = rows[0].id();
    let reads = || ["page", "get", "request", "response"].map(|operation| Call::new(operation).of(id));
    let mut cases = Vec::new();
    let key = |email: &str, key: &str| json!({"email": email, "key": key});
    let unknown = [
        json!({"token": "wrong"}),
        json!({"token": "Bearer query-token"}),
        key("me@example.com", "wrong"),
        key("you@example.com", &callers.with_address),
        key("me@example.com", &callers.reader),
    ];
    for auth in unknown {
        cases.extend(reads().map(|call| call.authorized(auth.clone()).refused(401, 10000)));
    }
    let foreign = json!({"token": callers.writer_elsewhere});
    cases.extend(reads().map(|call| call.authorized(foreign.clone()).refused(403, 10000)));
    for auth in [
        json!({"token": callers.reader}),
        json!({"token": callers.with_address}),
        key("Me@Example.com", &callers.with_address),
    ] {
        cases.extend(reads().map(|call| call.authorized(auth.clone()).gives(json!({}))));
    }
    let edit = |auth| Call::new("edit").of(id).with("{}").authorized(auth);
    cases.push(edit(json!({"token": callers.reader})).refused(403, 10000));
    cases.push(edit(foreign).refused(403, 10000));
    cases.push(edit(key("me@example.com", &callers.with_address)).gives(json!({})));
    cases
}
