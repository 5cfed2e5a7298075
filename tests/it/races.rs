//! Two ingest processes that store the same events at the same time: every event is there once, and every figure that is
//! made of it is right.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harness::traffic::{cost_units, now_ms, record};
use harness::{Answer, SecondIngest, System, eventually, spooled};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::time::sleep;
use weir_local::{Service, Weir};

use crate::outage::proxy::Proxy;

const LIMIT: Duration = Duration::from_mins(2);
const SENDERS: u64 = 4;
const RECORDS: u64 = 40;
/// For so long batches are pushed at least, and until some were stored twice.
const RACING: Duration = Duration::from_secs(4);

const DOUBLED: &str = "SELECT count() - uniqExact(id) FROM logs";
const BALANCE: &str = "SELECT sum(received), sum(stored), sum(duplicates), sum(dead_lettered + ignored + deleted) \
    FROM ledger FINAL";
const CORRECTIONS: &str =
    "SELECT count(), -sum(stored), min(version), max(version) FROM ledger FINAL WHERE subject != ''";

fn lines(numbers: std::ops::Range<u64>, at: i64) -> String {
    numbers.map(|number| record(number, at)).collect::<Vec<_>>().join("\n")
}

/// Pushes the same lines to both processes at the same moment, and gives what they say of them.
async fn push_both(system: &System, second: &SecondIngest, lines: &str) -> [Value; 2] {
    let first = system.weir.addresses.ingest;
    let (one, two) = tokio::join!(system.push_at(first, lines), system.push_at(second.address, lines));
    [one, two].map(|answer| {
        let answer: Answer = answer.unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()
    })
}

