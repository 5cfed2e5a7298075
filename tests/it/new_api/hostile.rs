//! Hostile texts in every parameter: a text is compared to the letter, is a pattern, or is no number, and nothing else.

use std::time::Duration;

use futures_util::future::join_all;
use harness::eventually;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use weir_event::{EventId, Timestamp};
use weir_store::LogRow;

use super::callers::{TENANT, user, who};
use crate::query_api::hostile::HOSTILE;
use crate::query_api::world::World;

const LIMIT: Duration = Duration::from_mins(1);
const STARTED_AT_MS: i64 = 1_762_776_000_000;
/// Compared to the letter.
const TEXTS: [&str; 5] = ["username", "token_name", "group", "request_id", "upstream_request_id"];
/// Numbers, of which none of the texts is one.
const NUMBERS: [&str; 8] =
    ["type", "start_timestamp", "end_timestamp", "channel", "p", "page_size", "ps", "size"];

fn row(n: i64, text: &'static str) -> LogRow<'static> {
    let at_ms = STARTED_AT_MS + n;
    LogRow {
        account_id: "acc",
        gateway_id: "gw",
        created_at: at_ms,
        started_at: at_ms,
        id: EventId::derive(Timestamp::from_millis(at_ms).unwrap(), &[text.as_bytes()]).bytes(),
        dialect: "new_api_log",
        kind: "consume",
        success: true,
        user_id: "1",
        user_name: text,
        token_name: text,
        group: text,
        request_id: text,
        model_requested: text,
        quota: Some(1),
        usage_json: text,
        attributes: vec![("upstream_request_id", text.into()), ("content", text.into())],
        ..LogRow::default()
    }
}

#[tokio::test]
async fn a_hostile_text_finds_its_own_row_and_breaks_nothing() {
    let world = World::start().await;
    let rows: Vec<_> = (0..).zip(HOSTILE).map(|(n, text)| row(n, text)).collect();
    let of_another = LogRow { gateway_id: "other", ..row(0, "another's") };
    world.insert_logs(&rows).await;
    world.insert_logs(&[of_another]).await;
    let token = user(&world, TENANT, "9", "admin", "admin").await;
    let known = async || who(&world, &token, "9").await.text.contains(r#""success":true"#);
    eventually(LIMIT, true, known).await;
    let get = async |path: &str, name: &str, text: &str| -> Value {
        let path = format!("{path}?{name}={}", utf8_percent_encode(text, NON_ALPHANUMERIC));
        let headers = [("authorization", token.as_str()), ("new-api-user", "9")];
        let answer = world.ask("GET", &path, &headers).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert!(!answer.text.contains("another's"), "{path}: {}", answer.text);
        let answer: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(answer["success"], true, "{path}: {answer}");
        answer["data"].clone()
    };
    let ask = async |text: &'static str| {
        for name in TEXTS {
            let list = get("/api/log/", name, text).await;
            assert_eq!((&list["total"], &list["items"][0]["username"]), (&1.into(), &text.into()), "{name}");
            if !name.contains("request_id") {
                assert_eq!(get("/api/log/stat", name, text).await["quota"], 1, "{name} {text:?}");
            }
        }
        for name in NUMBERS {
            assert_eq!(get("/api/log/", name, text).await["total"], HOSTILE.len(), "{name} {text:?}");
        }
        for (path, name) in [("/api/log/", "model_name"), ("/api/log/search", "keyword")] {
            let found = get(path, name, text).await;
            let items = found.get("items").unwrap_or(&found).as_array().unwrap();
            assert!(items.iter().any(|row| row["model_name"] == text), "{name} {text:?}: {found}");
        }
        get("/api/log/self", "model_name", text).await;
        get("/api/data/", "username", text).await;
    };
    join_all(HOSTILE.map(ask)).await;
}
