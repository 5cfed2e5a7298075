//! A push of a gigabyte: every record in it is counted, and the memory it takes is that of a few chunks.

use std::io;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use harness::System;
use harness::traffic::record;
use reqwest::header::CONTENT_ENCODING;
use reqwest::{Body, Client};
use serde_json::json;

use super::{ENDED_AT, taken};

/// The body is so many times the same lines with nothing to store, each time with records of requests behind them.
const PARTS: u64 = 245;
const LONG_LINES: u64 = 64;
const LONG_LINE_BYTES: usize = 65_536;
const PROBES: u64 = 500;
const RECORDS: u64 = 12;
const BODY_BYTES_MIN: u64 = 1_000_000_000;

/// How much memory ingest may take for it.
const RESIDENT_BYTES_MAX: u64 = 256 << 20;
const LIMIT: Duration = Duration::from_mins(5);

#[tokio::test]
async fn a_push_of_a_gigabyte_is_counted_whole_and_takes_little_memory() {
    let system = System::start().await;
    let padding = padding();
    // What a zstd stream is: one frame behind the other.
    let frames = stream::iter(0..PARTS).flat_map(move |part| {
        let first = part * RECORDS;
        let records = (first..first + RECORDS).map(|number| record(number, ENDED_AT) + "\n");
        let records = zstd::encode_all(records.collect::<String>().as_bytes(), 1);
        stream::iter([io::Result::Ok(padding.clone()), records])
    });
    // That of the harness gives up after a minute.
    let client = Client::builder().timeout(LIMIT).build().unwrap();
    let push = client
        .post(system.push_url())
        .bearer_auth(&system.weir.secrets.ingest_token)
        .header(CONTENT_ENCODING, "zstd")
        .body(Body::wrap_stream(frames));
    let (stored, ignored) = (PARTS * RECORDS, PARTS * (LONG_LINES + PROBES));
    let tally = json!({
        "received": stored + ignored, "stored": stored, "duplicates": 0, "dead_lettered": 0, "ignored": ignored,
    });
    taken(push, tally).await;
    assert_eq!(
        system.sql("SELECT count(), uniqExact(ray_id) FROM logs").await,
        format!("{stored}\t{stored}")
    );
    let peak = resident_peak_bytes(system.weir.ingest.pid().unwrap());
    assert!(peak < RESIDENT_BYTES_MAX, "{} MiB", peak >> 20);
}

/// A compressed frame of lines with nothing to store. The long ones are of no repetition, so that what goes over the
/// network is nearly as long as they are, and comes in faster than it can be read.
fn padding() -> Vec<u8> {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut letter = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        // No quote and no backslash is among these.
        char::from(b'#' + u8::try_from(seed % 57).unwrap())
    };
    let mut lines = String::new();
    for _ in 0..LONG_LINES {
        let text: String = (0..LONG_LINE_BYTES).map(|_| letter()).collect();
        lines.extend(["{\"content\":\"", &text, "\"}\n"]);
    }
    lines.push_str(&"{\"content\":\"tests\"}\n".repeat(usize::try_from(PROBES).unwrap()));
    assert!(lines.len() as u64 * PARTS >= BODY_BYTES_MIN);
    zstd::encode_all(lines.as_bytes(), 1).unwrap()
}

/// The most memory that a process has had.
fn resident_peak_bytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    kib << 10
}