async fn repaired(system: &System, service: &Service) -> u64 {
    let metrics = system.metrics_of(service).await;
    let line = metrics.lines().find(|line| line.starts_with("weir_ingest_races_repaired_total "));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

/// Holds rows, rollups and windows against the number of events.
async fn expect_figures(system: &System, count: u64) {
    let expected = format!("{count}\t{}", cost_units(count));
    let of = |table: &str, count: &str| {
        format!("SELECT toUInt64({count}), toUInt128(sum(cost) * 1000000000000000000) FROM {table}")
    };
    assert_eq!(system.sql(&of("logs", "count()")).await, expected);
    let rollup = of("usage_1m FINAL", "sum(requests)");
    eventually(LIMIT, expected, || system.sql(&rollup)).await;
    let live = async || {
        let live = system.live().await.filter(|live| live["complete"] == Value::Bool(true))?;
        live["rows"].as_array()?.iter().map(|row| row["windows"][2]["requests"].as_u64()).sum()
    };
    eventually(LIMIT, Some(count), live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_processes_get_at_the_same_moment_is_stored_once() {
    let system = Arc::new(System::start().await);
    let second = Arc::new(system.second_ingest(Vec::new()).await);
    let (stored, duplicates) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let begun = Instant::now();
    let send = |sender: u64| {
        let (system, second) = (Arc::clone(&system), Arc::clone(&second));
        let (stored, duplicates) = (Arc::clone(&stored), Arc::clone(&duplicates));
        tokio::spawn(async move {
            let mut next = sender << 32;
            loop {
                let batch = lines(next..next + RECORDS, now_ms());
                next += RECORDS;
                for tally in push_both(&system, &second, &batch).await {
                    stored.fetch_add(tally["stored"].as_u64().unwrap(), Ordering::SeqCst);
                    duplicates.fetch_add(tally["duplicates"].as_u64().unwrap(), Ordering::SeqCst);
                }
                let raced =
                    repaired(&system, &system.weir.ingest).await + repaired(&system, &second.service).await;
                if begun.elapsed() > RACING && raced > 0 {
                    return next - (sender << 32);
                }
                assert!(begun.elapsed() < LIMIT, "nothing was ever stored twice");
            }
        })
    };
    let mut count = 0;
    for sender in (1..=SENDERS).map(send).collect::<Vec<_>>() {
        count += sender.await.unwrap();
    }
    assert_eq!(system.sql(DOUBLED).await, "0");
    expect_figures(&system, count).await;
    assert_eq!(system.sql(BALANCE).await, format!("{}\t{count}\t{count}\t0", 2 * count));
    let corrections = system.sql(CORRECTIONS).await;
    let corrected: u64 = corrections.split('\t').next().unwrap().parse().unwrap();
    assert_eq!(
        corrections,
        format!("{corrected}\t{corrected}\t2\t2"),
        "each row that went is entered, and told of"
    );
    assert!(corrected > 0);
    // A sender hears "stored" once too often where the process that it asked had answered before its row went.
    let (stored, duplicates) = (stored.load(Ordering::SeqCst), duplicates.load(Ordering::SeqCst));
    assert_eq!(stored + duplicates, 2 * count);
    assert!((count..=count + corrected).contains(&stored), "{stored} of {count}, {corrected} corrected");
}

#[tokio::test]
async fn a_row_that_was_held_up_on_its_way_stays_and_the_later_one_goes() {
    let mut proxy = Proxy::new();
    let system = System::start_with(|clickhouse| {
        let url = proxy.lead_to(&clickhouse.url);
        vec![("WEIR_CLICKHOUSE_URL", url), ("WEIR_INGEST_WRITE_TIMEOUT", "2s".to_owned())]
    })
    .await;
    let second = system.second_ingest(Vec::new()).await;
    let at = now_ms();
    let batch = lines(1..6, at);
    proxy.hold_next(&["INSERT", "logs"]);
    let held = async {
        let answer = system.push(&batch).await.json();
        assert_eq!(answer["spooled"], 5, "its outcome is not known: {answer}");
    };
    let meanwhile = async {
        proxy.wait_until_it_came().await;
        let answer = system.push_at(second.address, &batch).await.unwrap().json();
        assert_eq!(answer["stored"], 5, "{answer}");
    };
    tokio::join!(held, meanwhile);
    // The first process settles its write: the same rows under the same name, beside those of the second.
    let corrected = || system.sql(CORRECTIONS);
    eventually(LIMIT, "5\t5\t2\t2".to_owned(), corrected).await;
    eventually(LIMIT, 0, || spooled(&system.weir.nats)).await;
    proxy.release();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(system.sql("SELECT count(), uniqExact(id), uniqExact(write_id) FROM logs").await, "5\t5\t1");
    let first = "SELECT count() FROM ledger FINAL WHERE subject = '' AND write_id IN (SELECT write_id FROM logs) \
        AND hour <= now()";
    assert_eq!(system.sql(first).await, "1");
    assert_eq!(system.sql(BALANCE).await, "10\t5\t5\t0");
    expect_figures(&system, 5).await;
    let again = system.push(&batch).await.json();
    assert_eq!((&again["stored"], &again["duplicates"]), (&Value::from(0), &Value::from(5)), "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_left_twice_is_repaired_by_whoever_comes_next() {
    let mut proxy = Proxy::new();
    let variables = |url: String| vec![("WEIR_CLICKHOUSE_URL", url)];
    let system = System::start_with(|clickhouse| variables(proxy.lead_to(&clickhouse.url))).await;
    let second = system.second_ingest(Vec::new()).await;
    proxy.hold_next(&["DELETE FROM logs"]);
    let (begun, mut count) = (Instant::now(), 0);
    while !proxy.has_come() {
        assert!(begun.elapsed() < LIMIT, "the first process never has to take rows out");
        let batch = lines(count..count + RECORDS, now_ms());
        count += RECORDS;
        let first = system.weir.addresses.ingest;
        let push = async {
            let (_, two) =
                tokio::join!(system.push_at(first, &batch), system.push_at(second.address, &batch));
            assert_eq!(two.unwrap().status, StatusCode::OK);
        };
        let kill = async {
            proxy.wait_until_it_came().await;
            system.weir.ingest.kill_hard().unwrap();
        };
        let pushed = async {
            push.await;
            // A moment for the one whose answer waits for its repair.
            sleep(Duration::from_millis(10)).await;
        };
        let killed = tokio::select! {
            () = pushed => false,
            () = kill => true,
        };
        if killed {
            let again = system.push_at(second.address, &batch).await.unwrap();
            assert_eq!(again.status, StatusCode::OK, "{}", again.text);
        }
    }
    let entered = "SELECT count() > 0 FROM ledger FINAL WHERE subject != ''";
    assert_eq!(system.sql(entered).await, "1", "the ledger knows of it before the row goes");
    system.weir.ingest.restart(Weir::START_LIMIT).await.unwrap();
    eventually(LIMIT, "0".to_owned(), || system.sql(DOUBLED)).await;
    expect_figures(&system, count).await;
    let balanced = "SELECT sum(stored), sum(received - stored - duplicates) FROM ledger FINAL";
    assert_eq!(system.sql(balanced).await, format!("{count}\t0"));
}

#[tokio::test]
async fn a_minute_that_a_dead_process_did_not_tell_of_is_told_by_the_next() {
    let system = System::start().await;
    let minute = now_ms() / 60_000 * 60_000 - 5 * 60_000;
    let row = format!(
        "INSERT INTO logs (account_id, gateway_id, id, created_at, started_at, ingested_at, source, kind, write_id) \
         SELECT 'acc', 'gw', leftPad('1', 26, '0'), fromUnixTimestamp64Milli({minute}), \
             fromUnixTimestamp64Milli({minute}), now64(3), 'logpush', 'consume', 2"
    );
    let correction = format!(
        "INSERT INTO ledger (hour, source, account_id, write_id, subject, stored, duplicates, gateway_id, minute, \
             entered_at, version) \
         SELECT toStartOfHour(now()), 'logpush', 'acc', 4, leftPad('1', 26, '0'), -1, 1, 'gw', {minute} / 1000, \
             now64(3) - INTERVAL 1 MINUTE, 1"
    );
    system.sql(&row).await;
    system.sql(&correction).await;
    assert_eq!(system.sql("SELECT count() FROM usage_1m").await, "0", "nobody was told");
    system.weir.ingest.kill_hard().unwrap();
    system.weir.ingest.restart(Weir::START_LIMIT).await.unwrap();
    eventually(LIMIT, "1".to_owned(), || system.sql("SELECT sum(requests) FROM usage_1m FINAL")).await;
    eventually(LIMIT, "1\t1\t2\t2".to_owned(), || system.sql(CORRECTIONS)).await;
}
