//! The live windows by parameters, and as a stream.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use harness::traffic::{now_ms, record};
use harness::{System, eventually};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use weir_event::bus::{LIVE_SUBJECT, LiveRequest, LiveRow, LiveSnapshot, LiveWindow, Top};
use weir_event::{Dimension, Measure, Timestamp};

use super::rows::{ACCOUNT, GATEWAY};
use super::stream::EventStream;
use super::world::{TOKEN, World};

const LIMIT: Duration = Duration::from_mins(1);

/// Answers as an aggregator does, with the number of the question as the number of requests.
struct Aggregator {
    questions: Arc<Mutex<Vec<LiveRequest>>>,
    task: JoinHandle<()>,
}

impl Aggregator {
    async fn start(world: &World) -> Self {
        let options = async_nats::ConnectOptions::with_token(world.nats.token.clone());
        let nats = options.connect(&world.nats.url).await.unwrap();
        let mut incoming = nats.subscribe(LIVE_SUBJECT).await.unwrap();
        // The server takes orders in their order: with the echo here, it knows of the subscription too.
        let mut echo = nats.subscribe("tests.echo").await.unwrap();
        nats.publish("tests.echo", "".into()).await.unwrap();
        echo.next().await.unwrap();
        let questions = Arc::<Mutex<Vec<LiveRequest>>>::default();
        let asked = questions.clone();
        let task = tokio::spawn(async move {
            while let Some(question) = incoming.next().await {
                let count = {
                    let mut asked = asked.lock().unwrap();
                    asked.push(serde_json::from_slice(&question.payload).unwrap());
                    asked.len()
                };
                let answer = serde_json::to_vec(&answer(count.try_into().unwrap())).unwrap();
                nats.publish(question.reply.unwrap(), answer.into()).await.unwrap();
            }
        });
        Self { questions, task }
    }

    fn asked(&self) -> Vec<LiveRequest> {
        self.questions.lock().unwrap().clone()
    }
}

/// One row, of one window.
fn answer(requests: u64) -> LiveSnapshot {
    let window = LiveWindow { window_s: 60, requests, ..LiveWindow::default() };
    LiveSnapshot {
        as_of: Timestamp::from_millis(1_790_000_000_000).unwrap(),
        complete_through: None,
        complete: true,
        shards: (0..16).collect(),
        late: 0,
        rows: vec![LiveRow {
            provider: Some("openai".to_owned()),
            windows: vec![window],
            ..LiveRow::default()
        }],
    }
}

fn path(of: &str, more: &str) -> String {
    format!("/v1/{of}?account_id={ACCOUNT}&gateway_id={GATEWAY}{more}")
}

#[tokio::test(flavor = "multi_thread")]
async fn aggregators_are_asked_for_what_the_parameters_say() {
    let world = World::start().await;
    let aggregator = Aggregator::start(&world).await;
    let more = "&filter=provider%20%3D%20%22openai%22&group_by=provider&top=3&by=tokens&window=1m";
    let answer = world.get(&path("live", more)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let shown: Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!((&shown["rows"][0]["provider"], &shown["rows"][0]["token"]), (&json!("openai"), &Value::Null));
    let asked = aggregator.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].filter.as_str(), &asked[0].group_by),
        ("provider = \"openai\"", &vec![Dimension::Provider])
    );
    assert_eq!(asked[0].top, Some(Top { n: 3, by: Measure::Tokens, window_s: 60 }));

    for (more, expected) in [
        ("&top=3", "window: there is none of 3600s, but 60s"),
        ("&filter=cost%20%3E%201", "not cost"),
        ("&filter=cost", "filter: at byte"),
        ("&group_by=colour", "group_by: unknown dimension"),
        ("&by=cost", "by: is only of use with top"),
    ] {
        for of in ["live", "live/stream"] {
            let answer = world.get(&path(of, more)).await;
            assert_eq!(answer.status, 400, "{more}: {}", answer.text);
            assert!(answer.text.contains(expected), "{more}: {}", answer.text);
        }
    }
    assert_eq!(world.get(&path("live/stream", "&interval=1h")).await.status, 400);
    assert_eq!(world.get(&path("live", "&interval=1s")).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_streams_are_one_question_and_go_on_when_nobody_answers() {
    let world = World::start().await;
    let nobody = world.get(&path("live/stream", "")).await;
    assert_eq!((nobody.status.as_u16(), nobody.text.contains("no aggregator is running")), (503, true));
    let aggregator = Aggregator::start(&world).await;
    let open = async |more: &str| {
        EventStream::open(&format!("{}{}", world.url, path("live/stream", more)), TOKEN).await.unwrap()
    };
    let mut streams = Vec::new();
    for _ in 0..6 {
        streams.push(open("").await);
    }
    let mut other = open("&group_by=provider&interval=2s").await;
    let numbers = async |stream: &mut EventStream| {
        let mut numbers = Vec::new();
        while numbers.len() < 5 {
            let event = stream.next().await.unwrap();
            assert_eq!(event.name, "snapshot");
            numbers.push(event.data["rows"][0]["windows"][0]["requests"].as_u64().unwrap());
        }
        numbers
    };
    let seen = futures_util::future::join_all(streams.iter_mut().map(numbers)).await;
    for numbers in &seen {
        assert!(numbers.is_sorted() && numbers.first() < numbers.last(), "{numbers:?}");
    }
    assert_eq!(other.next().await.unwrap().name, "snapshot");
    // One for each stream as it began, and then one for each interval of each question.
    let asked = aggregator.asked().len();
    assert!(asked < 7 + 6 * 5, "{asked} questions");

    aggregator.task.abort();
    let unavailable = async |stream: &mut EventStream| loop {
        let event = stream.next().await.unwrap();
        if event.name == "unavailable" {
            return event.data["message"].as_str().unwrap().to_owned();
        }
    };
    let message = unavailable(&mut streams[0]).await;
    assert!(!message.is_empty());
    let _aggregator = Aggregator::start(&world).await;
    while streams[0].next().await.unwrap().name != "snapshot" {}

    let metrics = reqwest::get(format!("{}/metrics", world.ops_url)).await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"weir_query_streams{stream="Live"} 7"#), "{metrics}");
    let status = world.api.stop(LIMIT).await.unwrap();
    assert!(status.success(), "{status}");
    loop {
        let event = other.next().await.unwrap();
        if event.name == "end" {
            assert_eq!(event.data["reason"], "stopping");
            break;
        }
    }
    assert_eq!(other.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_is_in_the_next_snapshots() {
    let system = System::start().await;
    let url =
        format!("http://{}/v1/live/stream?account_id=acc&gateway_id=gw", system.weir.addresses.query_api);
    let ready = async || EventStream::open(&url, &system.weir.secrets.query_token).await.is_ok();
    eventually(LIMIT, true, ready).await;
    let mut stream = EventStream::open(&url, &system.weir.secrets.query_token).await.unwrap();
    let now = now_ms();
    let lines: Vec<_> = (0..20).map(|number| record(number, now - 1_000)).collect();
    assert_eq!(system.push(&lines.join("\n")).await.json()["stored"], 20);
    loop {
        let event = stream.next().await.unwrap();
        let windows = &event.data["rows"][0]["windows"];
        if windows[0]["requests"] == json!(20) {
            assert_eq!(
                (windows[0]["cost"].to_string(), &windows[0]["tokens_out"]),
                ("0.013".to_owned(), &json!(200))
            );
            break;
        }
    }
}
