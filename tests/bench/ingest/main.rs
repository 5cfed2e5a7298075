//! Measures intake against what it could be compared with, side by side in one run: ratios, not times.
//!
//! - **the limit**: the same engine fed rows that are ready, by the same client, in the same batches;
//! - **ClickHouse alone**: the raw lines inserted into ClickHouse, which takes them apart itself with JSON functions in a
//!   materialized view;
//! - **ClickHouse alone, whole**: the same with as many columns, in tables like Weir's own;
//! - **parsing alone**: gunzip and one `serde_json` parse of the outer and inner JSON, against gunzip to price;
//! - **the bound**: the CPU of the limit, against that and gunzip and one parse: which share of the limit's speed anything could
//!   reach that reads the pushes, on as many cores;
//! - **gzip -6** of the lines, against the bytes that the tables take on disk.
//!
//! - **a topic**: the same records as messages of Kafka, and an ingest that is started on them.
//!
//! Rounds alternate, so that a machine that slows down slows all sides down, and no side begins before the merges of the
//! one before it are done. `RESULTS.md` has the method and figures.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "its output is its result")]

mod kafka;
mod parsing;
mod rivals;
mod sample;
mod side;
mod usage;
mod work;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::System;
use reqwest::StatusCode;

use self::kafka::Broker;
use self::rivals::Rivals;
use self::sample::{Round, gzip_best};
use self::side::{Ratios, Side};
use self::usage::peak_mib;
use self::work::merged;

const ROUNDS: u64 = 5;
const BATCHES: usize = 12;
const RECORDS_PER_BATCH: usize = 2_000;
const CONNECTIONS: usize = 4;
/// `ingest.pushes_max` is as many.
const CROWD: usize = 8;
const CROWD_RECORDS: usize = 6_000;
const RECORDS: u64 = (BATCHES * RECORDS_PER_BATCH) as u64;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    println!(
        "{ROUNDS} rounds of {BATCHES} batches of {RECORDS_PER_BATCH} records, {CONNECTIONS} connections"
    );
    let system = System::start().await;
    let rivals = Rivals::create(&system).await;
    pushes(&system, &rivals).await;
    topics(&system, &rivals).await;
}

/// Pushes, against every other side.
async fn pushes(system: &System, rivals: &Rivals<'_>) {
    let (mut limit, mut weir) = (Side::new("the limit"), Side::new("weir"));
    let (mut alone, mut whole) = (Side::new("ClickHouse alone"), Side::new("ClickHouse alone, whole"));
    let (mut parsing, mut bound) = (Ratios::default(), Ratios::default());
    let (mut gzip_bytes, mut plain_bytes) = (0, 0);
    merged(system).await;
    for number in 0..=ROUNDS {
        let round = Round::make(number, BATCHES, RECORDS_PER_BATCH);
        limit.run(system, number, rivals.insert_prepared(&round)).await;
        weir.run(system, number, push_all(system, &round, CONNECTIONS)).await;
        alone.run(system, number, rivals.insert_raw(&round)).await;
        whole.run(system, number, rivals.insert_raw_whole(&round)).await;
        let (ours, parse) = parsing::measure(&round);
        plain_bytes += round.batches.iter().map(String::len).sum::<usize>();
        gzip_bytes += round.batches.iter().map(|batch| gzip_best(batch)).sum::<usize>();
        if number > 0 {
            parsing.0.push(ours.as_secs_f64() / parse.as_secs_f64());
            let ready = limit.last_cpu().as_secs_f64();
            bound.0.push(ready / (ready + parse.as_secs_f64()));
        }
    }
    let events = (ROUNDS + 1) * RECORDS;
    assert_eq!(
        system.sql("SELECT count() FROM logs").await,
        events.to_string(),
        "every event is stored once"
    );
    rivals.check(events).await;
    [&limit, &weir, &alone, &whole].into_iter().for_each(Side::report);
    weir.report_over(&limit);
    weir.report_over(&alone);
    weir.report_over(&whole);
    weir.report_all_over(&limit);
    weir.report_all_over(&alone);
    weir.report_all_over(&whole);
    parsing.report("CPU of gunzip to price / gunzip and parse");
    bound.report("CPU of the limit / the same with gunzip and one parse");
    let stored: f64 = stored_bytes(system).await.parse().unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a ratio of sizes")]
    let share = stored / gzip_bytes as f64;
    println!("stored bytes / gzip -6: {share:.2}");
    let records = usize::try_from(events).unwrap();
    println!("a record has {} bytes, {} under gzip -6", plain_bytes / records, gzip_bytes / records);
    println!("most memory of ingest: {} MiB", peak_mib(&system.weir.ingest));
    crowd(system).await;
    println!(
        "the same, and {CROWD} pushes of {CROWD_RECORDS} records at a time: {} MiB",
        peak_mib(&system.weir.ingest)
    );
}

/// As many pushes at a time as are read at a time, of batches that are longer than what may be on the way of one.
async fn crowd(system: &System) {
    let round = Round::make(2 * (ROUNDS + 1), CROWD, CROWD_RECORDS);
    push_all(system, &round, CROWD).await;
    merged(system).await;
}

/// A topic, against the limit.
async fn topics(system: &System, rivals: &Rivals<'_>) {
    let Some(mut broker) = Broker::start().await else {
        println!("there is no Kafka here: topics are left out");
        return;
    };
    let (mut limit, mut topic) = (Side::new("the limit"), Side::new("weir, from a topic"));
    for number in 0..=ROUNDS {
        let round = Round::make(ROUNDS + 1 + number, BATCHES, RECORDS_PER_BATCH);
        let name = format!("round-{number}");
        broker.produce(&name, &round).await;
        limit.run(system, number, rivals.insert_prepared(&round)).await;
        topic.run(system, number, broker.consume(system, &name, RECORDS)).await;
    }
    [&limit, &topic].into_iter().for_each(Side::report);
    topic.report_over(&limit);
    println!("until the first of a topic is committed: {:.2?}", broker.starts());
    println!("most memory of an ingest that reads a topic: {} MiB", broker.peak_mib());
}

/// Pushes every batch over a few connections; the time to the last ack.
async fn push_all(system: &System, round: &Round, connections: usize) -> Duration {
    let begun = Instant::now();
    join_all((0..connections).map(|connection| async move {
        for gzip in round.gzip.iter().skip(connection).step_by(connections) {
            let token = Some(system.weir.secrets.ingest_token.as_str());
            let answer = system.push_raw(gzip.clone(), token, Some("gzip")).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        }
    }))
    .await;
    begun.elapsed()
}

async fn stored_bytes(system: &System) -> String {
    for table in ["logs", "bodies"] {
        system.sql(&format!("OPTIMIZE TABLE {table} FINAL")).await;
    }
    system
        .sql(
            "SELECT sum(bytes_on_disk) FROM system.parts \
             WHERE active AND database = currentDatabase() AND table IN ('logs', 'bodies')",
        )
        .await
}
