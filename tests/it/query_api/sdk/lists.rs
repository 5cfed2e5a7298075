//! Lists: the parameters that are not filters, orders and pages.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::case::{Call, Case};
use super::rows::{FIRST_END, Row, SECOND};

/// The rows that lists are to be of, newest first.
pub(super) struct Lists<'r> {
    newest: Vec<&'r Row>,
}

impl<'r> Lists<'r> {
    pub(super) fn new(rows: &'r [Row]) -> Self {
        let mut newest: Vec<_> = rows.iter().collect();
        newest.sort_by(|a, b| by_time(b, a));
        Self { newest }
    }

    /// Every row that is meant, newest first.
    pub(super) fn list(&self, parameters: &str, is_meant: &dyn Fn(&Row) -> bool) -> Case {
        Call::new("list").with(parameters).gives(self.meant(is_meant))
    }

    /// The same where it is one page, without the question for the next one.
    pub(super) fn page(&self, parameters: &str, is_meant: &dyn Fn(&Row) -> bool) -> Case {
        Call::new("page").with(parameters).gives(self.meant(is_meant))
    }

    fn meant(&self, is_meant: &dyn Fn(&Row) -> bool) -> Value {
        let meant = self.newest.iter().filter(|row| is_meant(row));
        json!({"ids": meant.map(|row| row.id()).collect::<Vec<_>>()})
    }

    pub(super) fn ids(&self) -> Vec<&str> {
        self.newest.iter().map(|row| row.id()).collect()
    }

    fn sorted(&self, order: impl Fn(&Row, &Row) -> Ordering) -> Vec<&str> {
        let mut rows = self.newest.clone();
        rows.sort_by(|a, b| order(a, b));
        rows.into_iter().map(Row::id).collect()
    }
}

fn by_time(a: &Row, b: &Row) -> Ordering {
    (a.created_at, a.id()).cmp(&(b.created_at, b.id()))
}

