//! The decompressed body of a push, from lines to priced events: no bytes panic, and no line goes unaccounted for.

#![no_main]

use std::io::BufReader;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use weir_event::Source;
use weir_ingest::accept::{ChunkLimits, Form, LineReader, Origin};
use weir_ingest::pipeline::Pipeline;
use weir_ingest::price::PriceBook;

const LIMITS: ChunkLimits = ChunkLimits { lines_max: 100, bytes_max: 65_536, line_bytes_max: 4_096 };

static PIPELINE: LazyLock<Pipeline> = LazyLock::new(|| Pipeline::new(PriceBook::builtin()));
static ORIGIN: LazyLock<Origin> = LazyLock::new(|| Origin {
    account_id: "acc".parse().unwrap(),
    gateway_id: Some("gw".parse().unwrap()),
    source: Source::Logpush,
    form: Form::Logpush,
    batch: "fuzz".to_owned(),
    received_at_ms: 1_795_000_000_000,
});

fuzz_target!(|body: &[u8]| {
    let mut lines = LineReader::new(BufReader::with_capacity(64, body), LIMITS);
    let mut received = 0;
    while let Some(chunk) = lines.next_chunk().unwrap() {
        let batch = PIPELINE.prepare(&chunk, &ORIGIN);
        assert!(
            batch.dead_letters.iter().all(|letter| letter.reason != "defect"),
            "a caught panic is one all the same"
        );
        received += batch.received();
    }
    let expected = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii_end().is_empty()).count();
    assert_eq!(received, expected as u64);
});
