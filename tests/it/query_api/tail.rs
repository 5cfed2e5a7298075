//! The live tail: rows that are committed and told of, to whoever looks on and may.

use std::time::{Duration, Instant};

use harness::traffic::record;
use harness::{Client, System, eventually, run_client};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::sleep;
use weir_event::bus::{UsageEntry, UsageMessage, usage_subject};
use weir_event::{EventId, Scope, Timestamp};
use weir_local::Nats;
use weir_store::LogRow;

use super::rows::{ACCOUNT, GATEWAY, STARTED_AT, id_of, id_text, seed_row};
use super::stream::EventStream;
use super::tokens::make;
use super::world::{TOKEN, World};
use crate::outage::proxy::Proxy;

const LIMIT: Duration = Duration::from_mins(1);
/// Within this a row is in the tail, where nothing is wrong.
const SOON: Duration = Duration::from_secs(3);

fn tail_path(gateway: &str, filter: &str) -> String {
    let parameters = [("account_id", ACCOUNT), ("gateway_id", gateway), ("filter", filter)];
    let url = reqwest::Url::parse_with_params("http://x/v1/tail", parameters).unwrap();
    format!("/v1/tail?{}", url.query().unwrap())
}

async fn tail(world: &World, filter: &str) -> EventStream {
    EventStream::open(&format!("{}{}", world.url, tail_path(GATEWAY, filter)), TOKEN).await.unwrap()
}

/// A row of a gateway.
fn row(n: i64, gateway: &'static str, model: &'static str) -> LogRow<'static> {
    let started_at = STARTED_AT + n;
    let id = id_of(started_at, &format!("{gateway}-{n}")).bytes();
    LogRow { gateway_id: gateway, id, started_at, created_at: started_at + 1, model, ..seed_row() }
}

/// Tells of rows as `ingest` does.
struct Announcer(async_nats::Client);

impl Announcer {
    async fn new(world: &World) -> Self {
        let options = async_nats::ConnectOptions::with_token(world.nats.token.clone());
        Self(options.retry_on_initial_connect().connect(&world.nats.url).await.unwrap())
    }

    async fn tell(&self, rows: &[LogRow<'static>], duplicate: bool) {
        let entry = |row: &LogRow<'static>| {
            let entry = json!({
                "id": EventId::try_from(row.id).unwrap(),
                "scope": Scope::parse(row.account_id, row.gateway_id).unwrap(),
                "created_at": Timestamp::from_millis(row.created_at).unwrap(),
                "provider": row.provider, "model": row.model, "token": "", "success": true, "cached": false,
                "tokens_in": null, "tokens_out": null, "cost": null, "cost_source": "unpriced",
                "duplicate": duplicate,
            });
            serde_json::from_value::<UsageEntry>(entry).unwrap()
        };
        for rows in rows.chunks(1_000) {
            let message = UsageMessage { entries: rows.iter().map(entry).collect() };
            let payload = serde_json::to_vec(&message).unwrap();
            self.0.publish(usage_subject(3), payload.into()).await.unwrap();
        }
        self.0.flush().await.unwrap();
    }
}

