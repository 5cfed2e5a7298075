//! Budgets, from a push to an alert: each threshold once, whoever is killed, and every alert to its webhooks.

mod endpoint;
mod gone;
mod places;
mod slow;

use std::time::Duration;

use futures_util::StreamExt;
use harness::traffic::{now_ms, record};
use harness::{System, eventually, jetstream};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};
use weir_budget::{ALERTS_STREAM, Alert, Anomaly};
use weir_local::{Installation, Probe, Program, Service, free_address};

use self::endpoint::{Endpoint, SECRET};

const LIMIT: Duration = Duration::from_mins(1);
const BUDGETS: &str = "/v1/budgets?account_id=acc&gateway_id=gw";

/// One more aggregator, which may know the webhook `ops`, `theirs` of another account, and `forgotten` of nobody's.
async fn aggregator(
    system: &System,
    dir: &TempDir,
    name: &str,
    endpoint: Option<&Endpoint>,
    variables: &[(&str, &str)],
) -> Service {
    let binary = Installation::detect().unwrap().binary("aggregator").unwrap();
    let ops = free_address().unwrap();
    let mut program = Program::new(name, binary, dir.path().join(format!("{name}.log")))
        .reaching(&system.weir.clickhouse, &system.weir.nats)
        .env("WEIR_AGGREGATOR_OPS_LISTEN", ops.to_string())
        .ready_when(Probe::Http(format!("http://{ops}/readyz")));
    for (name, value) in variables {
        program = program.env(name, value);
    }
    if let Some(endpoint) = endpoint {
        let path = dir.path().join("webhooks.toml");
        let entry = |name: &str, accounts: &str| {
            let url = &endpoint.url;
            format!("[{name}]\nurl = \"{url}\"\nsecret = \"{SECRET}\"\naccounts = [{accounts}]\n")
        };
        let entries = [entry("ops", "\"acc\""), entry("theirs", "\"other\""), entry("forgotten", "")];
        std::fs::write(&path, entries.concat()).unwrap();
        program = program.env("WEIR_AGGREGATOR_WEBHOOKS_FILE", path.to_str().unwrap());
    }
    Service::start(program, LIMIT).await.unwrap()
}

async fn create(system: &System, body: Value) -> String {
    let url = format!("http://{}{BUDGETS}", system.weir.addresses.query_api);
    let request = system.http.post(url).bearer_auth(&system.weir.secrets.query_token).body(body.to_string());
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let made: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    made["id"].as_str().unwrap().to_owned()
}

async fn push(system: &System, numbers: std::ops::Range<u64>) {
    let lines: Vec<_> = numbers.map(|number| record(number, now_ms())).collect();
    let answer = system.push(&lines.join("\n")).await;
    assert!(answer.status.is_success(), "{}", answer.text);
}

/// All that was ever told, in order.
async fn told(system: &System) -> Vec<Alert> {
    let context = jetstream(&system.weir.nats).await;
    let Ok(stream) = context.get_stream(ALERTS_STREAM).await else { return Vec::new() };
    let mut alerts = Vec::new();
    for sequence in 1..=stream.get_info().await.unwrap().state.last_sequence {
        let message = stream.get_raw_message(sequence).await.unwrap();
        if !message.subject.contains("anomaly") {
            alerts.push(serde_json::from_slice(&message.payload).unwrap());
        }
    }
    alerts
}

/// The thresholds that were told of a budget, in order.
async fn thresholds(system: &System, budget: &str) -> Vec<u16> {
    let of = |alert: &Alert| (alert.data.budget_id == budget).then_some(alert.data.threshold);
    told(system).await.iter().filter_map(of).collect()
}

