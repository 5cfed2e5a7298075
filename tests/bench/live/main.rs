//! Measures how soon the live windows and the tails have what was acknowledged, and how soon they are whole again after a process
//! was killed or started.
//!
//! Everything is real: pushes over HTTP, ClickHouse, NATS that syncs each message. `RESULTS.md` has the method and figures.
//!
//! `WEIR_BENCH_PARTS` says which parts to run, all by default: `acks,kills,past,tails`. `WEIR_BENCH_PAST` is the number of rows of the
//! past day that an aggregator starts behind, 3 million by default.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "its output is its result")]

mod acks;
mod delays;
mod kills;
mod load;
mod past;
mod tails;
mod windows;

use std::env;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let parts = env::var("WEIR_BENCH_PARTS").unwrap_or_else(|_| "acks,kills,past,tails".to_owned());
    for part in parts.split(',') {
        match part {
            "acks" => acks::measure().await,
            "kills" => kills::measure().await,
            "past" => past::measure().await,
            "tails" => tails::measure().await,
            other => panic!("there is no part {other}"),
        }
    }
}
