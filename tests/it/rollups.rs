//! Rollups heal by themselves: whatever became of the word of a row, its minute comes to what its rows do.

use std::time::Duration;

use harness::traffic::{cost_units, now_ms, record};
use harness::{System, eventually};
use reqwest::StatusCode;
use serde_json::Value;
use weir_local::Weir;

/// A minute is looked at when it was left alone for half a minute, and told of after a second look.
const LIMIT: Duration = Duration::from_mins(3);
const EAGER: (&str, &str) = ("WEIR_INGEST_RECONCILE_INTERVAL", "1s");
const ROLLUPS: &str = "SELECT sum(requests), toUInt128(sum(cost) * 1000000000000000000) FROM usage_1m FINAL";

async fn start() -> System {
    System::start_with(|_| vec![(EAGER.0, EAGER.1.to_owned())]).await
}

fn lines(numbers: std::ops::Range<u64>, at: i64) -> String {
    numbers.map(|number| record(number, at)).collect::<Vec<_>>().join("\n")
}

/// A figure of the first `ingest`.
async fn metric(system: &System, name: &str) -> Option<u64> {
    let metrics = system.metrics_of(&system.weir.ingest).await;
    let line = metrics.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    line.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

async fn differing(system: &System) -> Option<u64> {
    metric(system, "weir_ingest_rollup_minutes_differing").await
}

/// Requests in the hour's windows; `None` while they are not complete.
async fn live(system: &System) -> Option<u64> {
    let live = system.live().await.filter(|live| live["complete"] == Value::Bool(true))?;
    live["rows"].as_array()?.iter().map(|row| row["windows"][2]["requests"].as_u64()).sum()
}

#[tokio::test]
async fn rows_that_a_killed_process_could_not_tell_of_reach_rollups_and_windows() {
    let system = start().await;
    assert_eq!(system.push(&lines(1..4, now_ms())).await.json()["stored"], 3);
    eventually(LIMIT, format!("3\t{}", cost_units(3)), || system.sql(ROLLUPS)).await;
    // It has its rows committed, answers, and dies with what it would have told. They are of a minute that nothing else
    // touches: NATS may give out once more what came before.
    let unheard = lines(10..15, now_ms() - 10 * 60_000);
    system.weir.nats.service.kill_hard().unwrap();
    let answer = system.push(&unheard).await;
    assert_eq!((answer.status, &answer.json()["stored"]), (StatusCode::OK, &Value::from(5)));
    system.weir.ingest.kill_hard().unwrap();
    system.weir.nats.service.restart(Weir::START_LIMIT).await.unwrap();
    system.weir.ingest.restart(Weir::START_LIMIT).await.unwrap();
    eventually(LIMIT, format!("8\t{}", cost_units(8)), || system.sql(ROLLUPS)).await;
    eventually(LIMIT, Some(8), || live(&system)).await;
    eventually(LIMIT, Some(0), || differing(&system)).await;
}

#[tokio::test]
async fn what_differs_is_counted_and_told_of_and_what_does_not_is_left_alone() {
    const FIGURES: &str = "SELECT sum(requests), sum(errors), sum(cached), sum(unpriced), sum(tokens_in), sum(cost) \
        FROM usage_1m FINAL";
    let told = "weir_ingest_rollup_minutes_told_total";
    let system = start().await;
    // Rows of every kind that nobody told of, in two minutes of a day ago and an hour ago.
    let row = "INSERT INTO logs (account_id, gateway_id, id, created_at, started_at, ingested_at, source, write_id, \
            kind, success, cached, token, model, tokens_in, cost) \
        SELECT 'acc', 'gw', leftPad(toString(number), 26, '0'), \
            toStartOfMinute(now64(3)) - toIntervalHour(1 + 23 * (number % 2)) + toIntervalMillisecond(59999 * (number % 3 > 0)) AS at, \
            at, now64(3) - INTERVAL 1 MINUTE, 'http', 2, \
            ['consume', 'error', 'topup', 'login'][1 + number % 4], number % 4 != 1, number % 5 = 0, toString(number % 7), \
            'model', if(number % 3 = 0, NULL, number), if(number % 6 = 0, NULL, toDecimal128(number, 18) / 1000) \
        FROM numbers(400)";
    let expected = "SELECT count(), countIf(NOT success), countIf(cached), countIf(cost IS NULL), \
        sum(ifNull(tokens_in, 0)), sum(ifNull(cost, 0)) FROM logs WHERE kind IN ('consume', 'error')";
    system.sql(row).await;
    let expected = system.sql(expected).await;
    assert!(expected.starts_with("200\t100\t40\t"), "{expected}");
    eventually(LIMIT, expected.clone(), || system.sql(FIGURES)).await;
    eventually(LIMIT, Some(0), || differing(&system)).await;
    let minutes = metric(&system, told).await;

    // A row that was changed by hand, and that no computation outdoes.
    let by_hand = "INSERT INTO usage_1m SELECT * REPLACE (requests + 1 AS requests, toUInt64(-1) AS version) \
        FROM usage_1m FINAL ORDER BY minute DESC, token LIMIT 1";
    system.sql(by_hand).await;
    eventually(LIMIT, Some(1), || differing(&system)).await;
    let more = async || metric(&system, told).await >= minutes.map(|minutes| minutes + 2);
    eventually(LIMIT, true, more).await;
    assert_eq!(differing(&system).await, Some(1), "the other minutes are as they should be");
    system.sql("DELETE FROM usage_1m WHERE version = toUInt64(-1)").await;
    eventually(LIMIT, Some(0), || differing(&system)).await;
    eventually(LIMIT, expected, || system.sql(FIGURES)).await;
}

#[tokio::test]
async fn a_quarter_of_an_hour_that_differs_is_computed_anew() {
    const SUM: &str = "SELECT sum(requests), sum(cost) FROM usage_15m FINAL";
    let system = start().await;
    // Stored long enough ago for a quarter, and nobody told of them.
    let rows = "INSERT INTO logs (account_id, gateway_id, id, created_at, started_at, ingested_at, source, write_id, \
            kind, success, token, user_id, model, cost) \
        SELECT 'acc', 'gw', leftPad(toString(number), 26, '0'), \
            toStartOfHour(now64(3)) - toIntervalHour(2) + toIntervalSecond(number * 20) AS at, at, \
            now64(3) - INTERVAL 6 MINUTE, 'http', 2, 'consume', true, toString(number % 7), toString(number % 3), 'model', \
            toDecimal128(number, 18) / 1000 \
        FROM numbers(180)";
    system.sql(rows).await;
    eventually(LIMIT, "180\t16.11".to_owned(), || system.sql(SUM)).await;
    let by_hand = "INSERT INTO usage_15m SELECT * REPLACE (cost + 1 AS cost, version + 1 AS version) \
        FROM usage_15m FINAL ORDER BY slot, token, user_id LIMIT 1";
    system.sql(by_hand).await;
    assert_eq!(system.sql(SUM).await, "180\t17.11");
    eventually(LIMIT, "180\t16.11".to_owned(), || system.sql(SUM)).await;
    eventually(LIMIT, Some(0), || differing(&system)).await;
}
