//! Every filter key with every operator, and what filters may look like. Which rows are meant is said by looking at them.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::case::{Call, Case, Habit};
use super::lists::Lists;
use super::rows::{AWKWARD, FIRST_END, Row};

/// A text of a row, with two that it may be, and a part of one in other letters.
type Text = (&'static str, fn(&Row) -> &str, [&'static str; 2], &'static str);
const TEXTS: [Text; 11] = [
    ("provider", |row| row.provider, ["openai", "anthropic"], "ZURE"),
    ("model", |row| row.model, ["gpt-4o-2024-08-06", "GPT-4.1 (Évaluation)"], "éVALU"),
    ("model_type", |row| row.model_type, ["chat", "speech"], "Mbed"),
    ("request_type", |row| row.request_type, ["chat", "responses"], "S"),
    (
        "request_content_type",
        |row| row.request_content_type,
        ["application/json", "multipart/form-data; boundary=x"],
        "FORM-data;",
    ),
    ("response_content_type", |row| row.response_content_type, ["text/event-stream", "text/html"], "STREAM"),
    ("event_id", |row| row.event_id, ["event-1", "Event-2"], "EVENT-2"),
    ("user_agent", |row| row.user_agent, ["curl/8.6.0", "curl/8.6.1"], "python 1."),
    ("dlp_action", |row| row.attribute("dlp_action"), ["FLAG", "BLOCK"], "loc"),
    ("prompts.prompt_id", |row| row.attribute("prompt_id"), ["prompt-1", "prompt-2"], "PROMPT-2"),
    ("prompts.version_id", |row| row.attribute("prompt_version_id"), ["v1", "v2"], "V"),
];

/// A number of a row that may be unknown, with two that it may be.
type Number = (&'static str, fn(&Row) -> Option<Decimal>, [&'static str; 2]);
const NUMBERS: [Number; 6] = [
    ("cost", Row::cost, ["0.0000074", "0.0000777"]),
    ("tokens", Row::tokens, ["1000", "998"]),
    ("tokens_in", |row| row.tokens_in.map(Decimal::from), ["12", "0"]),
    ("tokens_out", |row| row.tokens_out.map(Decimal::from), ["990", "985"]),
    ("duration", |row| row.duration_ms.map(Decimal::from), ["130", "70"]),
    ("feedback", |row| row.attribute("feedback").parse().ok(), ["0", "-1"]),
];