async fn commit(world: &World, announcer: &Announcer, rows: &[LogRow<'static>]) {
    world.insert_logs(rows).await;
    announcer.tell(rows, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_in_the_tail_within_seconds_each_row_once() {
    let system = System::start().await;
    let (url, token) =
        (format!("http://{}", system.weir.addresses.query_api), &system.weir.secrets.query_token);
    let path = |filter: &str| tail_path(GATEWAY, filter).replace(GATEWAY, "gw");
    let mut all = EventStream::open(&format!("{url}{}", path("")), token).await.unwrap();
    let header = |name: &str| all.headers.get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(
        (header("content-type"), header("cache-control"), header("x-accel-buffering")),
        ("text/event-stream".to_owned(), "no-cache".to_owned(), "no".to_owned())
    );
    let now = harness::traffic::now_ms();
    let lines = |numbers: std::ops::Range<u64>| {
        numbers
            .map(|number| record(number, now - 60_000 + number.cast_signed()))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let begun = Instant::now();
    assert_eq!(system.push(&lines(0..300)).await.json()["stored"], 300);
    let first = all.next().await.unwrap();
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
    assert_eq!(first.name, "row");
    let shown = &first.data;
    assert_eq!(
        (&shown["provider"], &shown["model"], &shown["source"], &shown["success"]),
        (&json!("azure-openai"), &json!("gpt-4o-2024-05-13"), &json!("logpush"), &json!(true))
    );
    assert_eq!((shown["cost"].to_string(), &shown["tokens"]), ("0.00065".to_owned(), &json!(110)));
    let mut ids = all.row_ids(299).await;
    ids.extend(first.id);

    // Pushed again, and with what is new.
    let mut some = EventStream::open(&format!("{url}{}", path("status_code = 200")), token).await.unwrap();
    let mut none = EventStream::open(&format!("{url}{}", path("success = false")), token).await.unwrap();
    assert_eq!(system.push(&lines(290..320)).await.json()["stored"], 20);
    assert_eq!(some.row_ids(20).await.len(), 20);
    ids.extend(all.row_ids(20).await);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 320);
    assert!(all.is_silent(SOON).await && some.is_silent(SOON).await && none.is_silent(SOON).await);
    let metrics = system.metrics_of(&system.weir.query_api).await;
    assert!(metrics.contains(r#"weir_query_streams{stream="Tail"} 3"#), "{metrics}");
    assert!(metrics.contains(r#"weir_query_tailed_rows_total{result="Shown"} 340"#), "{metrics}");

    // The stop waits for none of them.
    let begun = Instant::now();
    let status = system.weir.query_api.stop(LIMIT).await.unwrap();
    assert!(status.success() && begun.elapsed() < Duration::from_secs(10), "{status} {:?}", begun.elapsed());
    for mut stream in [all, some, none] {
        let end = stream.next().await.unwrap();
        assert_eq!((end.name.as_str(), &end.data["reason"]), ("end", &Value::from("stopping")));
        assert_eq!(stream.next().await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_does_not_wait_for_the_rows_of_another_tenant() {
    let mut proxy = Proxy::new();
    let world = World::start_behind(Some(&mut proxy), &[("WEIR_QUERY_API_REQUEST_TIMEOUT", "10m")]).await;
    let announcer = Announcer::new(&world).await;
    let url = |gateway: &str| format!("{}{}", world.url, tail_path(gateway, ""));
    let _slow = EventStream::open(&url("slow"), TOKEN).await.unwrap();
    let mut quick = EventStream::open(&url(GATEWAY), TOKEN).await.unwrap();
    proxy.hold_next(&["name=\"param_gateway_id\"\r\n\r\nslow\r\n"]);
    commit(&world, &announcer, &[row(1, "slow", "a")]).await;
    proxy.wait_until_it_came().await;
    for n in 2..5 {
        commit(&world, &announcer, &[row(n, GATEWAY, "a")]).await;
        assert_eq!(quick.row_ids(1).await.len(), 1);
    }
    assert!(!proxy.is_abandoned(), "the rows of the slow one are waited for all the time");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_call_is_in_the_tail_too() {
    let system = System::start().await;
    let url = format!(
        "http://{}{}",
        system.weir.addresses.query_api,
        tail_path(GATEWAY, "").replace(GATEWAY, "gw")
    );
    let mut tail = EventStream::open(&url, &system.weir.secrets.query_token).await.unwrap();
    let topup = include_str!("../../../schemas/json/examples/new_api_log/topup.json").replace('\n', " ");
    let push = async || {
        let url = format!("http://{}/v1/events/acc/gw", system.weir.addresses.ingest);
        let push = system.http.post(url).bearer_auth(&system.weir.secrets.ingest_token).body(topup.clone());
        push.send().await.unwrap().json::<Value>().await.unwrap()
    };
    let answer = push().await;
    assert_eq!(answer["stored"], 1, "{answer}");
    let shown = tail.next().await.unwrap();
    assert_eq!((shown.name.as_str(), &shown.data["kind"]), ("row", &json!("topup")), "{:?}", shown.data);
    // Once, also when it is pushed again.
    assert_eq!(push().await["duplicates"], 1);
    assert!(tail.is_silent(SOON).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_shows_what_its_filter_lets_through_of_its_own_tenant() {
    let world = World::start().await;
    let announcer = Announcer::new(&world).await;
    let mut models = tail(&world, r#"model in ("a", "b") and metadata["team"] = "search""#).await;
    let mut costs = tail(&world, "cost > 0.005 and not (model = \"a\")").await;
    let rows = [
        row(1, GATEWAY, "a"),
        row(2, GATEWAY, "b"),
        row(3, GATEWAY, "c"),
        row(4, "beside", "a"),
        LogRow { account_id: "other", ..row(5, GATEWAY, "a") },
        LogRow { metadata: String::new(), ..row(6, GATEWAY, "b") },
    ];
    commit(&world, &announcer, &rows).await;
    assert_eq!(models.row_ids(2).await, [id_text(&rows[0]), id_text(&rows[1])]);
    assert_eq!(costs.row_ids(3).await, [&rows[1], &rows[2], &rows[5]].map(id_text));
    // Told of again, and what was there before anybody looked on.
    let old = row(7, GATEWAY, "a");
    world.insert_logs(std::slice::from_ref(&old)).await;
    announcer.tell(&rows, false).await;
    announcer.tell(&[old], true).await;
    // Told of before it is to be seen, as on a replica that is behind; and what never comes.
    let late = row(8, GATEWAY, "b");
    announcer.tell(&[late.clone(), row(9, GATEWAY, "b")], false).await;
    sleep(Duration::from_millis(400)).await;
    world.insert_logs(std::slice::from_ref(&late)).await;
    assert_eq!(models.row_ids(1).await, [id_text(&late)]);
    assert_eq!(costs.row_ids(1).await, [id_text(&late)]);
    for tail in [&mut models, &mut costs] {
        let gap = tail.next().await.unwrap();
        assert_eq!((gap.name.as_str(), &gap.data["rows"]), ("gap", &json!(1)));
        assert!(tail.is_silent(SOON).await);
    }

    for (query, expected) in [
        ("filter=modle%20%3D%201", "filter: at byte 0: there is no field 'modle'"),
        ("filter=cost%20%3E", "filter: at byte"),
        ("limit=1", "there is an unknown parameter"),
    ] {
        let path = format!("/v1/tail?account_id={ACCOUNT}&gateway_id={GATEWAY}&{query}");
        let answer = world.get(&path).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text);
        assert!(answer.text.contains(expected), "{}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_ends_with_its_token_and_there_are_no_more_than_allowed() {
    let world = World::start_with(&[
        ("WEIR_QUERY_API_STREAMS_MAX", "3"),
        ("WEIR_QUERY_API_STREAMS_PER_CALLER_MAX", "2"),
        ("WEIR_QUERY_API_TOKEN_REFRESH", "200ms"),
    ])
    .await;
    let one = make(&world, &["--permission", "read", "--account", ACCOUNT]).await;
    let url = format!("{}{}", world.url, tail_path(GATEWAY, ""));
    let mut stream = EventStream::open(&url, &one.token).await.unwrap();
    let second = EventStream::open(&url, &one.token).await.unwrap();
    let refused = EventStream::open(&url, &one.token).await.err().unwrap();
    assert_eq!(refused.0, 429);
    assert!(refused.1.contains(r#""code":"too_many""#), "{refused:?}");
    let third = tail(&world, "").await;
    assert_eq!(EventStream::open(&url, TOKEN).await.err().unwrap().0, 503);
    // Who leaves makes room.
    drop(third);
    let open = async || EventStream::open(&url, TOKEN).await.is_ok();
    eventually(LIMIT, true, open).await;
    drop(second);

    world.succeeded(&["tokens", "revoke", &one.id]).await;
    let end = stream.next().await.unwrap();
    assert_eq!((end.name.as_str(), &end.data["reason"]), ("end", &Value::from("unauthorized")));
    assert_eq!(stream.next().await, None);
    assert_eq!(EventStream::open(&url, &one.token).await.err().unwrap().0, 401);
    let metrics = reqwest::get(format!("{}/metrics", world.ops_url)).await.unwrap().text().await.unwrap();
    let ended = r#"weir_query_stream_ends_total{stream="Tail",reason="Unauthorized"} 1"#;
    assert!(metrics.contains(ended), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_is_told_when_nats_was_away_and_has_the_rows_after_it() {
    let world = World::start().await;
    let mut stream = tail(&world, "").await;
    world.nats.service.kill_hard().unwrap();
    let gap = stream.next().await.unwrap();
    assert_eq!((gap.name.as_str(), &gap.data["rows"]), ("gap", &Value::Null));
    let refused = world.get(&tail_path(GATEWAY, "")).await;
    assert_eq!((refused.status.as_u16(), refused.headers.contains_key("retry-after")), (503, true));
    world.nats.service.restart(Nats::START_LIMIT).await.unwrap();
    // Who comes when it is there again hears of everything.
    let url = format!("{}{}", world.url, tail_path(GATEWAY, ""));
    eventually(LIMIT, true, async || EventStream::open(&url, TOKEN).await.is_ok()).await;
    let announcer = Announcer::new(&world).await;
    let row = row(1, GATEWAY, "a");
    commit(&world, &announcer, std::slice::from_ref(&row)).await;
    assert_eq!(stream.row_ids(1).await, [id_text(&row)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_shown_when_clickhouse_is_back() {
    let world = World::start().await;
    let announcer = Announcer::new(&world).await;
    let mut stream = tail(&world, "").await;
    let row = row(1, GATEWAY, "a");
    world.insert_logs(std::slice::from_ref(&row)).await;
    world.clickhouse.service.kill_hard().unwrap();
    announcer.tell(std::slice::from_ref(&row), false).await;
    sleep(SOON).await;
    world.clickhouse.service.restart(weir_local::ClickHouse::START_LIMIT).await.unwrap();
    assert_eq!(stream.row_ids(1).await, [id_text(&row)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_too_slow_is_dropped_with_a_notice_and_holds_up_nobody() {
    let world = World::start().await;
    let announcer = Announcer::new(&world).await;
    let mut quick = tail(&world, "").await;
    // One that takes a little now and then.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(65_536).unwrap();
    let address = world.url.strip_prefix("http://").unwrap().parse().unwrap();
    let mut slow = socket.connect(address).await.unwrap();
    let path = tail_path(GATEWAY, "");
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    slow.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    slow.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");

    let memory = memory_of(&world);
    let path: &'static str = Box::leak("p".repeat(2_000).into_boxed_str());
    let (mut committed, mut text) = (0, Vec::new());
    for batch in 0..8 {
        let rows: Vec<_> =
            (0..1_500).map(|n| LogRow { path, ..row(batch * 1_500 + n, GATEWAY, "a") }).collect();
        commit(&world, &announcer, &rows).await;
        committed += rows.len();
        assert_eq!(quick.row_ids(rows.len()).await.len(), rows.len());
        let mut part = [0; 4_096];
        slow.read_exact(&mut part).await.unwrap();
        text.extend(part);
    }
    let grown = memory_of(&world).saturating_sub(memory);
    assert!(grown < 100 << 20, "{grown} bytes more for {committed} rows of 2 KB");
    // It reads after all: what was sent, how much was left out, and the end.
    slow.read_to_end(&mut text).await.unwrap();
    let text = String::from_utf8_lossy(&text);
    let shown = text.matches("event: row").count();
    let (_, notice) = text.split_once("event: dropped\ndata: ").expect("there is a notice");
    let notice: Value = serde_json::from_str(notice.lines().next().unwrap()).unwrap();
    assert_eq!(shown + usize::try_from(notice["rows"].as_u64().unwrap()).unwrap(), committed);
    assert!(shown < committed / 2, "{shown} of {committed}");
}

/// Resident memory of the query API, in bytes.
fn memory_of(world: &World) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.api.pid().unwrap())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_never_reads_is_not_waited_for() {
    let world = World::start().await;
    let announcer = Announcer::new(&world).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stuck =
        socket.connect(world.url.strip_prefix("http://").unwrap().parse().unwrap()).await.unwrap();
    let path = tail_path(GATEWAY, "");
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    stuck.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    stuck.read_exact(&mut head).await.unwrap();
    let path: &'static str = Box::leak("p".repeat(2_000).into_boxed_str());
    let rows: Vec<_> = (0..10_000).map(|n| LogRow { path, ..row(n, GATEWAY, "a") }).collect();
    commit(&world, &announcer, &rows).await;
    let dropped = async || {
        let metrics = reqwest::get(format!("{}/metrics", world.ops_url)).await.unwrap();
        metrics.text().await.unwrap().contains(r#"weir_query_tailed_rows_total{result="Dropped"}"#)
    };
    eventually(LIMIT, true, dropped).await;
    let begun = Instant::now();
    let status = world.api.stop(LIMIT).await.unwrap();
    assert!(status.success() && begun.elapsed() < Duration::from_secs(10), "{status} {:?}", begun.elapsed());
}

/// A reader of server-sent events that is not ours.
const SSE: Client = Client::Python { folder: "sse", script: "sse/read.py" };

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_server_sent_events_reads_a_tail() {
    let world = World::start().await;
    let announcer = Announcer::new(&world).await;
    let url = format!("{}{}", world.url, tail_path(GATEWAY, ""));
    let task = json!({ "url": url, "token": TOKEN, "events": 3 }).to_string() + "\n";
    let reading = tokio::task::spawn_blocking(move || run_client(SSE, &task));
    // What it opens, the metrics say.
    let open = async || {
        let metrics = reqwest::get(format!("{}/metrics", world.ops_url)).await.unwrap();
        metrics.text().await.unwrap().contains(r#"weir_query_streams{stream="Tail"} 1"#)
    };
    eventually(3 * LIMIT, true, open).await;
    // It is open before it hears of everything.
    sleep(SOON).await;
    let rows = [row(1, GATEWAY, "a"), row(2, GATEWAY, "line\nend \u{2028} \"é\" 🦀"), row(3, GATEWAY, "c")];
    commit(&world, &announcer, &rows).await;
    let said = reading.await.unwrap();
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], json!({ "open": true }));
    for (line, row) in lines[1..].iter().zip(&rows) {
        assert_eq!((&line["event"], &line["id"]), (&json!("row"), &json!(id_text(row))));
        assert_eq!(line["data"]["model"], row.model);
    }
    assert_eq!(lines.len(), 4);
}
