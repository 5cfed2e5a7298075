//! The parts that ClickHouse keeps of what comes in: few, however little comes at a time and however late it is. It turns
//! inserts away where there are too many.
//!
//! `WEIR_PARTS_PUSHES` says how many pushes the trickle has, each with a write of its own: 3600 are an hour of one event
//! a second. By default there are fewer, since a write costs what it costs.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::traffic::{now_ms, record};
use harness::{System, eventually};
use reqwest::StatusCode;
use serde_json::json;

const PUSHES: u64 = 200;
/// The most active parts of one partition, at any moment. From 1,000 on ClickHouse slows inserts down.
const PARTS_MAX: u64 = 100;
/// The most of them when merges had their time.
const SETTLED_MAX: u64 = 20;
const LIMIT: Duration = Duration::from_mins(3);
/// Looks at parts: after each so many pushes.
const LOOK_EVERY: u64 = 20;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const MONTH_MS: i64 = 31 * DAY_MS;

/// The most active parts of one partition, by table.
async fn parts(system: &System) -> BTreeMap<String, u64> {
    let sql = "SELECT table, max(parts) FROM (SELECT table, partition, count() AS parts FROM system.parts \
               WHERE active AND database = currentDatabase() GROUP BY table, partition) GROUP BY table";
    let found = system.sql(sql).await;
    let rows = found.lines().map(|row| row.split_once('\t').unwrap());
    rows.map(|(table, parts)| (table.to_owned(), parts.parse().unwrap())).collect()
}

/// Waits until every table has few parts, and checks that no insert was turned away or slowed down before.
async fn settled(system: &System) {
    let most = async || parts(system).await.into_values().max().unwrap_or_default() <= SETTLED_MAX;
    eventually(LIMIT, true, most).await;
    let refused = "SELECT sum(value) FROM system.events WHERE event IN ('RejectedInserts', 'DelayedInserts')";
    assert_eq!(system.sql(refused).await, "0");
}

async fn push_stored(system: &System, lines: &str, count: usize) {
    let answer = system.push(lines).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.json()["stored"], json!(count), "{}", answer.text);
}

async fn expect_stored(system: &System, count: usize) {
    let rows = "SELECT count(), uniqExact(id) FROM logs";
    assert_eq!(system.sql(rows).await, format!("{count}\t{count}"));
    let rollups = "SELECT sum(requests) FROM usage_1m FINAL";
    eventually(LIMIT, count.to_string(), || system.sql(rollups)).await;
}

#[tokio::test]
async fn a_trickle_leaves_few_parts() {
    let pushes = std::env::var("WEIR_PARTS_PUSHES").map_or(PUSHES, |text| text.parse().unwrap());
    // Whatever comes is written at once, by itself.
    let system = System::start_with(|_| vec![("WEIR_INGEST_WRITE_INTERVAL", "0s".to_owned())]).await;
    let mut most = BTreeMap::new();
    for number in 0..pushes {
        push_stored(&system, &record(number, now_ms()), 1).await;
        if number % LOOK_EVERY == 0 {
            for (table, parts) in parts(&system).await {
                assert!(parts <= PARTS_MAX, "{table} has {parts} parts after {number} writes");
                let before = most.entry(table).or_insert(0);
                *before = parts.max(*before);
            }
        }
    }
    println!("the most parts in {pushes} writes: {most:?}");
    let tables: Vec<_> = most.keys().map(String::as_str).collect();
    assert!(["bodies", "ledger", "logs"].iter().all(|table| tables.contains(table)), "{tables:?}");
    settled(&system).await;
    expect_stored(&system, pushes.try_into().unwrap()).await;
}

#[tokio::test]
async fn late_data_of_many_days_and_months_leaves_few_parts() {
    let system = System::start().await;
    let now = now_ms();
    let lines = |count: u32, step_ms: i64, first: u32| -> String {
        let record = |n: u32| record((first + n).into(), now - i64::from(n) * step_ms);
        (0..count).map(record).collect::<Vec<_>>().join("\n")
    };
    // An event an hour for 40 days, in one batch.
    push_stored(&system, &lines(960, HOUR_MS, 0), 960).await;
    // Each a part in every month, and again the next time.
    for batch in 0..10 {
        push_stored(&system, &lines(40, MONTH_MS, 10_000 + batch * 100), 40).await;
    }
    settled(&system).await;
    expect_stored(&system, 1_360).await;
    let again = system.push(&lines(960, HOUR_MS, 0)).await.json();
    assert_eq!(again["duplicates"], json!(960), "{again}");
}
