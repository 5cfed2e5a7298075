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

use std::env;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::{NewApiVolume, System};
use tokio::time::sleep;
use weir_service::clock::{Clock, SystemClock};

use self::case::Case;
use self::postgres::Postgres;
use self::sides::{Connection, Sides};
use self::times::Times;

const ROWS: u64 = 10_000_000;
const DAYS: u32 = 90;
/// Turns of a case with one client, as far as there is time for them; each side is asked once in a turn.
const TURNS: u64 = 100;
const TURNS_MIN: u64 = 5;
const TIME_OF_A_CASE: Duration = Duration::from_secs(15);
const CLIENTS: usize = 16;
/// Requests of one client in a turn, where there are many clients.
const REQUESTS: usize = 2;
const CROWDED_TURNS: u64 = 3;

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
    let (mut api, mut postgres) = (Times::default(), Times::default());
    let begun = Instant::now();
    for turn in 0..=TURNS {
        let (theirs, ours) = (connection.time(case).await, sides.time(case).await);
        // What is asked for the first time warms everything up.
        if turn > 0 {
            postgres.push(theirs);
            api.push(ours);
        }
        if turn >= TURNS_MIN && begun.elapsed() > TIME_OF_A_CASE {
            break;
        }
    }
    println!("1 client, {}: {}", case.name, api.beside("PostgreSQL", &postgres));
}

/// Many clients at once.
async fn crowded(sides: &Sides, connections: &[Connection], case: &Case) {
    let (mut api, mut postgres) = (Times::default(), Times::default());
    let begun = Instant::now();
    for turn in 0..CROWDED_TURNS {
        if turn > 0 && begun.elapsed() > TIME_OF_A_CASE {
            break;
        }
        postgres
            .extend(crowd(connections, async |connection: &Connection| connection.time(case).await).await);
        api.extend(crowd(connections, async |_: &Connection| sides.time(case).await).await);
    }
    println!("{CLIENTS} clients, {}: {}", case.name, api.beside("PostgreSQL", &postgres));
}

/// What each client asks for, one thing after another.
async fn crowd(connections: &[Connection], ask: impl AsyncFn(&Connection) -> Duration) -> Vec<Vec<Duration>> {
    let ask = &ask;
    join_all(connections.iter().map(|connection| async move {
        let mut times = Vec::new();
        for _ in 0..REQUESTS {
            times.push(ask(connection).await);
        }
        times
    }))
    .await
}