/// A column that lists go by.
type Column = (&'static str, fn(&Row, &Row) -> Ordering);
const COLUMNS: [Column; 6] = [
    ("created_at", by_time),
    ("provider", |a, b| a.provider.cmp(b.provider)),
    ("model", |a, b| a.model.cmp(b.model)),
    ("model_type", |a, b| a.model_type.cmp(b.model_type)),
    ("success", |a, b| a.success.cmp(&b.success)),
    ("cached", |a, b| a.cached.cmp(&b.cached)),
];

pub(super) fn cases(lists: &Lists<'_>) -> Vec<Case> {
    let mut cases = parameters(lists);
    cases.extend(dates(lists));
    for (column, order) in COLUMNS {
        let rising = lists.sorted(|a, b| order(a, b).then(by_time(a, b)));
        let falling: Vec<_> = rising.iter().rev().collect();
        let all =
            |more: &str| Call::new("list").with(format!(r#"{{"order_by":"{column}","per_page":11{more}}}"#));
        cases.push(all(r#","order_by_direction":"asc""#).gives(json!({"ids": rising})));
        cases.push(all(r#","order_by_direction":"desc""#).gives(json!({"ids": falling})));
        cases.push(all(r#","direction":"asc""#).gives(json!({"ids": rising})));
        cases.push(all("").gives(json!({"ids": falling})));
    }
    let ids = lists.ids();
    for (parameters, expected) in [
        ("{}", &ids[..]),
        (r#"{"per_page":1,"page":30}"#, &ids[29..]),
        (r#"{"per_page":5}"#, &ids),
        (r#"{"per_page":36}"#, &ids),
        (r#"{"page":3,"per_page":7}"#, &ids[14..]),
        (r#"{"page":1000000}"#, &[]),
        (r#"{"meta_info":true,"per_page":50}"#, &ids),
    ] {
        cases.push(Call::new("list").with(parameters).gives(json!({"ids": expected})));
    }
    cases.push(Call::new("page").with("{}").gives(json!({"ids": ids[..20]})));
    cases.push(Call::new("page").with(r#"{"per_page":7,"page":2}"#).gives(json!({"ids": ids[7..14]})));
    // From page to page the filters have to be sent again.
    let filters = r#"[{"key":"success","operator":"eq","value":[true]},{"key":"provider","operator":"neq","value":["openai","none"]}]"#;
    let meant = |row: &Row| row.success && row.provider != "openai";
    for per_page in [1, 3, 5, 19] {
        cases.push(lists.list(&format!(r#"{{"per_page":{per_page},"filters":{filters}}}"#), &meant));
    }
    for parameters in [
        r#"{"per_page":51}"#,
        r#"{"per_page":0}"#,
        r#"{"page":0}"#,
        r#"{"page":-1}"#,
        r#"{"order_by":"cost"}"#,
        r#"{"order_by_direction":"up"}"#,
        r#"{"direction":"down"}"#,
        r#"{"feedback":2}"#,
    ] {
        cases.push(Call::new("list").with(parameters).refused(400, 7001));
    }
    cases
}

/// A number that may be unknown.
type Known = fn(&Row) -> Option<rust_decimal::Decimal>;

/// The parameters that are older than filters. All of them have to hold.
fn parameters(lists: &Lists<'_>) -> Vec<Case> {
    let list = |parameters: &str, is_meant: &dyn Fn(&Row) -> bool| {
        lists.list(&format!(r#"{{"per_page":50,{parameters}}}"#), is_meant)
    };
    let number = |text: &str| text.parse::<rust_decimal::Decimal>().unwrap();
    let mut cases = vec![
        list(r#""success":true"#, &|row| row.success),
        list(r#""success":false,"cached":false"#, &|row| !row.success && !row.cached),
        list(r#""provider":"openai""#, &|row| row.provider == "openai"),
        list(r#""model":"GPT-4.1 (Évaluation)""#, &|row| row.model == "GPT-4.1 (Évaluation)"),
        list(r#""model_type":"chat""#, &|row| row.model_type == "chat"),
        list(r#""request_content_type":"multipart/form-data; boundary=x""#, &|row| {
            row.request_content_type == "multipart/form-data; boundary=x"
        }),
        list(r#""response_content_type":"text/event-stream""#, &|row| {
            row.response_content_type == "text/event-stream"
        }),
        list(r#""feedback":1"#, &|row| row.attribute("feedback") == "1"),
        // None, and neither of the two.
        list(r#""feedback":0"#, &|row| ["", "0"].contains(&row.attribute("feedback"))),
        list(r#""search":"SEARCH""#, &|row| row.metadata.contains("search")),
        list(r#""search":"&c=d,e+f/%41;""#, &|row| row.metadata.contains("note")),
        list(r#""search":"u-1","filters":[{"key":"cached","operator":"eq","value":[true]}]"#, &|row| {
            row.metadata.contains("u-1") && row.cached
        }),
        list(r#""min_duration":70,"max_tokens_in":20.5,"provider":"anthropic","success":true"#, &|row| {
            row.duration_ms.is_some_and(|duration| duration >= 70)
                && row.tokens_in.is_some_and(|tokens| tokens <= 20)
                && row.provider == "anthropic"
                && row.success
        }),
    ];
    let bounds: [(&str, Known, &str); 5] = [
        ("cost", Row::cost, "0.0000074"),
        ("duration", |row| row.duration_ms.map(Into::into), "130"),
        ("tokens_in", |row| row.tokens_in.map(Into::into), "12"),
        ("tokens_out", |row| row.tokens_out.map(Into::into), "990"),
        ("total_tokens", Row::tokens, "1000"),
    ];
    for (name, known, bound) in bounds {
        let at_least = |row: &Row| known(row).is_some_and(|one| one >= number(bound));
        let at_most = |row: &Row| known(row).is_some_and(|one| one <= number(bound));
        cases.push(list(&format!(r#""min_{name}":{bound}"#), &at_least));
        cases.push(list(&format!(r#""max_{name}":{bound}"#), &at_most));
        cases.push(list(&format!(r#""min_{name}":{bound},"max_{name}":{bound}"#), &|row| {
            at_least(row) && at_most(row)
        }));
    }
    cases
}

/// Both ends are in it. Python sends what it has as a datetime, Go as a time of whole seconds.
fn dates(lists: &Lists<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    let (from, to) = (FIRST_END + 3 * SECOND, FIRST_END + 5 * SECOND);
    for (first, last) in [
        ("2024-09-30T09:45:38Z", "2024-09-30T09:45:40Z"),
        ("2024-09-30T09:45:38+00:00", "2024-09-30T09:45:40+00:00"),
        ("2024-09-30T11:45:38+02:00", "2024-09-30T04:15:40-05:30"),
        ("2024-09-30T09:45:38", "2024-09-30T09:45:40"),
        ("2024-09-30T09:45:38.000Z", "2024-09-30T09:45:40.000+00:00"),
    ] {
        let list = |parameters: String, is_meant: &dyn Fn(&Row) -> bool| {
            lists.list(&format!(r#"{{{parameters},"per_page":50}}"#), is_meant)
        };
        cases.push(list(format!(r#""start_date":"{first}""#), &|row| row.created_at >= from));
        cases.push(list(format!(r#""end_date":"{last}""#), &|row| row.created_at <= to));
        cases.push(list(format!(r#""end_date":"{last}","start_date":"{first}""#), &|row| {
            (from..=to).contains(&row.created_at)
        }));
    }
    cases
}
