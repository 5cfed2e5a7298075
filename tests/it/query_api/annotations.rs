//! What is said of logs after they were stored: visible to the very next read, and what filters go by.

use std::borrow::Cow;

use serde_json::{Value, json};
use weir_store::LogRow;

use super::rows::{ACCOUNT, GATEWAY, STARTED_AT, id_of, id_text, seed_row};
use super::tokens::make;
use super::world::World;

const DONE: &str = r#"{"success":true,"result":{}}"#;
const NOT_FOUND: &str = r#"{"success":false,"errors":[{"code":7002,"message":"Not Found"}]}"#;

/// Three calls: one that was logged with feedback, a score and metadata, one with metadata, one with nothing.
fn rows() -> [LogRow<'static>; 3] {
    let at = |n: i64| {
        let started_at = STARTED_AT + n * 1_000;
        LogRow { id: id_of(started_at, "said").bytes(), started_at, created_at: started_at, ..seed_row() }
    };
    let attributes = vec![("feedback", Cow::from("1")), ("score", Cow::from("50.5"))];
    let team = || vec![("team", Cow::from("search"))];
    [
        LogRow { attributes, metadata_text: team(), ..at(0) },
        LogRow { metadata_text: team(), ..at(1) },
        LogRow { metadata: String::new(), ..at(2) },
    ]
}

async fn done(world: &World, id: &str, body: &str) {
    let answer = world.patch(id, body).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, DONE), "{body}");
    assert_eq!(answer.content_type, "application/json");
}

/// Feedback, score and metadata of a log, as it is given by id and as it is listed.
async fn shown(world: &World, id: &str) -> Value {
    let facts = |entry: &Value| json!([entry["feedback"], entry["score"], entry["metadata"]]);
    let entry: Value = serde_json::from_str(&world.logs(&format!("/{id}")).await.text).unwrap();
    let page: Value = serde_json::from_str(&world.logs("").await.text).unwrap();
    let listed = page["result"].as_array().unwrap().iter().find(|entry| entry["id"] == id).unwrap();
    assert_eq!(facts(listed), facts(&entry["result"]));
    facts(listed)
}

/// How many logs a query finds; `result_info` says the same.
async fn count(world: &World, query: &str) -> usize {
    let answer = world.logs(query).await;
    let page: Value = serde_json::from_str(&answer.text).unwrap();
    let found = page["result"].as_array().unwrap_or_else(|| panic!("{query}: {}", answer.text)).len();
    assert_eq!(page["result_info"]["total_count"], found, "{query}");
    found
}

fn filter(key: &str, operator: &str, value: &Value) -> String {
    let filters = json!([{ "key": key, "operator": operator, "value": [value] }]).to_string();
    let url = reqwest::Url::parse_with_params("http://x/", [("filters", filters)]).unwrap();
    format!("?{}", url.query().unwrap())
}

