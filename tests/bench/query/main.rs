//! Measures Cloudflare's API over millions of rows against the same statements without it, side by side in one run.
//!
//! A case is a request, and the plain statements that answer it: one for the page and one for `result_info`, or one for the
//! row and one for the heads of its bodies, sent to the same engine at once. Turns alternate, so that a machine that slows
//! down slows both sides down. `RESULTS.md` has the method and figures.
//!
//! `WEIR_BENCH_ROWS` is the number of rows, 10 million by default. With `WEIR_BENCH_DIR` they are made in that folder and
//! kept, all but those that the last case deletes: with `WEIR_BENCH_DELETE` set to `no` there is no such case.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "its output is its result")]

mod case;
mod deletion;
mod sides;
#[path = "../times.rs"]
mod times;

use std::env;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::{System, Volume};
use tokio::time::sleep;

use self::case::Case;
use self::sides::Sides;
use self::times::Times;

const ROWS: u64 = 10_000_000;
/// Turns of a case with one client, as far as there is time for them; each side is asked once in a turn.
const TURNS: u64 = 100;
const TURNS_MIN: u64 = 10;
const TIME_OF_A_CASE: Duration = Duration::from_secs(15);
const CLIENTS: u64 = 16;
/// Requests of one client in a turn, where there are many clients.
const REQUESTS: u64 = 4;
const CROWDED_TURNS: u64 = 5;
/// Inserts between which a page is asked for.
const INSERTS: u64 = 30;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let rows = env::var("WEIR_BENCH_ROWS").map_or(ROWS, |rows| rows.parse().unwrap());
    let kept = env::var_os("WEIR_BENCH_DIR").map(PathBuf::from);
    let system = match &kept {
        Some(dir) => System::start_over(dir).await,
        None => System::start().await,
    };
    let volume = Volume::of(rows);
    fill(&system, &volume).await;
    let sides = Sides::new(&system);
    let cases = Case::all(&system).await;
    for case in &cases {
        case.check(&sides).await;
    }
    for case in &cases {
        alone(&sides, case).await;
    }
    for case in &cases {
        crowded(&sides, case).await;
    }
    under_intake(&sides, &volume, &system, &cases[0]).await;
    if env::var("WEIR_BENCH_DELETE").as_deref() != Ok("no") {
        deletion::by_filter(&sides, &system).await;
    }
}

/// Makes the rows, unless they are there, and lets ClickHouse merge what it wants to.
async fn fill(system: &System, volume: &Volume) {
    let count = || async { system.sql("SELECT count() FROM logs").await.parse::<u64>().unwrap() };
    let begun = Instant::now();
    if count().await < volume.rows {
        for table in ["logs", "payloads"] {
            system.sql(&format!("TRUNCATE TABLE {table}")).await;
        }
        volume.fill(&system.tables()).await;
    }
    while system.sql("SELECT count() FROM system.merges").await != "0" {
        sleep(Duration::from_millis(500)).await;
    }
    let parts = system.sql("SELECT count() FROM system.parts WHERE active AND table = 'logs'").await;
    println!("{} rows in {parts} parts, made in {:.0?}", count().await, begun.elapsed());
}

/// One client, which asks one thing after another.
async fn alone(sides: &Sides<'_>, case: &Case) {
    let (mut api, mut sql) = (Times::default(), Times::default());
    let begun = Instant::now();
    for turn in 0..=TURNS {
        let (theirs, ours) = (sides.sql(case, turn).await, sides.api(case, turn).await);
        // What is asked for the first time warms everything up.
        if turn > 0 {
            sql.push(theirs);
            api.push(ours);
        }
        if turn >= TURNS_MIN && begun.elapsed() > TIME_OF_A_CASE {
            break;
        }
    }
    println!("1 client, {}: {}", case.name, api.beside("bare SQL", &sql));
}

/// Many clients at once.
async fn crowded(sides: &Sides<'_>, case: &Case) {
    let (mut api, mut sql) = (Times::default(), Times::default());
    let begun = Instant::now();
    for turn in 0..CROWDED_TURNS {
        if turn > 0 && begun.elapsed() > TIME_OF_A_CASE {
            break;
        }
        let number = |client: u64, request: u64| 1_000 + (turn * CLIENTS + client) * REQUESTS + request;
        sql.extend(crowd(|client, request| sides.sql(case, number(client, request))).await);
        api.extend(crowd(|client, request| sides.api(case, number(client, request))).await);
    }
    println!("{CLIENTS} clients, {}: {}", case.name, api.beside("bare SQL", &sql));
}

/// What each client asks for, one thing after another.
async fn crowd<F: Future<Output = Duration>>(ask: impl Fn(u64, u64) -> F) -> Vec<Vec<Duration>> {
    let ask = &ask;
    join_all((0..CLIENTS).map(|client| async move {
        let mut times = Vec::new();
        for request in 0..REQUESTS {
            times.push(ask(client, request).await);
        }
        times
    }))
    .await
}

/// One client, while some rows are written before each request: the parts of the table are others each time.
async fn under_intake(sides: &Sides<'_>, volume: &Volume, system: &System, case: &Case) {
    const WRITTEN: u64 = 200;
    let tables = system.tables();
    let (mut api, mut sql) = (Times::default(), Times::default());
    for turn in 0..=INSERTS {
        volume.insert(&tables, volume.rows + turn * WRITTEN, WRITTEN).await;
        let (ours, theirs) = (sides.api(case, turn).await, sides.sql(case, turn).await);
        if turn > 0 {
            sql.push(theirs);
            api.push(ours);
        }
    }
    println!("1 client, {}, after an insert each: {}", case.name, api.beside("bare SQL", &sql));
    system.sql(&format!("DELETE FROM logs WHERE write_id > {}", volume.rows / 2_000 * 2)).await;
}
