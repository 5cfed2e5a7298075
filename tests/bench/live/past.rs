//! The start of an aggregator behind many rows of the past day, against a plain aggregate over the same rows; and what it reads again
//! when a log of one gateway goes.

use std::env;
use std::time::{Duration, Instant};

use harness::traffic::now_ms;
use harness::{System, Volume, eventually};
use serde_json::Value;
use tokio::time::sleep;
use weir_event::Scope;
use weir_local::Service;
use weir_store::rollup::{CALLS, USAGE_15M};

const ROWS: u64 = 3_000_000;
/// Rows of one insert.
const SLICE: usize = 500_000;
const ROUNDS: u64 = 3;
const LIMIT: Duration = Duration::from_mins(10);
/// What an aggregator says when it has read.
const ALL: &str = "the past is read";
const SOME: &str = "the past of tenants is read again";
/// Rows that were stored lately would be looked at by ingest, and found to have no rollups.
const AGE_MS: i64 = 3_600_000;

pub(crate) async fn measure() {
    let rows = env::var("WEIR_BENCH_PAST").map_or(ROWS, |rows| rows.parse().unwrap());
    let system = System::start().await;
    let aggregator = &system.weir.aggregator;
    let (ready, memory) = start(aggregator).await;
    println!("an aggregator without a past: ready in {ready:.1?}, {memory} MB");
    let volume = Volume { days: 1, until_ms: now_ms() - AGE_MS, ..Volume::of(rows) };
    for first in (0..rows).step_by(SLICE) {
        volume.insert(&system.tables(), first, (rows - first).min(SLICE as u64)).await;
    }
    while system.sql("SELECT count() FROM system.merges").await != "0" {
        sleep(Duration::from_millis(500)).await;
    }
    let sums = USAGE_15M.sums();
    let of_day = format!("FROM logs WHERE created_at > now() - INTERVAL 1 DAY AND {CALLS}");
    let series = "account_id, gateway_id, token, model, provider, user_id, channel_id";
    let plain = format!("SELECT account_id, gateway_id, model, {sums} {of_day} GROUP BY ALL FORMAT Null");
    let by_minute = format!(
        "SELECT {series}, toStartOfMinute(created_at) AS start, {sums} {of_day} GROUP BY ALL FORMAT Null"
    );
    let read =
        system.sql(&format!("SELECT count(), uniqExact({series}) {of_day}")).await.replace('\t', " rows of ");
    for _ in 0..ROUNDS {
        let (plain, by_minute) = (time(&system, &plain).await, time(&system, &by_minute).await);
        let (ready, memory) = start(aggregator).await;
        let ratio = |other: Duration| ready.as_secs_f64() / other.as_secs_f64();
        println!(
            "{read} series behind an aggregator: ready in {ready:.1?}, {memory} MB at most; {:.1} times the sums by model \
             ({plain:.1?}), {:.1} times those by series and minute ({by_minute:.1?})",
            ratio(plain),
            ratio(by_minute),
        );
        println!("  {}", told(aggregator, ALL).last().unwrap());
    }
    let all = took(&told(aggregator, ALL));
    for scope in [Volume::small_gateway(), Volume::big_gateway()] {
        let before = told(aggregator, SOME).len();
        delete_one(&system, &scope).await;
        eventually(LIMIT, true, async || told(aggregator, SOME).len() > before).await;
        let took = took(&told(aggregator, SOME));
        let (gateway, ratio) = (&scope.gateway_id, took.as_secs_f64() / all.as_secs_f64());
        println!("a log of {gateway} is deleted: read again in {took:.1?}, {ratio:.3} of all");
    }
}

/// Deletes the newest log of a gateway: the oldest is of no window any more.
async fn delete_one(system: &System, scope: &Scope) {
    let Scope { account_id, gateway_id } = scope;
    let url = format!(
        "http://{}/client/v4/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/logs?limit=1&order_by_direction=desc",
        system.weir.addresses.query_api
    );
    let request = system.http.delete(url).bearer_auth(&system.weir.secrets.query_token);
    request.send().await.unwrap().error_for_status().unwrap();
}

/// Starts it anew. Gives the time until it is ready, and the most memory by then, in MB.
async fn start(aggregator: &Service) -> (Duration, u64) {
    aggregator.stop(LIMIT).await.unwrap();
    let begun = Instant::now();
    aggregator.restart(LIMIT).await.unwrap();
    let ready = begun.elapsed();
    let status = std::fs::read_to_string(format!("/proc/{}/status", aggregator.pid().unwrap())).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    (ready, most.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_000)
}

async fn time(system: &System, statement: &str) -> Duration {
    let begun = Instant::now();
    system.sql(statement).await;
    begun.elapsed()
}

/// What it says of its readings.
fn told(aggregator: &Service, message: &str) -> Vec<Value> {
    let log = std::fs::read_to_string(aggregator.log()).unwrap();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == message).collect()
}

/// How long the last one took.
fn took(told: &[Value]) -> Duration {
    let millis = &told.last().unwrap()["took_ms"];
    Duration::from_millis(millis.as_u64().or_else(|| millis.as_str()?.parse().ok()).unwrap())
}
