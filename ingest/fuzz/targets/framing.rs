//! A body in any framing: whatever it is, and in whatever pieces it comes, the same records come out.

#![no_main]

use std::io::BufReader;

use libfuzzer_sys::fuzz_target;
use weir_ingest::accept::{ChunkLimits, Framing, RecordReader};

const LIMITS: ChunkLimits = ChunkLimits { lines_max: 3, bytes_max: 64, line_bytes_max: 128 };

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (joins, piece, body) = input;
    let framing = if joins { Framing::Documents } else { Framing::Lines };
    let whole = records(&framing, body, 65_536);
    assert_eq!(records(&framing, body, usize::from(piece) + 1), whole);
    let (whole, _) = whole;
    assert!(whole.iter().all(|(_, bytes, _)| bytes.len() <= LIMITS.line_bytes_max));
    assert!(whole.is_sorted_by_key(|(position, _, _)| *position));
});

/// What is read, up to a place that may fail the body, and why it does.
fn records(framing: &Framing, body: &[u8], piece: usize) -> (Vec<(u64, Vec<u8>, bool)>, Option<String>) {
    let reader = BufReader::with_capacity(piece, body);
    let mut reader = RecordReader::new(reader, framing.clone(), LIMITS).unwrap();
    let mut records = Vec::new();
    loop {
        let chunk = match reader.next_chunk() {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return (records, None),
            Err(error) => return (records, Some(error.to_string())),
        };
        let found = chunk.records();
        records.extend(found.map(|record| (record.position, record.bytes.to_vec(), record.cut_from.is_some())));
    }
}
