//! Pushes while ClickHouse is away: acked once they are durable, stored once when it is back, whatever dies meanwhile.

mod consumer;
mod disk;
mod doubt;
mod form;
mod messages;
mod stranded;

use std::time::Duration;

use harness::traffic::{example, now_ms, record};
use harness::{Answer, System, eventually, spooled};
use reqwest::StatusCode;
use serde_json::{Value, json};
use weir_event::bus::SPOOL_STREAM;
use weir_local::{Service, Weir};

const LIMIT: Duration = Duration::from_mins(2);
/// What was given to a drainer that was killed is given to another one after a minute.
const REDELIVERY_LIMIT: Duration = Duration::from_mins(4);

const STORED: &str = "SELECT count(), uniqExact(id) FROM logs";
const LEDGER: &str = "SELECT source, sum(received), sum(stored), sum(duplicates), sum(dead_lettered), sum(ignored) \
                      FROM ledger FINAL GROUP BY source";

fn variables() -> Vec<(&'static str, String)> {
    vec![
        ("WEIR_INGEST_WRITE_TIMEOUT", "1s".to_owned()),
        ("WEIR_INGEST_PAYLOAD_POLICIES", "*/*=store".to_owned()),
    ]
}

async fn start() -> System {
    System::start_with(|_| variables()).await
}

fn records(numbers: std::ops::Range<u64>) -> String {
    let at = now_ms();
    numbers.map(|number| record(number, at)).collect::<Vec<_>>().join("\n")
}

async fn stop_clickhouse(system: &System) {
    system.weir.clickhouse.service.stop(Weir::STOP_LIMIT).await.unwrap();
}

async fn restart(service: &Service) {
    service.restart(Weir::START_LIMIT).await.unwrap();
}

async fn restart_clickhouse(system: &System) {
    restart(&system.weir.clickhouse.service).await;
}

fn tally(answer: &Answer) -> Value {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()
}

/// Pushes what is put away, all of it.
async fn push_spooled(system: &System, lines: &str) {
    let tally = tally(&system.push(lines).await);
    assert_eq!(tally["spooled"], tally["received"], "{tally}");
}

async fn drained(system: &System) {
    eventually(LIMIT, 0, || spooled(&system.weir.nats)).await;
}

/// The value of a metric of `ingest`, 0 where it is not told.
async fn metric(system: &System, name: &str) -> u64 {
    let metrics = system.metrics_of(&system.weir.ingest).await;
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or(0)
}

#[tokio::test]
async fn what_is_pushed_without_clickhouse_is_stored_as_if_it_had_been_there() {
    let system = start().await;
    let odd = record(1, now_ms()).replace("\\\"messages\\\":[]", "\\\"messages\\\":[\\\"a;b é ✓\\\"]");
    assert!(odd.contains("a;b"));
    let lines = [
        example("seed_tail"),
        example("malacca_metrics_logpush"),
        odd,
        "\n[broken\n{\"content\":\"tests\"}\n".into(),
    ];
    let lines = lines.concat();
    assert_eq!(tally(&system.push_to("acc/direct", &lines).await)["stored"], 3);
    stop_clickhouse(&system).await;
    let answer = tally(&system.push_to("acc/late", &lines).await);
    let expected =
        json!({"received": 5, "stored": 0, "duplicates": 0, "dead_lettered": 0, "ignored": 1, "spooled": 4});
    assert_eq!(answer, expected);
    assert_eq!(spooled(&system.weir.nats).await, 5);
    restart_clickhouse(&system).await;
    drained(&system).await;
    let of = async |what: &str, table: &str, gateway: &str| {
        let rows = format!("SELECT {what} FROM {table} WHERE gateway_id = '{gateway}' ORDER BY ALL");
        system.sql(&rows).await
    };
    let log = "created_at, started_at, ray_id, source, provider, model, tokens_in, tokens_out, cost, price_id, \
               metadata, request_size, response_size, flags";
    for (what, table) in [
        (log, "logs"),
        ("DISTINCT started_at, hex(request), hex(response)", "bodies"),
        ("digest, source, reason, position, hex(raw)", "dead_letters FINAL"),
    ] {
        let direct = of(what, table, "direct").await;
        assert!(!direct.is_empty());
        assert_eq!(of(what, table, "late").await, direct);
    }
    assert_eq!(system.sql(LEDGER).await, "logpush\t10\t6\t0\t2\t2");
    assert_eq!(system.records().await, (10, 10));
    for (result, count) in [("Stored", 3), ("DeadLettered", 1), ("Duplicate", 0), ("Settled", 0)] {
        let name = format!("weir_ingest_drained_records_total{{source=\"logpush\",result=\"{result}\"}}");
        assert_eq!(metric(&system, &name).await, count, "{result}");
    }
    assert_eq!(tally(&system.push_to("acc/late", &lines).await)["duplicates"], 3);
    eventually(LIMIT, "6".to_owned(), || system.sql("SELECT sum(requests) FROM usage_1m FINAL")).await;
}

