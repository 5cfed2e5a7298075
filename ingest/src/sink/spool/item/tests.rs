//! Tests of the form of messages.

use std::io::BufReader;

use proptest::prelude::*;
use weir_event::Source;

use super::*;
use crate::accept::{ChunkLimits, Form, LineReader, Origin};
use crate::pipeline::Pipeline;
use crate::price::PriceBook;

const LARGE: usize = 8 << 20;

/// Every example of the repository, a record that cannot be read, and one with nothing to store.
fn batch() -> Encoded {
    let folder = format!("{}/../schemas/json/examples/trace", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut body: Vec<u8> = files.iter().flat_map(|file| std::fs::read(file).unwrap()).collect();
    let sealed =
        r#"{"Datetime":1790000000,"Gateway":"other","RequestBody":{"type":"encrypted","key":"AA=="}}"#;
    body.extend_from_slice(format!("\n{sealed}\n[1]\n{{\"content\":\"tests\"}}\n").as_bytes());
    let origin = Origin {
        account_id: "acc".parse().unwrap(),
        gateway_id: Some("gw".parse().unwrap()),
        source: Source::Logpush,
        form: Form::Logpush,
        batch: "test".to_owned(),
        received_at_ms: 1_800_000_000_000,
    };
    let limits = ChunkLimits { lines_max: 1_000, bytes_max: 1 << 24, line_bytes_max: 1 << 24 };
    let chunk = LineReader::new(BufReader::new(body.as_slice()), limits).next_chunk().unwrap().unwrap();
    Encoded::of(&Pipeline::new(PriceBook::builtin()).prepare(&chunk, &origin))
}

fn read(part: &Part) -> Spooled {
    Spooled::read(&part.payload).unwrap()
}

fn doubt() -> Doubt {
    Doubt { token: "ab".repeat(32), write_id: 7, at_ms: 1_790_000_000_000 }
}

/// The rows of a batch, one by one.
fn rows(batch: &Encoded) -> Vec<Vec<u8>> {
    let events = batch.events().map(|event| [event.log, event.body, event.entry].concat());
    events.chain(batch.letters().map(<[u8]>::to_vec)).collect()
}

#[test]
fn a_batch_comes_back_as_it_was() {
    let batch = batch();
    assert!(
        batch.events().len() > 5 && batch.ignored() > 0 && batch.dead_lettered() > 0 && batch.sealed() > 0
    );
    let parts = parts(&batch, Some(&doubt()), LARGE).unwrap();
    assert_eq!(parts.len(), 1);
    let spooled = read(&parts[0]);
    assert_eq!((spooled.batch, spooled.doubt), (batch.clone(), Some(doubt())));
    assert_eq!(parts[0].subject, format!("weir.spool.logpush.{}", batch.received()));
}

#[test]
fn the_parts_of_a_batch_are_the_batch() {
    let batch = batch();
    let whole = parts(&batch, None, LARGE).unwrap()[0].payload.len();
    for bytes_max in [whole - 1, whole / 2, whole / 3] {
        let parts = parts(&batch, None, bytes_max).unwrap();
        assert!(parts.len() > 1 && parts.iter().all(|part| part.payload.len() <= bytes_max));
        let batches: Vec<_> = parts.iter().map(|part| read(part).batch).collect();
        assert_eq!(batches.iter().flat_map(rows).collect::<Vec<_>>(), rows(&batch));
        let sum = |count: fn(&Encoded) -> u64| batches.iter().map(count).sum::<u64>();
        assert_eq!(
            (
                sum(Encoded::received),
                sum(Encoded::dead_lettered),
                sum(Encoded::sealed),
                sum(Encoded::ignored)
            ),
            (batch.received(), batch.dead_lettered(), batch.sealed(), batch.ignored())
        );
        assert_eq!(parts.iter().map(|part| part.records).sum::<u64>(), batch.records_to_store());
    }
}

#[test]
fn a_row_that_is_larger_than_a_message_is_told_of() {
    assert!(matches!(parts(&batch(), None, 100), Err(SpoolError::RowTooLarge { bytes_max: 100, .. })));
}

#[test]
fn the_same_content_has_the_same_name() {
    let batch = batch();
    let id = |doubt| parts(&batch, doubt, LARGE).unwrap()[0].id.clone();
    assert_eq!(id(None), id(None));
    assert_ne!(id(None), id(Some(&doubt())));
}

#[test]
fn rows_of_an_older_program_keep_their_columns() {
    let batch = batch();
    let mut columns = Columns::clone(batch.columns());
    columns.logs = columns.logs.replace(", `flags`", "");
    assert_ne!(columns, **batch.columns());
    let old = batch.with_columns(Arc::new(columns.clone()));
    let mut part = parts(&old, None, LARGE).unwrap().remove(0);
    let spooled = read(&part);
    assert_eq!(**spooled.batch.columns(), columns);
    part.payload = [&[FORM_OF_PAYLOADS], &part.payload[1..]].concat().into();
    assert_eq!(**read(&part).batch.columns(), columns);
}

#[test]
fn what_is_no_message_of_ours_is_not_read() {
    let payload = parts(&batch(), None, LARGE).unwrap().remove(0).payload;
    let check = |payload: &[u8], why: &str| {
        let error = Spooled::read(payload).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    check(b"", "empty");
    check(&[&[FORM + 1], &payload[1..]].concat(), "form");
    check(&payload[..payload.len() / 2], "decompressed");
    let hostile = |change: fn(&mut Columns)| {
        let batch = batch();
        let mut columns = Columns::clone(batch.columns());
        change(&mut columns);
        parts(&batch.with_columns(Arc::new(columns)), None, LARGE).unwrap().remove(0).payload
    };
    check(&hostile(|columns| columns.logs.push_str(", `a`) SELECT")), "columns");
    let unnamed = Doubt { token: "x y".to_owned(), ..doubt() };
    check(&parts(&batch(), Some(&unnamed), LARGE).unwrap()[0].payload, "name");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A message that was tampered with is refused or is a batch whose every part can be had.
    #[test]
    fn a_broken_message_never_panics(at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let batch = batch();
        let written = Written { columns: batch.columns(), doubt: None, batch: &batch };
        let mut plain = postcard::to_allocvec(&written).unwrap();
        // The heads of the parts, not the bodies, are what breaks.
        let index = at.index(plain.len());
        plain[index] = with;
        plain.truncate(plain.len() - cut.index(3));
        let mut payload = vec![FORM];
        payload.extend(zstd::bulk::compress(&plain, 1).unwrap());
        if let Ok(spooled) = Spooled::read(&payload) {
            prop_assert!(!rows(&spooled.batch).is_empty());
            let _ = spooled.batch.split();
        }
    }
}