/// The value of a series; 0 if it is not there.
async fn metric_of(system: &System, service: &Service, series: &str) -> i64 {
    let metrics = system.metrics_of(service).await;
    let value = metrics.lines().find_map(|line| line.strip_prefix(series));
    value.map_or(0, |value| value.trim().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_tells_of_each_threshold_once_whoever_watches() {
    let system = System::start().await;
    let dir = TempDir::new().unwrap();
    let second = aggregator(&system, &dir, "second", None, &[]).await;
    let by_cost = json!({"name": "cost", "measure": "cost", "limit": "0.0065", "period": "month", "timezone": "Asia/Kolkata"});
    let cost = create(&system, by_cost).await;
    let by_calls = json!({"name": "calls", "measure": "requests", "limit": 6, "window_s": 3600, "thresholds": [100],
        "filter": "tokens_in > 99 and model contains \"GPT\""});
    let calls = create(&system, by_calls).await;
    let other = json!({"name": "other", "measure": "requests", "limit": 1, "period": "day", "filter": "model = \"x\""});
    let other = create(&system, other).await;

    let url = &system.weir.nats.url;
    let bus =
        async_nats::ConnectOptions::with_token(system.weir.nats.token.clone()).connect(url).await.unwrap();
    let mut heard = bus.subscribe("weir.alerts.>").await.unwrap();
    bus.flush().await.unwrap();
    push(&system, 0..4).await;
    push(&system, 4..5).await;
    let pushed = Instant::now();
    let message = timeout(LIMIT, heard.next()).await.unwrap().unwrap();
    eprintln!("told {} ms after the ack", pushed.elapsed().as_millis());
    let alert: Alert = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(message.subject.as_str(), format!("weir.alerts.{cost}.50"));
    assert_eq!(
        (alert.data.value.to_string(), alert.data.limit.to_string()),
        ("0.00325".into(), "0.0065".into())
    );
    assert_eq!(alert.data.from.to_string().get(10..), Some("T18:30:00.000Z"), "midnight in Kolkata");

    // The rest, in pieces, while those who watch are killed in turn. What is stored meanwhile is read when there is somebody.
    system.weir.aggregator.kill_hard().unwrap();
    push(&system, 5..8).await;
    let crossed = async || thresholds(&system, &cost).await == [50, 80];
    eventually(LIMIT, true, crossed).await;
    system.weir.aggregator.restart(LIMIT).await.unwrap();
    // One that is frozen and wakes up when somebody else has told has nothing to tell.
    second.suspend().unwrap();
    push(&system, 8..12).await;
    let crossed = async || thresholds(&system, &cost).await == [50, 80, 100];
    eventually(LIMIT, true, crossed).await;
    second.resume().unwrap();
    assert_eq!(thresholds(&system, &calls).await, [100]);
    assert_eq!(thresholds(&system, &other).await, Vec::<u16>::new());

    // Started anew, with all of it read anew, nobody tells again; what is agreed anew is told at once.
    system.weir.aggregator.restart(LIMIT).await.unwrap();
    let last =
        create(&system, json!({"name": "last", "measure": "requests", "limit": 12, "period": "year"})).await;
    let crossed = async || thresholds(&system, &last).await == [50, 80, 100];
    eventually(LIMIT, true, crossed).await;
    assert_eq!(thresholds(&system, &cost).await, [50, 80, 100]);
    let mut ids: Vec<_> = told(&system).await.into_iter().map(|alert| alert.data.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), told(&system).await.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_not_used_and_what_comes_late_is() {
    let system = System::start().await;
    let budget = json!({"name": "a", "measure": "requests", "limit": 10, "period": "year", "thresholds": [10, 80, 100]});
    let budget = create(&system, budget).await;
    push(&system, 0..7).await;
    let crossed = async || thresholds(&system, &budget).await == [10];
    eventually(LIMIT, true, crossed).await;
    let spent = async || {
        let answer = system.get(&BUDGETS.replace('?', &format!("/{budget}?"))).await;
        serde_json::from_str::<Value>(&answer.text).unwrap()["spent"]["value"].to_string()
    };
    assert_eq!(spent().await, "7");
    let logs = format!(
        "http://{}/client/v4/accounts/acc/ai-gateway/gateways/gw/logs",
        system.weir.addresses.query_api
    );
    let filter = "filters.key=success&filters.operator=eq&filters.value=true";
    let deleted =
        system.http.delete(format!("{logs}?{filter}")).bearer_auth(&system.weir.secrets.query_token);
    assert!(deleted.send().await.unwrap().status().is_success());
    let is_gone = async || spent().await == "0";
    eventually(LIMIT, true, is_gone).await;
    // Of an hour ago, which is kept by the quarter.
    let late: Vec<_> = (20..27).map(|number| record(number, now_ms() - 3_700_000)).collect();
    assert!(system.push(&late.join("\n")).await.status.is_success());
    let sentinel =
        json!({"name": "b", "measure": "requests", "limit": 7, "window_s": 86400, "thresholds": [100]});
    let sentinel = create(&system, sentinel).await;
    let crossed = async || thresholds(&system, &sentinel).await == [100];
    eventually(LIMIT, true, crossed).await;
    // Fourteen were stored and seven are there: that is not eighty in a hundred.
    assert_eq!(thresholds(&system, &budget).await, [10]);
    push(&system, 30..31).await;
    let crossed = async || thresholds(&system, &budget).await == [10, 80];
    eventually(LIMIT, true, crossed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_period_that_was_over_when_a_budget_was_made_is_none_of_its() {
    let system = System::start().await;
    let past: Vec<_> = (0..3).map(|number| record(number, now_ms() - 3_600_000)).collect();
    assert!(system.push(&past.join("\n")).await.status.is_success());
    let body = |period: Value| {
        let mut body = json!({"name": "a", "measure": "requests", "limit": 3, "thresholds": [100]});
        body.as_object_mut().unwrap().extend(period.as_object().unwrap().clone());
        body
    };
    let hour = create(&system, body(json!({"period": "hour"}))).await;
    // What is made later is looked at with it, or after it.
    for _ in 0..2 {
        let sentinel = create(&system, body(json!({"window_s": 86400}))).await;
        let crossed = async || thresholds(&system, &sentinel).await == [100];
        eventually(LIMIT, true, crossed).await;
    }
    assert_eq!(thresholds(&system, &hour).await, Vec::<u16>::new());
    push(&system, 3..6).await;
    let crossed = async || thresholds(&system, &hour).await == [100];
    eventually(LIMIT, true, crossed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_gets_to_its_webhook_although_who_sends_it_is_killed() {
    let system = System::start().await;
    let dir = TempDir::new().unwrap();
    let endpoint = Endpoint::start().await;
    // The only one from here on.
    system.weir.aggregator.stop(LIMIT).await.unwrap();
    let sender = aggregator(&system, &dir, "sender", Some(&endpoint), &[]).await;
    let body = |name: &str, webhooks: Value| json!({"name": name, "measure": "requests", "limit": 2, "window_s": 3600, "thresholds": [100], "webhooks": webhooks});
    let budget = create(&system, body("told", json!(["ops", "theirs", "nobody-knows-it"]))).await;
    let silent = create(&system, body("silent", json!([]))).await;
    let read: Value = serde_json::from_str(&system.get(BUDGETS).await.text).unwrap();
    for read in read["budgets"].as_array().unwrap() {
        let expected = if read["id"] == silent { Value::Null } else { json!(["theirs", "nobody-knows-it"]) };
        assert_eq!(read["webhooks_without_way"], expected, "{read}");
    }
    push(&system, 0..2).await;
    // It hears of it and does not answer; then its sender is gone.
    endpoint.wait_for(1).await;
    sender.kill_hard().unwrap();
    endpoint.answer_with(503);
    sender.restart(LIMIT).await.unwrap();
    endpoint.wait_for(2).await;
    endpoint.answer_with(204);
    endpoint.wait_for(3).await;
    let deliveries = endpoint.deliveries();
    let told = told(&system).await;
    let alert = told.iter().find(|alert| alert.data.budget_id == budget).unwrap();
    for delivery in &deliveries {
        assert_eq!(delivery.header("webhook-id"), alert.data.id);
        assert_eq!(delivery.header("content-type"), "application/json");
        assert_eq!(serde_json::from_slice::<Alert>(&delivery.body).unwrap(), *alert);
        delivery.verify();
    }
    // The endpoint has it: nothing more comes, also for the budget that names no webhook.
    let taken = "weir_aggregator_webhook_deliveries_total{outcome=\"Taken\"}";
    eventually(LIMIT, 1, async || metric_of(&system, &sender, taken).await).await;
    let deliveries = endpoint.deliveries().len();
    assert_eq!(thresholds(&system, &silent).await, [100]);
    // Nor for one that names a webhook which is not for its account; but it can be seen.
    let foreign = create(&system, body("foreign", json!(["theirs"]))).await;
    let is_refused = async || {
        metric_of(&system, &sender, "weir_aggregator_webhook_deliveries_total{outcome=\"Refused\"}").await > 0
    };
    let crossed = async || thresholds(&system, &foreign).await == [100] && is_refused().await;
    eventually(LIMIT, true, crossed).await;
    assert_eq!(endpoint.deliveries().len(), deliveries);
    let without_way = async || {
        let of = async |reason: &str| {
            let name = format!("weir_aggregator_budget_webhooks_without_way{{reason=\"{reason}\"}}");
            metric_of(&system, &sender, &name).await
        };
        (of("Unknown").await, of("Foreign").await)
    };
    eventually(LIMIT, (1, 2), without_way).await;
    let log = std::fs::read_to_string(sender.log()).unwrap();
    assert!(log.contains("budgets name webhooks that are not configured"), "{log}");
    let without_accounts: Vec<_> =
        log.lines().filter(|line| line.contains("webhook has no accounts")).collect();
    assert!(!without_accounts.is_empty(), "{log}");
    assert!(without_accounts.iter().all(|line| line.contains("forgotten")), "{without_accounts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_spends_much_more_than_it_used_to_is_told_of_once() {
    let system = System::start().await;
    let dir = TempDir::new().unwrap();
    let endpoint = Endpoint::start().await;
    endpoint.answer_with(200);
    let three_days_ago = now_ms() - 3 * 86_400_000;
    assert!(system.push(&record(0, three_days_ago)).await.status.is_success());
    let is_summed_up = async || system.sql("SELECT count() FROM usage_1m").await == "1";
    eventually(LIMIT, true, is_summed_up).await;
    system.weir.aggregator.stop(LIMIT).await.unwrap();
    let variables = [
        ("WEIR_AGGREGATOR_ANOMALY_FACTOR", "100"),
        ("WEIR_AGGREGATOR_ANOMALY_SPEND_FLOOR", "0.005"),
        // It is in the configuration that it leads there, whoever it is about.
        ("WEIR_AGGREGATOR_ANOMALY_WEBHOOKS", "theirs"),
    ];
    let first = aggregator(&system, &dir, "first", Some(&endpoint), &variables).await;
    // A gateway that nobody knows yet has no past to be held against.
    let now = |numbers: std::ops::Range<u64>| {
        let lines: Vec<_> = numbers.map(|number| record(number, now_ms())).collect();
        lines.join("\n")
    };
    assert!(system.push_to("acc/new", &now(100..120)).await.status.is_success());
    assert!(system.push(&now(1..9)).await.status.is_success());
    endpoint.wait_for(1).await;
    // Somebody else who looks, and reads the same, does not tell again.
    first.kill_hard().unwrap();
    let second = aggregator(&system, &dir, "second", Some(&endpoint), &variables).await;
    let log = || std::fs::read_to_string(second.log()).unwrap();
    let is_looking =
        async || log().lines().any(|line| line.contains("lease is taken") && line.contains("\"anomalies\""));
    eventually(LIMIT, true, is_looking).await;
    let budget =
        create(&system, json!({"name": "a", "measure": "requests", "limit": 8, "period": "year"})).await;
    let crossed = async || thresholds(&system, &budget).await == [50, 80, 100];
    eventually(LIMIT, true, crossed).await;
    // It may come twice if its sender was killed before it knew that it was taken, and is the same then.
    let deliveries = endpoint.deliveries();
    let delivery = &deliveries[0];
    assert!(deliveries.iter().all(|other| other.body == delivery.body), "{deliveries:?}");
    delivery.verify();
    let anomaly: Anomaly = serde_json::from_slice(&delivery.body).unwrap();
    assert_eq!((anomaly.kind.as_str(), anomaly.data.gateway_id.as_str()), ("anomaly.cost", "gw"));
    assert_eq!(anomaly.data.value.to_string(), "0.0052");
    assert_eq!(delivery.header("webhook-id"), anomaly.data.id);
}
