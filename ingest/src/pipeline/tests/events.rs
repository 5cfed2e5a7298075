//! Events of every form that producers write, through the real stages to rows and letters.

use super::*;

/// The events that a source of `form` sends, each a record of its own.
fn prepare_as(form: Form, records: &[u8]) -> Batch {
    prepare_from(&Origin { source: Source::Http, form, ..origin() }, records)
}

fn prepare_from(origin: &Origin, records: &[u8]) -> Batch {
    let chunk = LineReader::new(BufReader::new(records), LIMITS).next_chunk().unwrap().unwrap_or_default();
    Pipeline::new(PriceBook::builtin()).prepare(&chunk, origin)
}

/// The examples of a folder by their names, each on one line.
fn examples(folder: &str) -> Vec<(String, String)> {
    let folder = format!("{}/../schemas/json/examples/{folder}", env!("CARGO_MANIFEST_DIR"));
    let mut examples: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let raw: &serde_json::value::RawValue = serde_json::from_str(&text).unwrap();
            (path.file_stem().unwrap().to_string_lossy().into_owned(), raw.get().replace('\n', " "))
        })
        .collect();
    examples.sort();
    assert!(examples.len() >= 4, "examples are missing: {examples:?}");
    examples
}

/// The row of the only record.
fn stored(batch: &Batch, name: &str) -> Map<String, Value> {
    assert_eq!((batch.events.len(), batch.received()), (1, 1), "{name}: {:?}", batch.dead_letters);
    row(&batch.events[0])
}

/// Why the only record is not stored.
fn refused(batch: &Batch, name: &str) -> String {
    assert_eq!((batch.dead_letters.len(), batch.received()), (1, 1), "{name}");
    format!("{}: {}", batch.dead_letters[0].reason, batch.dead_letters[0].detail)
}

#[test]
fn every_example_of_a_canonical_event_has_its_golden_row() {
    for (name, json) in examples("valid") {
        let batch = prepare_as(Form::Canonical, json.as_bytes());
        insta::assert_json_snapshot!(format!("canonical_{name}"), stored(&batch, &name));
    }
}

#[test]
fn every_invalid_event_has_its_reason() {
    let reasons: std::collections::BTreeMap<_, _> = examples("invalid")
        .into_iter()
        .map(|(name, json)| (name.clone(), refused(&prepare_as(Form::Canonical, json.as_bytes()), &name)))
        .collect();
    insta::assert_json_snapshot!("canonical_invalid", reasons);
}

#[test]
fn a_message_without_an_id_is_known_by_its_place() {
    let json = br#"{"kind":"consume","started_at":"2026-01-02T03:04:05Z","success":true}"#;
    let origin = Origin { form: Form::Canonical, source: Source::Kafka, ..origin() };
    let topic = Origin { batch: "usage-3".to_owned(), ..origin };
    let (first, again) = (prepare_from(&topic, json), prepare_from(&topic, json));
    assert_eq!(stored(&first, "message")["event_id"], "usage-3-1");
    assert_eq!(stored(&first, "message")["id"], stored(&again, "message")["id"]);
    let other = Origin { batch: "usage-4".to_owned(), ..topic };
    assert_ne!(stored(&prepare_from(&other, json), "other")["id"], stored(&first, "message")["id"]);
    assert_eq!(
        refused(&prepare_as(Form::Canonical, json), "a push has no place"),
        "missing_field: there is no event_id"
    );
}

#[test]
fn an_event_that_ends_in_the_future_is_refused() {
    let json = br#"{"event_id":"e","kind":"consume","started_at":"2026-01-02T03:04:05Z","created_at":"2099-01-02T03:04:05Z","success":true}"#;
    assert!(refused(&prepare_as(Form::Canonical, json), "late").starts_with("invalid_timestamp: "));
}
