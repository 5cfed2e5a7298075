//! A Weir with the rows of a [`Volume`].

use std::env;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use harness::{System, Volume};
use tokio::time::sleep;

const ROWS: u64 = 10_000_000;

/// The rows that are asked for.
pub(crate) fn volume() -> Volume {
    Volume::of(env::var("WEIR_BENCH_ROWS").map_or(ROWS, |rows| rows.parse().unwrap()))
}

/// Starts it, over the folder of tables that is asked for.
pub(crate) async fn start() -> System {
    match env::var_os("WEIR_BENCH_DIR").map(PathBuf::from) {
        Some(dir) => System::start_over(&dir).await,
        None => System::start().await,
    }
}

/// Makes the rows, unless they are there, and lets ClickHouse merge what it wants to.
pub(crate) async fn fill(system: &System, volume: &Volume) {
    let count = || async { system.sql("SELECT count() FROM logs").await.parse::<u64>().unwrap() };
    let begun = Instant::now();
    if count().await < volume.rows {
        for table in ["logs", "bodies"] {
            system.sql(&format!("TRUNCATE TABLE {table}")).await;
        }
        volume.fill(&system.tables()).await;
    }
    merged(system).await;
    let parts = system.sql("SELECT count() FROM system.parts WHERE active AND table = 'logs'").await;
    println!("{} rows in {parts} parts, made in {:.0?}", count().await, begun.elapsed());
}

/// Waits until ClickHouse merges nothing.
pub(crate) async fn merged(system: &System) {
    while system.sql("SELECT count() FROM system.merges").await != "0" {
        sleep(Duration::from_millis(500)).await;
    }
}
