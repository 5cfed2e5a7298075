//! What SDKs say of an entry: it is what the next list goes by. Made last, for it changes what is there.

use serde_json::json;

use super::case::{Call, Case, Habit};
use super::filters::{filter, filters};
use super::lists::Lists;
use super::rows::Row;

/// The row that is edited. It has feedback, a score and metadata of its own.
const EDITED: usize = 7;

pub(super) fn cases(rows: &[Row], lists: &Lists<'_>) -> Vec<Case> {
    let row = &rows[EDITED];
    let edit = |parameters: &str| Call::new("edit").of(row.id()).with(parameters);
    let is_edited = |other: &Row| other.id() == row.id();
    let of_others = |name: &'static str, value: &'static str| {
        move |other: &Row| other.id() != row.id() && other.attribute(name) == value
    };
    let feedback =
        |operator: &str, value: &serde_json::Value| filters(&[filter("feedback", operator, value)]);
    let mut cases = vec![
        edit("{}").gives(json!({})),
        edit(r#"{"feedback":-0.25,"score":12.5,"metadata":{"team":"Größe & Co","n":1.5,"ok":true}}"#)
            .gives(json!({})),
        lists.list(&feedback("eq", &json!([-0.25])), &is_edited),
        lists.list(&feedback("lt", &json!([-0.2])), &|other| {
            is_edited(other) || of_others("feedback", "-1")(other)
        }),
        lists.list(r#"{"search":"größe"}"#, &is_edited),
        lists.list(&filters(&[filter("metadata.value", "eq", &json!(["1.5"]))]), &is_edited),
        Call::new("get").of(row.id()).gives(json!({
            "entry": {"metadata": r#"{"n":1.5,"ok":true,"team":"Größe & Co"}"#, "model": row.model}
        })),
        edit(r#"{"feedback":1}"#).gives(json!({})),
        lists.list(&feedback("eq", &json!([1])), &|other| {
            is_edited(other) || of_others("feedback", "1")(other)
        }),
        lists.list(r#"{"search":"GRÖSSE"}"#, &|_| false),
        lists.list(r#"{"search":"GRÖßE"}"#, &is_edited),
        edit(r#"{"feedback":null,"metadata":null}"#).gives(json!({})),
        lists.list(r#"{"search":"größe"}"#, &|_| false),
        lists
            .list(&feedback("eq", &json!([null])), &|other| {
                is_edited(other) || other.attribute("feedback").is_empty()
            })
            .refused_with(&[Habit::DropsNull]),
        Call::new("edit").of("01J90000000000000000000000").with(r#"{"feedback":1}"#).refused(404, 7002),
        edit(r#"{"feedback":1}"#).authorized(json!({"token": "wrong"})).refused(401, 10000),
    ];
    for bad in [r#"{"feedback":2}"#, r#"{"score":-1}"#, r#"{"score":100.5}"#] {
        cases.push(edit(bad).refused(400, 7001));
    }
    cases
}
