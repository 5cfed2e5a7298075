//! The envelope of an encrypted field: its parts as they come, and a sound one with a part replaced or changed. Whatever
//! it is, the record is one event, and a field either opens to what was encrypted or stays closed and is told so.

#![no_main]

use std::io::BufReader;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use weir_event::Source;
use weir_ingest::accept::{ChunkLimits, Form, LineReader, Origin};
use weir_ingest::decode::PrivateKeys;
use weir_ingest::pipeline::{Batch, Pipeline};
use weir_ingest::price::PriceBook;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/json/examples/ai_gateway");
const LIMITS: ChunkLimits = ChunkLimits { lines_max: 10, bytes_max: 1 << 22, line_bytes_max: 1 << 22 };
const MEMBERS: [&str; 3] = ["key", "iv", "data"];

static PIPELINE: LazyLock<Pipeline> = LazyLock::new(|| {
    let files = ["current", "retired"].map(|name| format!("{EXAMPLES}/keys/{name}.pem"));
    Pipeline::new(PriceBook::builtin()).with_private_keys(PrivateKeys::from_files(&files).unwrap())
});
static RECORD: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(&std::fs::read_to_string(format!("{EXAMPLES}/encrypted_chat.ndjson")).unwrap())
        .unwrap()
});
static REQUEST: LazyLock<String> =
    LazyLock::new(|| prepare(&RECORD).events[0].event().bodies.request.clone().unwrap());
static ORIGIN: LazyLock<Origin> = LazyLock::new(|| Origin {
    account_id: "acc".parse().unwrap(),
    gateway_id: None,
    source: Source::Logpush,
    form: Form::Logpush,
    batch: "fuzz".to_owned(),
    received_at_ms: 1_795_000_000_000,
});

fn prepare(record: &Value) -> Batch {
    let line = record.to_string();
    let chunk = LineReader::new(BufReader::new(line.as_bytes()), LIMITS).next_chunk().unwrap().unwrap();
    let batch = PIPELINE.prepare(&chunk, &ORIGIN);
    assert!(
        batch.dead_letters.iter().all(|letter| letter.reason != "defect"),
        "a caught panic is one all the same"
    );
    assert_eq!(batch.received(), 1);
    batch
}

fuzz_target!(|input: (u8, u8, u16, &str)| {
    let (how, member, at, text) = input;
    let mut record = RECORD.clone();
    let name = MEMBERS[usize::from(member) % MEMBERS.len()];
    let envelope = &mut record["RequestBody"];
    match how % 5 {
        // A part replaced.
        0 => envelope[name] = json!(text),
        // A part cut, with something behind it.
        1 => {
            let part = envelope[name].as_str().unwrap();
            envelope[name] = json!(format!("{}{text}", &part[..usize::from(at) % part.len()]));
        }
        // A part overwritten from somewhere on.
        2 => {
            let mut part: Vec<char> = envelope[name].as_str().unwrap().chars().collect();
            let begin = usize::from(at) % part.len();
            part.iter_mut().skip(begin).zip(text.chars()).for_each(|(old, new)| *old = new);
            envelope[name] = json!(part.into_iter().collect::<String>());
        }
        // The envelope as text, cut and continued.
        3 => {
            let whole = envelope.to_string();
            *envelope = json!(format!("{}{text}", &whole[..usize::from(at) % (whole.len() + 1)]));
        }
        // Anything at all: JSON if it is some, text otherwise.
        _ => *envelope = serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
    }
    let is_damaged = how % 5 < 3 && record["RequestBody"] != RECORD["RequestBody"];
    let batch = prepare(&record);
    let Some(event) = batch.events.first() else { return };
    let request = event.event().bodies.request.as_ref();
    assert!(batch.sealed_letters.len() <= 1 && batch.dead_letters.is_empty());
    if is_damaged {
        // Base64 has more than one way to write the same bytes, so it may still be sound; it is never something else.
        assert!(request.is_none_or(|request| *request == *REQUEST), "{request:?}");
        assert_eq!(request.is_none(), batch.sealed_letters.len() == 1);
    }
});
