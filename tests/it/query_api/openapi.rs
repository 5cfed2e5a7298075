//! The document of the API (`/openapi.json`) against the running server: everything that it says may be asked is asked, and
//! much that it does not say. `WEIR_SCHEMATHESIS_EXAMPLES` is how many requests are made up of each operation (60), and
//! `WEIR_SCHEMATHESIS_SEED` which.

use futures_util::StreamExt;
use harness::{Client, run_client};
use serde_json::{Value, json};
use weir_event::bus::{LIVE_SUBJECT, LiveRow, LiveSnapshot, LiveWindow, SHARDS};
use weir_store::LogRow;

use super::rows::{ACCOUNT, GATEWAY, id_text, many_rows, payload_of, seed_row};
use super::world::{TOKEN, World};

const SCHEMATHESIS: Client = Client::Python { folder: "schemathesis", script: "schemathesis/ask.py" };

#[tokio::test(flavor = "multi_thread")]
async fn query_api_answers_as_its_openapi_document_says() {
    // Streams have to end for their answers to be looked at.
    let world = World::start_with(&[("WEIR_QUERY_API_STREAM_TIME_MAX", "100ms")]).await;
    let row = full_row();
    let mut rows = many_rows();
    rows.push(row.clone());
    world.insert_payloads(&[payload_of(&row, Some(r#"{"model":"x"}"#), Some("data: {}\n\n"))]).await;
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

    let number = |name: &str, default: u32| {
        std::env::var(name).map_or(default, |text| text.parse().expect("it is a number"))
    };
    let (examples, seed) = (number("WEIR_SCHEMATHESIS_EXAMPLES", 60), number("WEIR_SCHEMATHESIS_SEED", 1));
    let here = json!({"account_id": ACCOUNT, "gateway_id": GATEWAY, "id": id_text(&row)});
    // Where there is something, anywhere, and by nobody.
    for (token, parameters, examples) in [
        (Some(TOKEN), here.clone(), examples),
        (Some(TOKEN), json!({}), examples / 2),
        (None, here, examples / 4),
    ] {
        let task = json!({
            "url": format!("{}/openapi.json", world.url),
            "token": token,
            "parameters": parameters,
            "examples": examples.max(1),
            "seed": seed,
        });
        let asked =
            tokio::task::spawn_blocking(move || run_client(SCHEMATHESIS, &task.to_string())).await.unwrap();
        let asked: u32 = asked.trim().parse().unwrap();
        assert!(asked > 5 * examples, "only {asked} requests were made");
    }
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
