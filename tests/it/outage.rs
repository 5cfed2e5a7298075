//! Services that are away, frozen or slow: nothing is acked that is not stored, nothing is stored twice, and what works
//! goes on. Without a spool, where these are about ClickHouse: what it does is shown in `spool.rs`.

pub(crate) mod proxy;

use std::time::{Duration, Instant};

use harness::traffic::{now_ms, record};
use harness::{Answer, System, eventually};
use proxy::Proxy;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::sleep;
use weir_event::bus::USAGE_STREAM;
use weir_local::Weir;

const LIMIT: Duration = Duration::from_mins(1);
/// How long a push may take to be refused by an ingest that gives ClickHouse one second.
const REFUSED_WITHIN: Duration = Duration::from_secs(4);

const STORED: &str = "SELECT count() FROM logs";
const MONTH_MS: i64 = 31 * 24 * 3_600 * 1_000;
const ROLLUPS: &str = "SELECT sum(requests) FROM usage_1m FINAL";

fn variables() -> Vec<(&'static str, String)> {
    vec![("WEIR_INGEST_WRITE_TIMEOUT", "1s".to_owned()), ("WEIR_INGEST_SPOOL_BYTES_MAX", "0B".to_owned())]
}

async fn impatient() -> System {
    System::start_with(|_| variables()).await
}

/// An impatient ingest whose way to ClickHouse leads through the proxy.
async fn behind(proxy: &mut Proxy) -> System {
    System::start_with(|clickhouse| {
        let url = proxy.lead_to(&clickhouse.url);
        variables().into_iter().chain([("WEIR_CLICKHOUSE_URL", url)]).collect()
    })
    .await
}

