//! The two sides.

use std::hint::black_box;
use std::io::{BufReader, Read};

use flate2::read::MultiGzDecoder;
use serde_json::Value;
use weir_event::Source;
use weir_ingest::accept::{ChunkLimits, Form, LineReader, Origin};
use weir_ingest::pipeline::Pipeline;
use weir_ingest::price::PriceBook;
use weir_ingest::redact::{BuiltIn, Policies, PolicyEntry, Redactor, Rules};
use weir_service::config::Value as _;

use super::sample::Batch;

const LIMITS: ChunkLimits = ChunkLimits { lines_max: 2_000, bytes_max: 4 << 20, line_bytes_max: 16 << 20 };

/// Gunzip to price, or to what is stored.
pub(crate) struct Weir {
    pipeline: Pipeline,
    origin: Origin,
}

/// What any receiver has to do.
pub(crate) struct Receiver;

impl Weir {
    /// Up to the price, and texts kept as they came.
    pub(crate) fn to_price() -> Self {
        let all = PolicyEntry::from_text("*/*=store").unwrap();
        let rules = Rules::new(&BuiltIn::ALL, Vec::new()).unwrap();
        let redactor = Redactor::new(Policies::new(vec![all]), rules, Redactor::HEAD_CHARACTERS);
        let weir = Self::to_row();
        Self { pipeline: weir.pipeline.with_redactor(redactor), ..weir }
    }

    /// As it is set by default: up to the price, and every rule of redaction.
    pub(crate) fn to_row() -> Self {
        let origin = Origin {
            account_id: "acc".parse().unwrap(),
            gateway_id: "gw".parse().ok(),
            source: Source::Logpush,
            form: Form::Logpush,
            batch: "bench".to_owned(),
            received_at_ms: i64::MAX,
        };
        Self { pipeline: Pipeline::new(PriceBook::builtin()), origin }
    }

    pub(crate) fn work(&self, batch: &Batch) {
        self.each_chunk(batch, |prepared| {
            black_box(prepared);
        });
    }

    /// That the work is done at all: every event has its usage and its price.
    pub(crate) fn check(&self, batch: &Batch) {
        let mut count = 0;
        self.each_chunk(batch, |prepared| {
            for priced in &prepared.events {
                assert_eq!(priced.event().tokens.total_out(), Some(batch.tokens_out));
                assert!(priced.cost().amount().is_some(), "{:?}", priced.cost());
            }
            count += prepared.events.len();
        });
        assert_eq!(count, batch.records);
    }

    fn each_chunk(&self, batch: &Batch, mut take: impl FnMut(weir_ingest::pipeline::Batch)) {
        let mut lines = LineReader::new(BufReader::new(MultiGzDecoder::new(batch.gzip.as_slice())), LIMITS);
        while let Some(chunk) = lines.next_chunk().unwrap() {
            take(self.pipeline.prepare(&chunk, &self.origin));
        }
    }
}

impl Receiver {
    pub(crate) fn work(batch: &Batch) {
        let mut text = String::new();
        MultiGzDecoder::new(batch.gzip.as_slice()).read_to_string(&mut text).unwrap();
        text.lines().for_each(parse);
    }
}

/// The record, the text of each of its log lines, and the answer's body: whole, or each event of it.
fn parse(line: &str) {
    let record: Value = serde_json::from_str(line).unwrap();
    for log in record["Logs"].as_array().unwrap() {
        let message: Value = serde_json::from_str(log["Message"][0].as_str().unwrap()).unwrap();
        match message["response_body"].as_str() {
            Some(stream) if stream.starts_with("data:") || stream.starts_with("event:") => {
                for data in stream.lines().filter_map(|line| line.strip_prefix("data: ")) {
                    black_box(serde_json::from_str::<Value>(data).ok());
                }
            }
            Some(json) => {
                black_box(serde_json::from_str::<Value>(json).unwrap());
            }
            None => {}
        }
        black_box(message);
    }
}
