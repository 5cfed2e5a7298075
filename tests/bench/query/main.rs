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
#[path = "../filled.rs"]
mod filled;
mod sides;
#[path = "../times.rs"]
mod times;
#[path = "../turns.rs"]
mod turns;

use std::env;

use harness::{System, Volume};

use self::case::Case;
use self::sides::Sides;
use self::times::Times;
use self::turns::{CLIENTS, Turns};

const SIDES: [&str; 2] = ["API", "bare SQL"];
const TURNS: Turns = Turns { least: 10, crowded: 5, requests: 4 };
/// Inserts between which a page is asked for.
const INSERTS: u64 = 30;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let (system, volume) = (filled::start().await, filled::volume());
    filled::fill(&system, &volume).await;
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

/// One client, which asks one thing after another.
async fn alone(sides: &Sides<'_>, case: &Case) {
    let [api, sql] =
        TURNS.alone(async |turn| sides.api(case, turn).await, async |turn| sides.sql(case, turn).await).await;
    println!("1 client, {}: {}", case.name, api.beside(SIDES, &sql));
}

/// Many clients at once.
async fn crowded(sides: &Sides<'_>, case: &Case) {
    const FIRST: u64 = 1_000;
    let api = async |_, number| sides.api(case, FIRST + number).await;
    let sql = async |_, number| sides.sql(case, FIRST + number).await;
    let [api, sql] = TURNS.crowded(api, sql).await;
    println!("{CLIENTS} clients, {}: {}", case.name, api.beside(SIDES, &sql));
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
    println!("1 client, {}, after an insert each: {}", case.name, api.beside(SIDES, &sql));
    system.sql(&format!("DELETE FROM logs WHERE write_id > {}", volume.rows / 2_000 * 2)).await;
}