#[tokio::test]
async fn what_is_said_of_a_log_is_what_the_next_read_and_the_next_filter_find() {
    let world = World::start_with(&[("WEIR_QUERY_API_METADATA_FORM", "object")]).await;
    let rows = rows();
    world.insert_logs(&rows).await;
    let [said, plain, empty] = rows.each_ref().map(|row| id_text(row));
    let search = json!({"team": "search"});
    assert_eq!(shown(&world, &said).await, json!([1, 50.5, search]));
    assert_eq!(shown(&world, &empty).await, json!([null, null, null]));
    assert_eq!(count(&world, "?feedback=1").await, 1);
    assert_eq!(count(&world, "?feedback=0").await, 2);
    assert_eq!(count(&world, "?search=SEARCH").await, 2);

    done(&world, &plain, r#"{"feedback":-1}"#).await;
    assert_eq!(shown(&world, &plain).await, json!([-1, null, search]));
    assert_eq!(count(&world, "?feedback=-1").await, 1);
    assert_eq!(count(&world, &filter("feedback", "gt", &json!(0))).await, 1);
    assert_eq!(count(&world, &filter("feedback", "eq", &Value::Null)).await, 1);
    assert_eq!(count(&world, &filter("feedback", "neq", &json!(1))).await, 2);

    // The row's own counts no more: it was said otherwise, or that there is none.
    done(&world, &said, r#"{"feedback":0.25,"metadata":{"team":"ads","n":1.0}}"#).await;
    assert_eq!(shown(&world, &said).await, json!([0.25, 50.5, {"n": 1.0, "team": "ads"}]));
    assert_eq!(count(&world, "?feedback=1").await, 0);
    assert_eq!(count(&world, "?search=search").await, 1);
    assert_eq!(count(&world, "?search=ADS").await, 1);
    assert_eq!(count(&world, &filter("metadata.value", "eq", &json!("1.0"))).await, 1);
    assert_eq!(count(&world, &filter("metadata.key", "neq", &json!("team"))).await, 1);
    done(&world, &said, r#"{"feedback":null,"score":null,"metadata":null}"#).await;
    assert_eq!(shown(&world, &said).await, json!([null, null, null]));
    assert_eq!(count(&world, "?feedback=0").await, 2);
    assert_eq!(count(&world, &filter("metadata.key", "eq", &json!("team"))).await, 1);
    done(&world, &said, r#"{"metadata":{}}"#).await;
    assert_eq!(shown(&world, &said).await, json!([null, null, {}]));

    // Nothing is asked for, and nothing changes.
    done(&world, &plain, "{}").await;
    assert_eq!(shown(&world, &plain).await, json!([-1, null, search]));
    done(&world, &empty, r#"{"feedback":null}"#).await;
    assert_eq!(shown(&world, &empty).await, json!([null, null, null]));
}

#[tokio::test]
async fn the_last_change_of_a_field_is_in_force_and_no_change_undoes_another_field() {
    let world = World::start().await;
    let rows = rows();
    world.insert_logs(&rows).await;
    let id = id_text(&rows[1]);
    for n in 0..20 {
        let (feedback, score) = (format!(r#"{{"feedback":0.{n}}}"#), format!(r#"{{"score":{n}}}"#));
        tokio::join!(done(&world, &id, &feedback), done(&world, &id, &score));
        assert_eq!(shown(&world, &id).await[0].to_string().parse(), format!("0.{n}").parse::<f64>());
        assert_eq!(shown(&world, &id).await[1], json!(n));
    }
    let metadata = r#""{\"team\":\"search\"}""#;
    assert_eq!(shown(&world, &id).await[2].to_string(), metadata);
}

#[tokio::test]
async fn texts_in_metadata_are_kept_to_the_letter_and_are_never_sql() {
    let world = World::start_with(&[("WEIR_QUERY_API_METADATA_FORM", "object")]).await;
    let rows = rows();
    world.insert_logs(&rows).await;
    let id = id_text(&rows[0]);
    let long = "ü".repeat(1_024);
    for text in [
        "' OR 1=1 --",
        "\\' OR 1=1 --",
        "tab\tnew\nline\rreturn",
        "nul\0byte",
        "{p2:String} {x} ? ??",
        "`tick` \"quote\" /* comment */ ; DROP TABLE logs",
        "é 名 🦀 \u{202e}",
        "\\N",
        "%25 %",
        "",
        &long,
    ] {
        let metadata = json!({ text.chars().take(200).collect::<String>(): text });
        done(&world, &id, &json!({ "metadata": metadata }).to_string()).await;
        assert_eq!(shown(&world, &id).await[2], metadata);
        assert_eq!(count(&world, &filter("metadata.value", "eq", &json!(text))).await, 1, "{text:?}");
    }
    assert_eq!(count(&world, "").await, 3);
}

#[tokio::test]
async fn what_cannot_be_said_changes_nothing() {
    let world = World::start().await;
    let rows = rows();
    world.insert_logs(&rows).await;
    let [said, _, _] = rows.each_ref().map(|row| id_text(row));
    let before = shown(&world, &said).await;

    let check = async |body: &str, expected: &str| {
        let answer = world.patch(&said, body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        assert!(answer.text.contains(expected), "{body}: {}", answer.text);
    };
    check(
        r#"{"feedback":2}"#,
        r#""errors":[{"code":7001,"message":"Number must be less than or equal to 1","path":["body","feedback"]}],"result":{}"#,
    )
    .await;
    check(r#"{"feedback":-1,"scor":1}"#, "Unrecognized key 'scor'").await;
    check(r#"{"feedback":-1,"metadata":{"a":[]}}"#, r#""path":["body","metadata","a"]"#).await;
    check("", "Invalid JSON").await;
    check("{\"feedback\":", "Invalid JSON").await;
    let huge = format!(r#"{{"metadata":{{"a":"{}"}}}}"#, "x".repeat(70_000));
    check(&huge, "It must contain at most 65536 bytes").await;

    // Nobody else's log, and none that is not there.
    for tenant in [
        "accounts/acc/ai-gateway/gateways/other".to_owned(),
        format!("accounts/other/ai-gateway/gateways/{GATEWAY}"),
    ] {
        let answer = world.patch_of(&tenant, &said, r#"{"feedback":-1}"#).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (404, NOT_FOUND), "{tenant}");
    }
    let unknown = id_of(STARTED_AT, "unknown").to_string();
    for id in [unknown.as_str(), "x", "a%2Fb"] {
        let answer = world.patch(id, r#"{"feedback":-1}"#).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (404, NOT_FOUND), "{id}");
    }
    // Who may only read is told so before anything else; there is no body here, which is what the other one is told.
    for (permission, expected) in [("read", 403), ("write", 400)] {
        let made = make(&world, &["--permission", permission, "--account", ACCOUNT]).await;
        let entry = format!("/client/v4/accounts/{ACCOUNT}/ai-gateway/gateways/{GATEWAY}/logs/{said}");
        let header = format!("Bearer {}", made.token);
        let answer = world.ask("PATCH", &entry, &[("authorization", &header)]).await;
        assert_eq!(answer.status, expected, "{}", answer.text);
    }
    assert_eq!(shown(&world, &said).await, before);
    assert_eq!(count(&world, "?feedback=1").await, 1);
}

/// Replicated tables drop a block that they had lately; on a single server it has to be asked for.
#[tokio::test]
async fn what_is_said_again_after_something_else_is_no_repetition() {
    let world = World::start().await;
    let [row, ..] = rows();
    let id = id_text(&row);
    world.insert_logs(&[row]).await;
    world.sql("ALTER TABLE annotations MODIFY SETTING non_replicated_deduplication_window = 100").await;
    for feedback in [1, -1, 1, -1, -1, 1] {
        done(&world, &id, &json!({ "feedback": feedback }).to_string()).await;
        assert_eq!(shown(&world, &id).await[0], feedback);
    }
}