#[tokio::test]
async fn a_push_that_comes_again_is_stored_once_and_every_delivery_is_in_the_ledger() {
    let system = start().await;
    stop_clickhouse(&system).await;
    let lines = records(0..10);
    push_spooled(&system, &lines).await;
    let again = tally(&system.push(&lines).await);
    assert_eq!((&again["duplicates"], &again["spooled"]), (&json!(10), &Value::Null), "{again}");
    assert_eq!(spooled(&system.weir.nats).await, 10);
    // In another order it is another push.
    let mut turned: Vec<_> = lines.lines().collect();
    turned.reverse();
    push_spooled(&system, &turned.join("\n")).await;
    restart_clickhouse(&system).await;
    drained(&system).await;
    assert_eq!(tally(&system.push(&lines).await)["duplicates"], 10);
    assert_eq!(system.sql(STORED).await, "10\t10");
    assert_eq!(system.sql(LEDGER).await, "logpush\t40\t10\t30\t0\t0");
    assert_eq!(system.records().await, (40, 40));
}

#[tokio::test]
async fn the_spool_outlives_a_kill_of_everything_and_keeps_the_order() {
    let system = start().await;
    let weir = &system.weir;
    weir.clickhouse.service.kill_hard().unwrap();
    let sizes: Vec<u64> = (1..=12).collect();
    let mut next = 0;
    for size in &sizes {
        push_spooled(&system, &records(next..next + size)).await;
        next += size;
    }
    weir.ingest.kill_hard().unwrap();
    weir.nats.service.kill_hard().unwrap();
    restart(&weir.nats.service).await;
    // It starts, and takes work, without ClickHouse.
    restart(&weir.ingest).await;
    push_spooled(&system, &records(next..next + 1)).await;
    let subjects = messages::subjects(&system).await;
    let expected: Vec<_> =
        sizes.iter().chain(&[1]).map(|size| format!("weir.spool.logpush.{size}")).collect();
    assert_eq!(subjects, expected);
    weir.ingest.kill_hard().unwrap();
    restart_clickhouse(&system).await;
    restart(&weir.ingest).await;
    drained(&system).await;
    assert_eq!(system.sql(STORED).await, "79\t79");
    assert_eq!(system.sql(LEDGER).await, "logpush\t79\t79\t0\t0\t0");
}

#[tokio::test]
async fn two_processes_drain_together_and_one_may_die() {
    let system = start().await;
    stop_clickhouse(&system).await;
    for push in 0..60 {
        push_spooled(&system, &records(push * 100..(push + 1) * 100)).await;
    }
    let second = system.second_ingest(Vec::new()).await;
    restart_clickhouse(&system).await;
    let rows = async || system.sql("SELECT count() > 0 FROM logs").await;
    eventually(LIMIT, "1".to_owned(), rows).await;
    second.service.kill_hard().unwrap();
    eventually(REDELIVERY_LIMIT, 0, || spooled(&system.weir.nats)).await;
    assert_eq!(system.sql(STORED).await, "6000\t6000");
}