/// Pushes until it is acked, as Logpush does.
async fn push_until_acked(system: &System, lines: &str) -> Value {
    let begun = Instant::now();
    loop {
        match system.try_push(lines).await {
            Ok(answer) if answer.status == StatusCode::OK => return answer.json(),
            Ok(answer) => assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text),
            // Nobody there.
            Err(_) => {}
        }
        assert!(begun.elapsed() < LIMIT, "not acked after {LIMIT:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

async fn expect_refusal(system: &System, lines: &str) {
    let begun = Instant::now();
    let answer = system.push(lines).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
    assert!(begun.elapsed() < REFUSED_WITHIN, "refused after {:?}", begun.elapsed());
}

#[tokio::test]
async fn while_clickhouse_is_frozen_pushes_are_refused_in_time_and_stored_once_after() {
    let system = impatient().await;
    let (one, two) = (record(1, now_ms()), record(2, now_ms()));
    push_until_acked(&system, &one).await;
    system.weir.clickhouse.service.suspend().unwrap();
    expect_refusal(&system, &two).await;
    expect_refusal(&system, &two).await;
    system.weir.clickhouse.service.resume().unwrap();
    push_until_acked(&system, &two).await;
    assert_eq!(system.sql(STORED).await, "2");
    let (received, ended) = system.records().await;
    assert!(received >= 4);
    assert_eq!(received, ended);
}

#[tokio::test]
async fn a_question_that_hangs_is_bounded_too() {
    let mut proxy = Proxy::new();
    let system = behind(&mut proxy).await;
    let line = record(1, now_ms());
    proxy.hold_next(&["SELECT `id`", "logs"]);
    expect_refusal(&system, &line).await;
    push_until_acked(&system, &line).await;
    assert_eq!(system.sql(STORED).await, "1");
}

#[tokio::test]
async fn a_look_for_races_that_hangs_fails_no_push() {
    let mut proxy = Proxy::new();
    let system = behind(&mut proxy).await;
    push_until_acked(&system, &record(1, now_ms())).await;
    proxy.hold_next(&["SELECT id", "_part"]);
    let answer = system.push(&record(2, now_ms())).await;
    assert!(proxy.has_come(), "nothing was held");
    assert_eq!((answer.status, &answer.json()["stored"]), (StatusCode::OK, &json!(1)), "{}", answer.text);
    assert_eq!(system.sql(STORED).await, "2");
}

#[tokio::test]
async fn an_insert_that_times_out_and_lands_late_is_stored_once() {
    let mut proxy = Proxy::new();
    let system = behind(&mut proxy).await;
    let line = record(1, now_ms());
    proxy.hold_next(&["INSERT", "logs"]);
    expect_refusal(&system, &line).await;
    proxy.wait_until_held().await;
    push_until_acked(&system, &line).await;
    assert_eq!(system.sql(STORED).await, "1");
    proxy.release();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(system.sql(STORED).await, "1");
}

#[tokio::test]
async fn an_insert_that_is_slower_than_the_timeout_is_stored_once() {
    let system = impatient().await;
    slow_down(&system).await;
    let line = record(1, now_ms());
    expect_refusal(&system, &line).await;
    // Not settled yet: refused at once.
    expect_refusal(&system, &line).await;
    let tally = push_until_acked(&system, &line).await;
    assert_eq!(tally["duplicates"], 1, "{tally}");
    sleep(SLOW).await;
    assert_eq!(system.sql(STORED).await, "1");
}

#[tokio::test]
async fn an_insert_that_outlives_its_process_is_waited_for_by_the_next() {
    let system = System::start_with(|_| vec![("WEIR_INGEST_SPOOL_BYTES_MAX", "0B".to_owned())]).await;
    slow_down(&system).await;
    let line = record(1, now_ms());
    let push = system.try_push(&line);
    tokio::select! {
        _ = push => panic!("the insert is not slow"),
        () = sleep(SLOW / 3) => {}
    }
    system.weir.ingest.kill_hard().unwrap();
    system.weir.ingest.restart(Weir::START_LIMIT).await.unwrap();
    let tally = push_until_acked(&system, &line).await;
    assert_eq!(tally["duplicates"], 1, "{tally}");
    sleep(SLOW).await;
    assert_eq!(system.sql(STORED).await, "1");
}

/// How long an insert of one row takes after [`slow_down`]: below the engine's limit for a sleep.
const SLOW: Duration = Duration::from_millis(2_900);

async fn slow_down(system: &System) {
    let column = format!("ALTER TABLE logs ADD COLUMN slow UInt8 MATERIALIZED sleep({})", SLOW.as_secs_f32());
    system.sql(&column).await;
}

#[tokio::test]
async fn a_batch_whose_rows_clickhouse_rejects_fails_alone() {
    one_fails_alone("ALTER TABLE logs ADD CONSTRAINT poison CHECK ray_id != '0000000000000003'").await;
}

#[tokio::test]
async fn a_batch_whose_bodies_clickhouse_rejects_fails_alone() {
    let poison = "ALTER TABLE bodies ADD CONSTRAINT poison CHECK NOT endsWith(JSONExtractString(assumeNotNull(texts[2]), 'id'), '-3')";
    one_fails_alone(poison).await;
}

async fn one_fails_alone(poison: &str) {
    let system = System::start().await;
    system.sql(poison).await;
    let at = now_ms();
    for round in 0..5 {
        let numbers = (0..8).map(|n| if n == 3 { 3 } else { 100 + round * 8 + n });
        let lines: Vec<_> = numbers.map(|number| record(number, at)).collect();
        let answers = futures_util::future::join_all(lines.iter().map(|line| system.push(line))).await;
        let statuses: Vec<_> = answers.iter().map(|answer: &Answer| answer.status.as_u16()).collect();
        assert_eq!(statuses, [200, 200, 200, 503, 200, 200, 200, 200]);
    }
    assert_eq!(system.sql(STORED).await, "35");
    assert_eq!(system.records().await, (40, 40));
}

#[tokio::test]
async fn one_push_may_bring_many_years() {
    let system = System::start().await;
    let now = now_ms();
    let lines: Vec<_> = (1..=150).map(|n: u32| record(n.into(), now - i64::from(n) * MONTH_MS)).collect();
    let tally = push_until_acked(&system, &lines.join("\n")).await;
    assert_eq!((&tally["received"], &tally["stored"]), (&json!(150), &json!(150)));
}

#[tokio::test]
async fn a_frozen_nats_holds_up_one_push_at_most() {
    /// For so long a push waits for NATS.
    const HELD: Duration = Duration::from_secs(2);
    const PUSHES: u64 = 40;
    let system = System::start().await;
    push_until_acked(&system, &record(0, now_ms())).await;
    let push_many = async |first: u64| {
        let begun = Instant::now();
        for number in first..first + PUSHES {
            let answer = system.push(&record(number, now_ms())).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        }
        begun.elapsed()
    };
    let usual = push_many(1).await;
    system.weir.nats.service.suspend().unwrap();
    let took = push_many(1 + PUSHES).await;
    // Many, so that even a machine with other work is far from what it would take to hold up each, or every other one.
    let each_held = HELD * u32::try_from(PUSHES).unwrap();
    assert!(took < usual * 2 + each_held / 2, "{PUSHES} pushes took {took:?}, and {usual:?} before");
    system.weir.nats.service.resume().unwrap();
    eventually(LIMIT, (2 * PUSHES + 1).to_string(), || system.sql(ROLLUPS)).await;
}

#[tokio::test]
async fn what_waited_for_nats_is_told_without_another_push() {
    let system = System::start().await;
    system.weir.nats.service.stop(Weir::STOP_LIMIT).await.unwrap();
    push_until_acked(&system, &record(1, now_ms())).await;
    system.weir.nats.service.restart(Weir::START_LIMIT).await.unwrap();
    eventually(LIMIT, "1".to_owned(), || system.sql(ROLLUPS)).await;
    let requests = async || system.live().await?["rows"][0]["windows"][3]["requests"].as_u64();
    eventually(LIMIT, Some(1), requests).await;
}

#[tokio::test]
async fn a_huge_name_does_not_stop_the_messages_behind_it() {
    let system = System::start().await;
    let at = now_ms();
    let huge = record(1, at).replace("gpt-4o-2024-05-13", &"m".repeat(9 << 20));
    push_until_acked(&system, &huge).await;
    push_until_acked(&system, &record(2, at)).await;
    eventually(LIMIT, "2".to_owned(), || system.sql(ROLLUPS)).await;
}

#[tokio::test]
async fn a_message_that_nats_refuses_is_dropped_and_the_next_is_taken() {
    let system = System::start().await;
    let nats = &system.weir.nats;
    let client = async_nats::ConnectOptions::with_token(nats.token.clone()).connect(&nats.url).await.unwrap();
    let context = async_nats::jetstream::new(client);
    push_until_acked(&system, &record(0, now_ms())).await;
    let mut stream = context.get_stream(USAGE_STREAM).await.unwrap();
    let mut config = stream.info().await.unwrap().config.clone();
    config.max_message_size = 1_500;
    context.update_stream(&config).await.unwrap();
    let lines: Vec<_> = (1..=20).map(|number| record(number, now_ms())).collect();
    push_until_acked(&system, &lines.join("\n")).await;
    push_until_acked(&system, &record(21, now_ms())).await;
    let messages =
        async || context.get_stream(USAGE_STREAM).await.unwrap().info().await.unwrap().state.messages;
    eventually(LIMIT, 2, messages).await;
    let dropped = r#"weir_ingest_usage_messages_dropped_total{reason="Refused"} 1"#;
    eventually(LIMIT, true, async || system.metrics_of(&system.weir.ingest).await.contains(dropped)).await;
}

#[tokio::test]
async fn a_process_that_stops_tells_what_it_has_stored() {
    let system = System::start().await;
    let (ingest, nats) = (&system.weir.ingest, &system.weir.nats.service);
    push_until_acked(&system, &record(0, now_ms())).await;
    nats.suspend().unwrap();
    push_until_acked(&system, &record(1, now_ms())).await;
    let resume = async {
        sleep(Duration::from_secs(1)).await;
        nats.resume().unwrap();
    };
    let (status, ()) = tokio::join!(ingest.stop(Weir::STOP_LIMIT), resume);
    assert!(status.unwrap().success());
    eventually(LIMIT, "2".to_owned(), || system.sql(ROLLUPS)).await;
}
