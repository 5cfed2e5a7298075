//! Measures new-api's API over millions of rows against PostgreSQL with the same rows in new-api's own table and indexes,
//! side by side in one run.
//!
//! A case is a request, and the statements that new-api answers it by, one after the other over a connection that is kept:
//! what new-api itself takes besides is left out. Turns alternate, and both sides have to answer the same. `RESULTS.md` has the
//! method and figures.
//!
//! `WEIR_BENCH_ROWS` is the number of rows, 10 million by default. PostgreSQL has to be installed (Debian's package
//! `postgresql`).

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "its output is its result")]

mod case;
mod postgres;
mod sides;
#[path = "../times.rs"]
mod times;
#[path = "../turns.rs"]
mod turns;

use std::env;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::{NewApiVolume, System};
use tokio::time::sleep;
use weir_service::clock::{Clock, SystemClock};

use self::case::Case;
use self::postgres::Postgres;
use self::sides::{Connection, Sides};
use self::turns::{CLIENTS, Turns};

const ROWS: u64 = 10_000_000;
const DAYS: u32 = 90;
const SIDES: [&str; 2] = ["API", "PostgreSQL"];
const TURNS: Turns = Turns { least: 5, crowded: 3, requests: 2 };

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let rows = env::var("WEIR_BENCH_ROWS").map_or(ROWS, |rows| rows.parse().unwrap());
    let postgres = Postgres::start().await;
    let system = System::start().await;
    let until_ms = SystemClock.now_ms() / 1_000 * 1_000;
    let volume = NewApiVolume { rows, days: DAYS, until_ms };
    let begun = Instant::now();
    volume.fill(&system.tables()).await;
    while system.sql("SELECT count() FROM system.merges").await != "0" {
        sleep(Duration::from_millis(500)).await;
    }
    println!("{rows} rows, made in {:.0?}", begun.elapsed());
    let begun = Instant::now();
    postgres.fill(&system).await;
    println!("and in postgresql, copied and indexed in {:.0?}", begun.elapsed());
    let sides = Sides::new(&system).await;
    let connection = postgres.connect().await;
    let connection = Connection::new(connection).await;
    let cases = Case::all(&volume);
    for case in &cases {
        sides.check(case, &connection).await;
    }
    for case in &cases {
        alone(&sides, &connection, case).await;
    }
    let connections =
        join_all((0..CLIENTS).map(async |_| Connection::new(postgres.connect().await).await)).await;
    for case in &cases {
        crowded(&sides, &connections, case).await;
    }
}

/// One client, which asks one thing after another.
async fn alone(sides: &Sides, connection: &Connection, case: &Case) {
    let times = TURNS.alone(async |_| sides.time(case).await, async |_| connection.time(case).await);
    let [api, postgres] = times.await;
    println!("1 client, {}: {}", case.name, api.beside(SIDES, &postgres));
}

/// Many clients at once, each with a connection of its own.
async fn crowded(sides: &Sides, connections: &[Connection], case: &Case) {
    let postgres = async |client, _| connections[usize::try_from(client).unwrap()].time(case).await;
    let [api, postgres] = TURNS.crowded(async |_, _| sides.time(case).await, postgres).await;
    println!("{CLIENTS} clients, {}: {}", case.name, api.beside(SIDES, &postgres));
}