#[tokio::test]
async fn a_full_spool_refuses_and_takes_again_when_it_is_drained() {
    let mut variables = variables();
    variables.push(("WEIR_INGEST_SPOOL_BYTES_MAX", "64KiB".to_owned()));
    let system = System::start_with(|_| variables).await;
    stop_clickhouse(&system).await;
    let mut acked = 0;
    let refused = loop {
        let answer = system.push(&records(acked..acked + 100)).await;
        if answer.status != StatusCode::OK {
            break answer;
        }
        acked += 100;
        assert!(acked < 100_000, "the spool has no end");
    };
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.text);
    assert!(refused.retry_after.is_some());
    assert!(acked > 0);
    let not_ready = async || system.ops(&system.weir.ingest, "/readyz").await.status;
    eventually(LIMIT, StatusCode::SERVICE_UNAVAILABLE, not_ready).await;
    // To make it smaller than what is in it loses nothing.
    let jetstream = harness::jetstream(&system.weir.nats).await;
    let mut config = jetstream.get_stream(SPOOL_STREAM).await.unwrap().cached_info().config.clone();
    config.max_bytes = 32 << 10;
    jetstream.update_stream(&config).await.unwrap();
    assert_eq!(spooled(&system.weir.nats).await, acked);
    restart_clickhouse(&system).await;
    drained(&system).await;
    assert_eq!(system.sql(STORED).await, format!("{acked}\t{acked}"));
    stop_clickhouse(&system).await;
    let status = async || system.push(&records(acked..acked + 100)).await.status;
    eventually(LIMIT, StatusCode::OK, status).await;
    restart_clickhouse(&system).await;
    drained(&system).await;
    let all = acked + 100;
    assert_eq!(system.sql(STORED).await, format!("{all}\t{all}"));
}

#[tokio::test]
async fn without_nats_too_pushes_are_refused_and_who_asks_is_told() {
    let system = start().await;
    let readyz = async || system.ops(&system.weir.ingest, "/readyz").await;
    stop_clickhouse(&system).await;
    push_spooled(&system, &records(0..1)).await;
    let degraded = async || readyz().await.json()["degraded"]["clickhouse"].is_string();
    eventually(LIMIT, true, degraded).await;
    assert_eq!(readyz().await.status, StatusCode::OK, "the spool takes pushes");
    system.weir.nats.service.suspend().unwrap();
    for number in 1..4 {
        let answer = system.push(&records(number..number + 1)).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
        assert!(answer.retry_after.is_some());
    }
    eventually(LIMIT, StatusCode::SERVICE_UNAVAILABLE, async || readyz().await.status).await;
    system.weir.nats.service.resume().unwrap();
    system.weir.nats.service.kill_hard().unwrap();
    let answer = system.push(&records(4..5)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
    restart(&system.weir.nats.service).await;
    eventually(LIMIT, StatusCode::OK, async || readyz().await.status).await;
    let status = async || system.push(&records(5..6)).await.status;
    eventually(LIMIT, StatusCode::OK, status).await;
    restart_clickhouse(&system).await;
    drained(&system).await;
    let acked =
        "SELECT countIf(unhex(ray_id) IN (unhex('0000000000000000'), unhex('0000000000000005'))) FROM logs";
    assert_eq!(system.sql(acked).await, "2");
}

#[tokio::test]
async fn a_clickhouse_in_no_state_to_write_is_away() {
    let system = start().await;
    assert_eq!(tally(&system.push(&records(0..1)).await)["stored"], 1);
    system.sql("ALTER TABLE logs MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 1").await;
    push_spooled(&system, &records(1..3)).await;
    system.sql("ALTER TABLE logs RESET SETTING parts_to_throw_insert, parts_to_delay_insert").await;
    drained(&system).await;
    assert_eq!(system.sql(STORED).await, "3\t3");
    assert_eq!(system.sql(LEDGER).await, "logpush\t3\t3\t0\t0\t0");
}