type Flag = (&'static str, fn(&Row) -> bool);
const FLAGS: [Flag; 5] = [
    ("success", |row| row.success),
    ("cached", |row| row.cached),
    ("authentication", |row| row.attribute("authentication") == "true"),
    ("wholesale", |row| row.attribute("wholesale") == "true"),
    ("compatibilityMode", |row| row.attribute("compatibility_mode") == "true"),
];

/// One filter as JSON.
pub(super) fn filter(key: &str, operator: &str, values: &Value) -> String {
    format!(r#"{{"key":{},"operator":"{operator}","value":{values}}}"#, json!(key))
}

/// Parameters with these filters.
pub(super) fn filters(filters: &[String]) -> String {
    format!(r#"{{"per_page":50,"filters":[{}]}}"#, filters.join(","))
}

pub(super) fn cases(lists: &Lists<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut ask = |key: &str, operator: &str, values: Value, keep: &dyn Fn(&Row) -> bool| {
        let values_of = values.as_array().unwrap();
        let case = lists.page(&filters(&[filter(key, operator, &values)]), keep);
        cases.push(match values_of.as_slice() {
            [Value::Null] => case.refused_with(&[Habit::DropsNull]),
            [Value::String(text)] if text.is_empty() => case.refused_with(&[Habit::DropsEmpty]),
            _ => case,
        });
    };
    for (key, text, [one, other], part) in TEXTS {
        ask(key, "eq", json!([one]), &|row| text(row) == one);
        ask(key, "neq", json!([one]), &|row| text(row) != one);
        ask(key, "eq", json!([one, other]), &|row| [one, other].contains(&text(row)));
        ask(key, "neq", json!([one, other]), &|row| ![one, other].contains(&text(row)));
        ask(key, "eq", json!([""]), &|row| text(row).is_empty());
        ask(key, "neq", json!([null]), &|row| !text(row).is_empty());
        ask(key, "contains", json!([part]), &|row| has(text(row), part));
        ask(key, "contains", json!([part, one]), &|row| has(text(row), part) || has(text(row), one));
    }
    for (key, number, [one, other]) in NUMBERS {
        let [least, most] = [one, other].map(|text| text.parse::<Decimal>().unwrap());
        let value = |text: &str| serde_json::from_str::<Value>(&format!("[{text}]")).unwrap();
        let both = || serde_json::from_str::<Value>(&format!("[{one},{other}]")).unwrap();
        ask(key, "eq", value(one), &|row| number(row) == Some(least));
        ask(key, "neq", value(one), &|row| number(row) != Some(least));
        ask(key, "lt", value(one), &|row| number(row).is_some_and(|number| number < least));
        ask(key, "gt", value(one), &|row| number(row).is_some_and(|number| number > least));
        ask(key, "eq", both(), &|row| number(row).is_some_and(|number| [least, most].contains(&number)));
        ask(key, "neq", both(), &|row| number(row).is_none_or(|number| ![least, most].contains(&number)));
        ask(key, "eq", json!([null]), &|row| number(row).is_none());
        ask(key, "neq", json!([null]), &|row| number(row).is_some());
    }
    for (key, flag) in FLAGS {
        for value in [true, false] {
            ask(key, "eq", json!([value]), &|row| flag(row) == value);
            ask(key, "neq", json!([value]), &|row| flag(row) != value);
        }
        ask(key, "eq", json!([true, false]), &|_| true);
    }
    for (key, entry) in [("metadata.key", false), ("metadata.value", true)] {
        let (one, other, part) = if entry { ("search", "0", "SCHUNG & o") } else { ("team", "n", "EA") };
        let any = |row: &Row, test: &dyn Fn(&str) -> bool| {
            row.metadata_text.iter().any(|(name, value)| test(if entry { value } else { name }))
        };
        ask(key, "eq", json!([one]), &|row| any(row, &|text| text == one));
        ask(key, "neq", json!([one]), &|row| !any(row, &|text| text == one));
        ask(key, "eq", json!([one, other]), &|row| any(row, &|text| text == one || text == other));
        ask(key, "neq", json!([one, other]), &|row| !any(row, &|text| text == one || text == other));
        ask(key, "contains", json!([part]), &|row| any(row, &|text| has(text, part)));
    }
    let id = lists.ids()[9];
    ask("id", "eq", json!([id]), &|row| row.id() == id);
    ask("id", "neq", json!([id]), &|row| row.id() != id);
    ask("id", "eq", json!([id, "none"]), &|row| row.id() == id);
    ask("id", "contains", json!([id[16..].to_lowercase()]), &|row| row.id() == id);
    ask("metadata.value", "eq", json!([AWKWARD]), &|row| row.metadata.contains("note"));
    ask("metadata.value", "contains", json!(["&C=D,E+F/%41;'\"\\{"]), &|row| row.metadata.contains("note"));
    cases.extend(times(lists));
    cases.extend(shapes(lists));
    cases.extend(refusals());
    cases
}

/// Times in every form, to the millisecond and between two.
fn times(lists: &Lists<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut ask = |operator: &str, text: &str, keep: &dyn Fn(&Row) -> bool| {
        cases.push(lists.page(&filters(&[filter("created_at", operator, &json!([text]))]), keep));
    };
    for (text, millis) in [
        ("2024-09-30T09:45:40Z", 5_000),
        ("2024-09-30T11:45:40+02:00", 5_000),
        ("2024-09-30T09:45:40", 5_000),
        ("2024-09-30T09:45:40.000001Z", 5_000),
        ("2024-09-30 09:45:40.500+00:00", 5_500),
    ] {
        let (at, whole) = (FIRST_END + millis, millis % 1_000 == 0 && !text.contains('.'));
        ask("gt", text, &|row| row.created_at > at);
        ask("lt", text, &|row| row.created_at < at || !whole && row.created_at == at);
        ask("eq", text, &|row| whole && row.created_at == at);
        ask("neq", text, &|row| !(whole && row.created_at == at));
    }
    cases
}

/// Several filters at once, written in every way.
fn shapes(lists: &Lists<'_>) -> Vec<Case> {
    let ordered = |order: [&str; 3], parts: [(&str, &str, &str); 3]| {
        let of = |(key, operator, value): (&str, &str, &str)| {
            let member = |name: &str| match name {
                "key" => format!(r#""key":"{key}""#),
                "operator" => format!(r#""operator":"{operator}""#),
                // The third.
                _ => format!(r#""value":{value}"#),
            };
            format!("{{{}}}", order.map(member).join(","))
        };
        parts.map(of).to_vec()
    };
    let three = [
        ("provider", "eq", r#"["openai","anthropic"]"#),
        ("tokens_in", "gt", "[4]"),
        ("success", "eq", "[true]"),
    ];
    let meant = |row: &Row| {
        ["openai", "anthropic"].contains(&row.provider)
            && row.tokens_in.is_some_and(|tokens| tokens > 4)
            && row.success
    };
    let mut cases = Vec::new();
    for order in [
        ["key", "operator", "value"],
        ["key", "value", "operator"],
        ["operator", "key", "value"],
        ["operator", "value", "key"],
        ["value", "key", "operator"],
        ["value", "operator", "key"],
    ] {
        cases.push(lists.list(&filters(&ordered(order, three)), &meant));
    }
    let metadata = |key: &str, value: &str| {
        filters(&[
            filter("metadata.key", "eq", &json!([key])),
            filter("metadata.value", "contains", &json!([value])),
        ])
    };
    cases.push(lists.list(&metadata("team", "SEARCH"), &|row| row.metadata.contains("search")));
    cases.push(lists.list(&metadata("user", "search"), &|row| row.metadata.contains("user")));
    cases.push(lists.list(&metadata("n", "search"), &|_| false));
    let spread = [
        filter("provider", "eq", &json!(["openai"])),
        filter("model", "eq", &json!(["gpt-4o-2024-08-06", "gpt-5"])),
    ];
    cases.push(
        lists
            .list(&filters(&spread), &|row| {
                row.provider == "openai" && ["gpt-4o-2024-08-06", "gpt-5"].contains(&row.model)
            })
            .refused_with(&[Habit::GroupsColumns]),
    );
    let same_key = [filter("tokens_in", "gt", &json!([4])), filter("tokens_in", "lt", &json!([20]))];
    cases.push(
        lists.list(&filters(&same_key), &|row| row.tokens_in.is_some_and(|tokens| 4 < tokens && tokens < 20)),
    );
    let many: Vec<_> = (0..40).map(|n| filter("tokens_in", "neq", &json!([n]))).collect();
    cases.push(lists.list(&filters(&many), &|row| row.tokens_in.is_none()));
    cases.push(lists.list(r#"{"per_page":50,"filters":[]}"#, &|_| true));
    cases
}

/// What no SDK may get an answer to.
fn refusals() -> Vec<Case> {
    let mut refused = Vec::new();
    let mut refuse = |parameters: &str| refused.push(Call::new("page").with(parameters).refused(400, 7001));
    let value = |key: &str| match key {
        _ if FLAGS.iter().any(|(flag, _)| *flag == key) => json!([true]),
        "created_at" => json!(["2024-09-30T09:45:40Z"]),
        _ if NUMBERS.iter().any(|(number, _, _)| *number == key) => json!([1]),
        _ => json!(["x"]),
    };
    let texts = TEXTS.iter().map(|(key, _, _, _)| (*key, ["lt", "gt"].as_slice()));
    let numbers = NUMBERS.iter().map(|(key, _, _)| (*key, ["contains"].as_slice()));
    let flags = FLAGS.iter().map(|(key, _)| (*key, ["contains", "lt", "gt"].as_slice()));
    let entries = ["metadata.key", "metadata.value"].map(|key| (key, ["lt", "gt"].as_slice()));
    let entries =
        entries.into_iter().chain([("id", ["lt", "gt"].as_slice()), ("created_at", ["contains"].as_slice())]);
    for (key, operators) in texts.chain(numbers).chain(flags).chain(entries) {
        for operator in operators {
            refuse(&filters(&[filter(key, operator, &value(key))]));
        }
        refuse(&filters(&[filter(key, "eq", &json!([]))]));
    }
    refuse(&filters(&[filter("metadata.team", "eq", &json!(["search"]))]));
    refuse(&filters(&[filter("model", "gte", &json!(["x"]))]));
    refuse(&filters(&[filter("", "eq", &json!(["x"]))]));
    refuse(&filters(&[filter("cost", "gt", &json!(["much"]))]));
    refuse(&filters(&[filter("success", "eq", &json!(["yes"]))]));
    refuse(&filters(&[filter("created_at", "gt", &json!(["yesterday"]))]));
    refuse(&filters(&[filter("created_at", "gt", &json!(["2024-09-30"]))]));
    refuse(&filters(&[filter("cost", "gt", &json!([1, 2]))]));
    refused
}

/// Whether a text has a part, in letters of either case.
fn has(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}
