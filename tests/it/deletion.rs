//! `DELETE /logs`: what was chosen goes and nothing else does, whatever is killed, away or at work meanwhile, and every
//! figure that is made of rows follows.

mod api;
mod choice;
mod faults;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness::traffic::{cost_units, now_ms, record};
use harness::{System, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};

use self::api::Api;

/// What was left is looked for when it is two minutes old.
const LIMIT: Duration = Duration::from_mins(8);
const EAGER: (&str, &str) = ("WEIR_INGEST_RECONCILE_INTERVAL", "1s");
const DONE: &str = r#"{"success":true}"#;
const UNTOLD: &str = "SELECT count() FROM ledger FINAL WHERE deleted > 0 AND version < 2";

async fn start() -> System {
    System::start_with(|_| vec![(EAGER.0, EAGER.1.to_owned())]).await
}

pub(crate) fn lines(numbers: std::ops::Range<u64>, at: impl Fn(u64) -> i64) -> String {
    numbers.map(|number| record(number, at(number))).collect::<Vec<_>>().join("\n")
}

/// Requests in the longest windows of a gateway; `None` while they are not complete.
pub(crate) async fn live(system: &System, gateway: &str) -> Option<u64> {
    let answer = system.get(&format!("/v1/live?account_id=acc&gateway_id={gateway}")).await;
    let live = (answer.status == StatusCode::OK).then(|| answer.json())?;
    let rows = live["rows"].as_array().filter(|_| live["complete"] == Value::Bool(true))?;
    rows.iter().map(|row| row["windows"][3]["requests"].as_u64()).sum()
}

/// Holds rows, rollups, windows and the ledger against the number of logs that a gateway has now.
async fn expect_figures(system: &System, gateway: &str, count: u64) {
    let expected = format!("{count}\t{}", cost_units(count));
    let of = |table: &str, count: &str| {
        format!(
            "SELECT toUInt64({count}), toUInt128(sum(cost) * 1000000000000000000) FROM {table} \
             WHERE gateway_id = '{gateway}'"
        )
    };
    let (logs, rollups) = (of("logs", "count()"), of("usage_1m FINAL", "sum(requests)"));
    eventually(LIMIT, expected.clone(), || system.sql(&logs)).await;
    let bodies = format!("SELECT uniqExact(id) FROM bodies WHERE gateway_id = '{gateway}'");
    eventually(LIMIT, count.to_string(), || system.sql(&bodies)).await;
    eventually(LIMIT, expected, || system.sql(&rollups)).await;
    eventually(LIMIT, Some(count), || live(system, gateway)).await;
}

