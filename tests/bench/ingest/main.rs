//! Measures intake against what it could be compared with, side by side in one run: ratios, not times.
//!
//! - **the limit**: the same engine fed rows that are ready, by the same client, in the same batches;
//! - **ClickHouse alone**: the raw lines inserted into ClickHouse, which takes them apart itself with JSON functions in a
//!   materialized view;
//! - **parsing alone**: gunzip and one `serde_json` parse of the outer and inner JSON, against gunzip to price;
//! - **gzip -6** of the lines, against the bytes that the tables take on disk.
//!
//! Rounds alternate, so that a machine that slows down slows all sides down. `RESULTS.md` has the method and figures.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "its output is its result")]

mod parsing;
mod rivals;
mod sample;
mod usage;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::System;
use reqwest::StatusCode;

use self::rivals::Rivals;
use self::sample::{Round, gzip_best};
use self::usage::{Cpu, ingest_peak_mib};

const ROUNDS: u64 = 5;
const BATCHES: usize = 12;
const RECORDS_PER_BATCH: usize = 2_000;
const CONNECTIONS: usize = 4;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    println!(
        "{ROUNDS} rounds of {BATCHES} batches of {RECORDS_PER_BATCH} records, {CONNECTIONS} connections"
    );
    let system = System::start().await;
    let rivals = Rivals::create(&system).await;
    let (mut limit_ratios, mut alone_ratios, mut parse_ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut gzip_bytes, mut plain_bytes) = (0, 0);
    let (mut cpu, mut limit_cpu) = (Cpu::none(), Cpu::none());
    // The round before the first warms everything up and does not count.
    for number in 0..=ROUNDS {
        let round = Round::make(number, BATCHES, RECORDS_PER_BATCH);
        let before = Cpu::now(&system);
        let limit = rivals.insert_prepared(&round).await;
        limit_cpu.add_since(&before, &Cpu::now(&system));
        let before = Cpu::now(&system);
        let weir = push_all(&system, &round).await;
        cpu.add_since(&before, &Cpu::now(&system));
        let alone = rivals.insert_raw(&round).await;
        let (ours, parse) = parsing::measure(&round);
        plain_bytes += round.batches.iter().map(String::len).sum::<usize>();
        gzip_bytes += round.batches.iter().map(|batch| gzip_best(batch)).sum::<usize>();
        if number > 0 {
            limit_ratios.push(ratio(limit, weir));
            alone_ratios.push(ratio(alone, weir));
            parse_ratios.push(ratio(ours, parse));
            println!("round {number}: weir {weir:.2?}, limit {limit:.2?}, clickhouse alone {alone:.2?}");
        }
    }
    let events = (ROUNDS + 1) * (BATCHES * RECORDS_PER_BATCH) as u64;
    assert_eq!(
        system.sql("SELECT count() FROM logs").await,
        events.to_string(),
        "every event is stored once"
    );
    report("intake speed / the limit's", &mut limit_ratios);
    report("intake speed / ClickHouse alone", &mut alone_ratios);
    report("CPU of gunzip to price / gunzip and parse", &mut parse_ratios);
    let stored: f64 = stored_bytes(&system).await.parse().unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a ratio of sizes")]
    let share = stored / gzip_bytes as f64;
    println!("stored bytes / gzip -6: {share:.2}");
    let records = usize::try_from(events).unwrap();
    println!("a record has {} bytes, {} under gzip -6", plain_bytes / records, gzip_bytes / records);
    println!("CPU while weir is pushed to: {}", cpu.shares());
    println!(
        "CPU of ClickHouse while weir is pushed to / while it is fed ready rows: {:.2}",
        cpu.ratio(&limit_cpu, "clickhouse")
    );
    println!("most memory of ingest: {} MiB", ingest_peak_mib(&system));
}

/// Pushes every batch over a few connections; the time to the last ack.
async fn push_all(system: &System, round: &Round) -> Duration {
    let begun = Instant::now();
    join_all((0..CONNECTIONS).map(|connection| async move {
        for gzip in round.gzip.iter().skip(connection).step_by(CONNECTIONS) {
            let token = Some(system.weir.secrets.ingest_token.as_str());
            let answer = system.push_raw(gzip.clone(), token, Some("gzip")).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        }
    }))
    .await;
    begun.elapsed()
}

async fn stored_bytes(system: &System) -> String {
    for table in ["logs", "payloads"] {
        system.sql(&format!("OPTIMIZE TABLE {table} FINAL")).await;
    }
    system
        .sql(
            "SELECT sum(bytes_on_disk) FROM system.parts \
             WHERE active AND database = currentDatabase() AND table IN ('logs', 'payloads')",
        )
        .await
}

fn ratio(numerator: Duration, denominator: Duration) -> f64 {
    numerator.as_secs_f64() / denominator.as_secs_f64()
}

fn report(what: &str, ratios: &mut [f64]) {
    ratios.sort_by(f64::total_cmp);
    let (least, median, most) = (ratios[0], ratios[ratios.len() / 2], ratios[ratios.len() - 1]);
    println!("{what}: median {median:.2} ({least:.2} to {most:.2})");
}
