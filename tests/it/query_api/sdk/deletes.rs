//! Deletions. They come last: what they delete is gone for the cases after them.

use serde_json::json;

use super::case::{Call, Case, Habit};
use super::rows::Row;

pub(super) fn cases(rows: &[Row]) -> Vec<Case> {
    let delete = |parameters: &str| Call::new("delete").with(parameters);
    let done = || json!({"success": true});
    let gone = |row: &Row| {
        ["get", "request", "response"].map(|operation| Call::new(operation).of(row.id()).refused(404, 7002))
    };
    let is_there = |row: &Row| Call::new("get").of(row.id()).gives(json!({"entry": {"id": row.id()}}));
    let mut cases: Vec<_> = [
        r#"{"limit":0}"#,
        r#"{"limit":10001}"#,
        r#"{"order_by":"id"}"#,
        r#"{"filters":[{"key":"nobody","operator":"eq","value":["x"]}]}"#,
        r#"{"filters":[{"key":"cost","operator":"gt","value":["dear"]}]}"#,
        r#"{"filters":[{"key":"model","operator":"eq","value":[]}]}"#,
    ]
    .map(|bad| delete(bad).refused(400, 7001))
    .into();
    cases.push(delete("{}").authorized(json!({"token": "wrong"})).refused(401, 10000));
    cases.push(is_there(&rows[0]));

    let (one, other) = (rows[0].id(), rows[1].id());
    let by_id =
        format!(r#"{{"filters":[{{"key":"id","operator":"eq","value":["{one}","{other}"]}}],"limit":10}}"#);
    cases.push(delete(&by_id).gives(done()));
    cases.extend(gone(&rows[0]));
    cases.extend(gone(&rows[1]));
    // Again, it is nothing.
    cases.push(delete(&by_id).gives(done()));
    cases.push(delete(r#"{"limit":1,"order_by":"cost","order_by_direction":"desc"}"#).gives(done()));
    cases.extend(gone(&rows[35]));
    let two_kinds = r#"{"filters":[{"key":"provider","operator":"eq","value":["openai"]},{"key":"tokens_in","operator":"gt","value":[26]}]}"#;
    cases.push(delete(two_kinds).gives(done()));
    cases.extend(gone(&rows[27]));
    cases.extend([24, 26, 28].map(|n| is_there(&rows[n])));
    // Either of the two may have lost its value on the way.
    let two_texts = r#"{"filters":[{"key":"provider","operator":"eq","value":["openai"]},{"key":"user_agent","operator":"eq","value":["nobody"]}]}"#;
    cases.push(delete(two_texts).gives(done()).refused_with(&[Habit::GroupsColumns]));
    cases.push(is_there(&rows[24]));
    cases
}