/// What the ledger says of all hours, for `received`, `stored`, `duplicates`, `deleted`, `deleting` and `rows`. It balances.
pub(super) async fn ledger(system: &System) -> Value {
    let time = |millis: i64| weir_event::Timestamp::from_millis(millis).unwrap();
    let hour = 3_600_000;
    let from = now_ms() / hour * hour;
    let (from, to) = (time(from - 48 * hour), time(from + hour));
    let answer = system.get(&format!("/v1/ledger?account_id=acc&from={from}&to={to}")).await.json();
    assert_eq!(answer["balanced"], true, "{answer}");
    let sum = |name: &str| {
        answer["hours"].as_array().unwrap().iter().map(|hour| hour[name].as_i64().unwrap()).sum()
    };
    let names = ["received", "stored", "duplicates", "deleted", "deleting", "rows"];
    json!(names.map(sum).map(|sum: i64| sum))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deleted_is_gone_from_every_figure_and_may_come_again() {
    let system = start().await;
    let api = Api::of(&system);
    let now = now_ms();
    // In the windows and before them.
    let at = |number: u64| now - i64::try_from(number).unwrap() * 40 * 60_000;
    let batch = lines(0..60, at);
    assert_eq!(system.push(&batch).await.json()["stored"], 60);
    assert_eq!(system.push_to("acc/other", &batch).await.json()["stored"], 60);
    eventually(LIMIT, "120".to_owned(), || system.sql("SELECT sum(requests) FROM usage_1m FINAL")).await;

    let oldest = system.sql("SELECT id FROM logs WHERE gateway_id = 'gw' ORDER BY created_at LIMIT 25").await;
    let oldest: Vec<_> = oldest.lines().map(str::to_owned).collect();
    assert_eq!(api.get(&format!("/{}/request", oldest[0])).await.0, 200);
    assert_eq!(api.delete("?limit=25").await, (200, DONE.to_owned()));
    for id in &oldest {
        for tail in ["", "/request", "/response"] {
            assert_eq!(api.get(&format!("/{id}{tail}")).await.0, 404, "{tail}");
        }
    }
    assert_eq!(system.sql("SELECT count(), countIf(gateway_id = 'other') FROM logs").await, "95\t60");
    assert_eq!(system.sql("SELECT uniqExact(id) FROM bodies").await, "95");
    assert_eq!(
        ledger(&system).await,
        json!([120, 95, 0, 25, 25, 95]),
        "just stored: told of once more later"
    );
    let rollup = "SELECT sum(requests), toUInt128(sum(cost) * 1000000000000000000) FROM usage_1m FINAL WHERE gateway_id = 'gw'";
    eventually(LIMIT, format!("35\t{}", cost_units(35)), || system.sql(rollup)).await;
    eventually(LIMIT, Some(35), || live(&system, "gw")).await;
    eventually(LIMIT, "0".to_owned(), || system.sql(UNTOLD)).await;
    assert_eq!(ledger(&system).await, json!([120, 95, 0, 25, 0, 95]));

    // What is pushed again is new.
    let again = system.push(&batch).await.json();
    assert_eq!((&again["stored"], &again["duplicates"]), (&json!(25), &json!(35)), "{again}");
    assert_eq!(api.get(&format!("/{}/request", oldest[0])).await.0, 200);
    assert_eq!(ledger(&system).await, json!([180, 120, 35, 25, 0, 120]));
    eventually(LIMIT, format!("60\t{}", cost_units(60)), || system.sql(rollup)).await;
    // A deletion of nothing is done at once.
    assert_eq!(
        api.delete("?filters.key=model&filters.operator=eq&filters.value=none").await,
        (200, DONE.to_owned())
    );
    assert_eq!(ledger(&system).await, json!([180, 120, 35, 25, 0, 120]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletions_beside_each_other_and_beside_pushes_count_every_log_once() {
    const BATCH: u64 = 50;
    let system = Arc::new(start().await);
    let api = Api::of(&system);
    assert_eq!(system.push_to("acc/other", &lines(0..30, |_| now_ms())).await.json()["stored"], 30);
    let stop = Arc::new(AtomicBool::new(false));
    let pushes = {
        let (system, stop) = (Arc::clone(&system), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut next = 0;
            while !stop.load(Ordering::SeqCst) {
                let batch = lines(next..next + BATCH, |_| now_ms());
                for _ in 0..2 {
                    let answer = system.push(&batch).await;
                    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
                }
                next += BATCH;
            }
        })
    };
    let enough = "SELECT count() >= 150 FROM logs WHERE gateway_id = 'gw'";
    for round in 0..4 {
        eventually(LIMIT, "1".to_owned(), || system.sql(enough)).await;
        let query = if round % 2 == 0 { "?limit=70" } else { "?order_by_direction=desc&limit=120" };
        let (one, two, three) = tokio::join!(api.delete(query), api.delete(query), api.delete("?limit=30"));
        for answer in [one, two, three] {
            assert!([200, 202].contains(&answer.0), "{answer:?}");
        }
    }
    stop.store(true, Ordering::SeqCst);
    pushes.await.unwrap();
    eventually(LIMIT, "0".to_owned(), || system.sql(UNTOLD)).await;
    let left: u64 = system.sql("SELECT count() FROM logs WHERE gateway_id = 'gw'").await.parse().unwrap();
    expect_figures(&system, "gw", left).await;
    expect_figures(&system, "other", 30).await;
    let sums = ledger(&system).await;
    let (stored, deleted, rows) = (&sums[1], &sums[3], &sums[5]);
    assert_eq!((stored, rows), (&json!(left + 30), &json!(left + 30)));
    assert!(deleted.as_u64() >= Some(2 * 70 + 2 * 120), "{sums}");
    let received = system.sql("SELECT sum(received) - sum(duplicates) FROM ledger FINAL").await;
    assert_eq!(received, (left + 30 + deleted.as_u64().unwrap()).to_string());
}
