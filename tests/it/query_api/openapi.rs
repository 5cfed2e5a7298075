//! The document of the API (`/openapi.json`) against the running server: everything that it says may be asked is asked, and
//! much that it does not say. `WEIR_SCHEMATHESIS_EXAMPLES` is how many requests are made up of each operation (60), and
//! `WEIR_SCHEMATHESIS_SEED` which.

use futures_util::StreamExt;
use harness::{Client, run_client};
use serde_json::{Value, json};
use weir_event::bus::{LIVE_SUBJECT, LiveRow, LiveSnapshot, LiveWindow, SHARDS};
use weir_store::LogRow;

use super::rows::{ACCOUNT, GATEWAY, body_of, id_text, many_rows, seed_row};
use super::world::{TOKEN, World};

const SCHEMATHESIS: Client = Client::Python { folder: "schemathesis", script: "schemathesis/ask.py" };

#[tokio::test(flavor = "multi_thread")]
async fn query_api_answers_as_its_openapi_document_says() {
    // Streams have to end for their answers to be looked at.
    let world = World::start_with(&[("WEIR_QUERY_API_STREAM_TIME_MAX", "100ms")]).await;
    let row = full_row();
    let mut rows = many_rows();
    rows.push(row.clone());
    world.insert_bodies(&[body_of(&row, Some(r#"{"model":"x"}"#), Some("data: {}\n\n"))]).await;
    world.insert_logs(&rows).await;
    answer_live_questions(&world).await;

    let answer = world.ask("GET", "/openapi.json", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.content_type.as_str()), (200, "application/json"));
    let document: Value = serde_json::from_str(&answer.text).unwrap();
    for (path, schema) in [("", "Log"), (&format!("/{}", id_text(&row)), "LogWithBodies")] {
        let shown: Value = serde_json::from_str(&world.logs(path).await.text).unwrap();
        let entry = if path.is_empty() { &shown["result"][0] } else { &shown["result"] };
        let names = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(entry), names(&document["components"]["schemas"][schema]["properties"]), "{schema}");
    }

    let here = json!({"account_id": ACCOUNT, "gateway_id": GATEWAY, "id": id_text(&row)});
    let bearer = json!({"Authorization": format!("Bearer {TOKEN}")});
    let root = root_of_new_api(&world).await;
    let listed: Value = serde_json::from_str(&as_user(&world, &root, "/api/log/").await).unwrap();
    let schema = &document["components"]["schemas"]["NewApiRow"]["properties"];
    let names = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let shown = names(&listed["data"]["items"][0]);
    let expected: Vec<_> = names(schema).into_iter().filter(|name| name != "upstream_request_id").collect();
    assert_eq!(shown, expected);
    // Where there is something, anywhere, by a user of new-api's, and by nobody.
    let others = json!(["--exclude-tag", "new-api"]);
    for (headers, select, parameters, share) in [
        (bearer.clone(), others.clone(), here.clone(), 1),
        (bearer, others, json!({}), 2),
        (root, of_new_api(), nothing_to_go(), 2),
        (json!({}), json!([]), here, 4),
    ] {
        everything_is_asked(&world, headers, (select, parameters), share).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_new_api_answers_as_the_openapi_document_says() {
    let world = World::start_with(&[("WEIR_QUERY_API_NEW_API_DIALECT", "upstream")]).await;
    world.insert_logs(&many_rows()).await;
    let root = root_of_new_api(&world).await;
    let listed = as_user(&world, &root, "/api/log/").await;
    assert!(listed.contains(r#""success":true"#), "{listed}");
    everything_is_asked(&world, root, (of_new_api(), nothing_to_go()), 4).await;
}

/// The operations of new-api.
fn of_new_api() -> Value {
    json!(["--include-tag", "new-api"])
}

/// Nothing is asked to go: it would be waited for, and nobody does it here.
fn nothing_to_go() -> Value {
    json!({"target_timestamp": "0"})
}

/// What a user of new-api sends who may do everything.
async fn root_of_new_api(world: &World) -> Value {
    let root = ["users", "create", "--json", "--account", ACCOUNT, "--gateway", GATEWAY];
    let root =
        world.succeeded(&[&root[..], &["--id", "9", "--name", "root", "--role", "root"]].concat()).await;
    let made: Value = serde_json::from_str(&root).unwrap();
    json!({"Authorization": made["token"], "New-Api-User": "9"})
}

/// Asks for what is selected, a part of the examples of each operation, with these parameters as they are.
async fn everything_is_asked(
    world: &World,
    headers: Value,
    (select, parameters): (Value, Value),
    share: u32,
) {
    let number = |name: &str, default: u32| {
        std::env::var(name).map_or(default, |text| text.parse().expect("it is a number"))
    };
    let examples = number("WEIR_SCHEMATHESIS_EXAMPLES", 60) / share;
    let task = json!({
        "url": format!("{}/openapi.json", world.url),
        "headers": headers,
        "select": select,
        "parameters": parameters,
        "examples": examples.max(1),
        "seed": number("WEIR_SCHEMATHESIS_SEED", 1),
    });
    let asked =
        tokio::task::spawn_blocking(move || run_client(SCHEMATHESIS, &task.to_string())).await.unwrap();
    let asked: u32 = asked.trim().parse().unwrap();
    assert!(asked > 5 * examples, "only {asked} requests were made");
}

/// What a user of new-api is answered.
async fn as_user(world: &World, headers: &Value, path: &str) -> String {
    let headers: Vec<_> = headers.as_object().unwrap().iter().collect();
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    let answer = world.ask("GET", path, &headers).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    answer.text
}

/// The newest row, with everything that a log can have.
fn full_row() -> LogRow<'static> {
    let later = 10_000_000;
    let seed = seed_row();
    LogRow {
        started_at: seed.started_at + later,
        created_at: seed.created_at + later,
        id: super::rows::id_of(seed.started_at + later, "full").bytes(),
        model_type: "chat",
        step: Some(1),
        tokens_cache_read: Some(1),
        tokens_reasoning: Some(2),
        attributes: vec![
            ("authentication", "true".into()),
            ("wholesale", "false".into()),
            ("dlp_action", "FLAG".into()),
            ("prompt_id", "p".into()),
            ("prompt_version_id", "v".into()),
            ("feedback", "-0.5".into()),
            ("score", "99.5".into()),
        ],
        ..seed
    }
}

/// Answers as an aggregator does, as long as the world is there.
async fn answer_live_questions(world: &World) {
    let options = async_nats::ConnectOptions::with_token(world.nats.token.clone());
    let nats = options.connect(&world.nats.url).await.unwrap();
    let mut questions = nats.subscribe(LIVE_SUBJECT).await.unwrap();
    nats.flush().await.unwrap();
    tokio::spawn(async move {
        let window = LiveWindow { window_s: 60, requests: 2, tokens_in: 15, ..LiveWindow::default() };
        let row = LiveRow {
            token: Some("t".to_owned()),
            model: Some("m".to_owned()),
            windows: vec![window],
            ..LiveRow::default()
        };
        let snapshot = LiveSnapshot {
            as_of: "2024-09-30T09:45:41.328Z".parse().unwrap(),
            complete_through: None,
            complete: true,
            shards: (0..SHARDS).collect(),
            late: 0,
            rows: vec![row],
        };
        let snapshot = serde_json::to_vec(&snapshot).unwrap();
        while let Some(question) = questions.next().await {
            let answered = nats.publish(question.reply.unwrap(), snapshot.clone().into()).await;
            answered.unwrap();
        }
    });
}
