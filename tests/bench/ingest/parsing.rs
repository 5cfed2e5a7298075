//! The CPU of everything between the network and the store, against the least that any receiver has to do.

use std::hint::black_box;
use std::io::{BufReader, Read};
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use serde_json::Value;
use weir_event::Source;
use weir_ingest::accept::{ChunkLimits, Form, LineReader, Origin};
use weir_ingest::pipeline::Pipeline;
use weir_ingest::price::PriceBook;

use super::sample::Round;
use super::usage::cpu_of_thread;

const LIMITS: ChunkLimits = ChunkLimits { lines_max: 2_000, bytes_max: 4 << 20, line_bytes_max: 16 << 20 };

/// The CPU of gunzip to price, and of gunzip and parse, over a round; both on this one thread.
pub(crate) fn measure(round: &Round) -> (Duration, Duration) {
    let pipeline = Pipeline::new(PriceBook::builtin());
    let origin = Origin {
        account_id: "acc".parse().unwrap(),
        gateway_id: Some("gw".parse().unwrap()),
        source: Source::Logpush,
        form: Form::Logpush,
        batch: "bench".to_owned(),
        received_at_ms: i64::MAX,
    };
    let begun = cpu_of_thread();
    for gzip in &round.gzip {
        let mut lines = LineReader::new(BufReader::new(MultiGzDecoder::new(gzip.as_slice())), LIMITS);
        while let Some(chunk) = lines.next_chunk().unwrap() {
            black_box(pipeline.prepare(&chunk, &origin));
        }
    }
    let ours = cpu_of_thread().saturating_sub(begun);
    let begun = cpu_of_thread();
    for gzip in &round.gzip {
        let mut text = String::new();
        MultiGzDecoder::new(gzip.as_slice()).read_to_string(&mut text).unwrap();
        text.lines().for_each(parse);
    }
    (ours, cpu_of_thread().saturating_sub(begun))
}

/// The record, the text of each of its log lines, and the answer's body.
fn parse(line: &str) {
    let record: Value = serde_json::from_str(line).unwrap();
    for log in record["Logs"].as_array().unwrap() {
        let message: Value = serde_json::from_str(log["Message"][0].as_str().unwrap()).unwrap();
        if let Some(body) = message["response_body"].as_str() {
            black_box(serde_json::from_str::<Value>(body).unwrap());
        }
        black_box(message);
    }
}
