//! Measures what a dashboard asks of the rollups against the same questions to `logs`, side by side in one run.
//!
//! The rollups are made by `aggregator rebuild`, and read as the README says. Both sides are plain statements to ClickHouse, and
//! have to answer the same text, costs to the last digit. `RESULTS.md` has the method and figures.
//!
//! `WEIR_BENCH_ROWS` is the number of rows, 10 million by default, and `WEIR_BENCH_DAYS` the days that they spread over, 45.
//! With `WEIR_BENCH_DIR` they are made in that folder and kept.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "its output is its result")]

mod case;
#[path = "../filled.rs"]
mod filled;
#[path = "../times.rs"]
mod times;
#[path = "../turns.rs"]
mod turns;

use std::env;
use std::time::{Duration, Instant};

use harness::{System, Volume, run_audit};
use reqwest::StatusCode;
use weir_local::Weir;
use weir_store::rollup::{CALLS, ROLLUPS};

use self::case::Case;
use self::turns::{CLIENTS, Turns};

const SIDES: [&str; 2] = ["rollup", "logs"];
const TURNS: Turns = Turns { least: 5, crowded: 3, requests: 2 };
const STOP_LIMIT: Duration = Duration::from_mins(1);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let volume = filled::volume();
    let days = env::var("WEIR_BENCH_DAYS").map_or(volume.days, |days| days.parse().unwrap());
    let volume = Volume { days, ..volume };
    let system = filled::start().await;
    // It would do a part of what is measured, and more meanwhile.
    system.weir.aggregator.stop(STOP_LIMIT).await.unwrap();
    filled::fill(&system, &volume).await;
    roll_up(&system).await;
    let cases = Case::all(&volume);
    for case in &cases {
        let (rollup, logs) = (ask(&system, &case.rollup).await, ask(&system, &case.logs).await);
        assert_eq!(rollup, logs, "{}", case.name);
        println!("{}: {} rows of an answer", case.name, logs.lines().count());
    }
    for case in &cases {
        let (rollup, logs) =
            (async |_| time(&system, &case.rollup).await, async |_| time(&system, &case.logs).await);
        let [rollup, logs] = TURNS.alone(rollup, logs).await;
        println!("1 client, {}: {}", case.name, rollup.beside(SIDES, &logs));
    }
    for case in &cases {
        let rollup = async |_, _| time(&system, &case.rollup).await;
        let logs = async |_, _| time(&system, &case.logs).await;
        let [rollup, logs] = TURNS.crowded(rollup, logs).await;
        println!("{CLIENTS} clients, {}: {}", case.name, rollup.beside(SIDES, &logs));
    }
}

/// Makes the rollups, unless they are there, and says how large they are.
async fn roll_up(system: &System) {
    let begun = Instant::now();
    if !has_rollups(system).await {
        let range = "SELECT toDate(min(created_at)), toDate(max(created_at)) + 1 FROM logs";
        let range = system.sql(range).await;
        let (from, to) = range.split_once('\t').unwrap();
        let Weir { clickhouse, nats, .. } = &system.weir;
        let (code, said) = run_audit(clickhouse, nats, &["rebuild", "--from", from, "--to", to]).await;
        assert_eq!(code, 0, "{said}");
        filled::merged(system).await;
    }
    println!("rolled up in {:.0?}", begun.elapsed());
    for table in ["logs"].into_iter().chain(ROLLUPS.map(|rollup| rollup.table)) {
        let size = "SELECT concat(toString(sum(rows)), ' rows in ', toString(count()), ' parts, ',
            formatReadableSize(sum(bytes_on_disk))) FROM system.parts WHERE active";
        println!("{table}: {}", system.sql(&format!("{size} AND table = '{table}'")).await);
    }
}

/// Whether every row is in every rollup.
async fn has_rollups(system: &System) -> bool {
    let calls = system.sql(&format!("SELECT count() FROM logs WHERE {CALLS}")).await;
    for rollup in ROLLUPS {
        if system.sql(&format!("SELECT sum(requests) FROM {} FINAL", rollup.table)).await != calls {
            return false;
        }
    }
    true
}

/// The time until the answer is there.
async fn time(system: &System, statement: &str) -> Duration {
    let begun = Instant::now();
    ask(system, statement).await;
    begun.elapsed()
}

/// The answer, asked for again while the engine has no turn for it: many statements at once are more than it runs.
async fn ask(system: &System, statement: &str) -> String {
    let clickhouse = &system.weir.clickhouse;
    let request = system
        .http
        .post(&clickhouse.url)
        .query(&[("database", Weir::DATABASE)])
        .basic_auth(&clickhouse.user, Some(&clickhouse.password))
        .body(statement.to_owned());
    loop {
        let response = request.try_clone().expect("a text can be sent again").send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        if status != StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(status, StatusCode::OK, "{statement}: {text}");
            return text;
        }
    }
}
