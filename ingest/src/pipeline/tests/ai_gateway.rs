//! AI Gateway logs, encrypted and in the open, to rows and letters.

use std::sync::LazyLock;

use weir_event::EventId;

use super::*;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/json/examples/ai_gateway");

static KEYS: LazyLock<PrivateKeys> = LazyLock::new(|| {
    PrivateKeys::from_files(&["current", "retired"].map(|name| format!("{FOLDER}/keys/{name}.pem"))).unwrap()
});

fn example(name: &str) -> String {
    std::fs::read_to_string(format!("{FOLDER}/{name}.ndjson")).unwrap()
}

fn prepare_with(keys: &PrivateKeys, origin: &Origin, body: &str) -> Batch {
    let limits = ChunkLimits { line_bytes_max: 1 << 20, ..LIMITS };
    let chunk = LineReader::new(BufReader::new(body.as_bytes()), limits).next_chunk().unwrap().unwrap();
    Pipeline::new(PriceBook::builtin()).with_private_keys(keys.clone()).prepare(&chunk, origin)
}

fn prepare(body: &str) -> Batch {
    prepare_with(&KEYS, &origin(), body)
}

/// The one event of a batch, and the letter beside it.
fn only(mut batch: Batch) -> (PricedEvent, Option<DeadLetter>) {
    assert_eq!((batch.events.len(), batch.dead_letters.len(), batch.received()), (1, 0, 1));
    assert!(batch.sealed_letters.len() <= 1);
    (batch.events.remove(0), batch.sealed_letters.pop())
}

fn bodies(event: &PricedEvent) -> (Option<&str>, Option<&str>) {
    let bodies = &event.event().bodies;
    (bodies.request.as_deref(), bodies.response.as_deref())
}

#[test]
fn every_ai_gateway_example_has_its_golden_row() {
    let mut names: Vec<_> = std::fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ndjson"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 8, "examples are missing: {names:?}");
    for name in names {
        let (event, letter) = only(prepare(&example(&name)));
        let fields = row(&event);
        assert_eq!(letter.is_some(), fields.contains_key("flags"), "{name}");
        insta::assert_json_snapshot!(name, fields);
    }
}

#[test]
fn what_was_encrypted_is_priced_as_what_was_not() {
    let (sealed, letter) = only(prepare(&example("encrypted_chat")));
    let (plain, _) = only(prepare(&example("plain_objects_no_gateway")));
    assert_eq!((bodies(&sealed), letter), (bodies(&plain), None));
    let (sealed, plain) = (row(&sealed), row(&plain));
    // 420 x 0.15 + 38 x 0.6 per million.
    assert_eq!(sealed["cost"], "0.0000858");
    for field in
        ["cost", "tokens_in", "tokens_out", "model", "request_id", "provider", "request_type", "path"]
    {
        assert_eq!(sealed[field], plain[field], "{field}");
    }
}

#[test]
fn a_log_names_its_gateway_and_the_path_stands_in() {
    let gateway = |event: &PricedEvent| event.event().scope.gateway_id.as_str().to_owned();
    let account = Origin { gateway_id: None, ..origin() };
    for origin in [origin(), account.clone()] {
        let (event, _) = only(prepare_with(&KEYS, &origin, &example("plain_cache_hit")));
        assert_eq!(gateway(&event), "other_gateway");
    }
    let (event, _) = only(prepare(&example("plain_objects_no_gateway")));
    assert_eq!(gateway(&event), "gw");
    let nameless = [example("plain_objects_no_gateway"), super::example("malacca_metrics_logpush")].concat();
    let batch = prepare_with(&KEYS, &account, &nameless);
    let reasons: Vec<_> = batch.dead_letters.iter().map(|letter| letter.reason).collect();
    assert_eq!((batch.events.len(), reasons, batch.received()), (0, vec!["no_gateway"; 2], 2));
}

#[test]
fn a_record_is_one_event_however_often_it_comes_and_whatever_key_is_there() {
    let id = |batch: Batch| -> EventId { only(batch).0.event().id };
    let record = example("encrypted_chat");
    let with_keys = id(prepare(&record));
    assert_eq!(id(prepare_with(&PrivateKeys::default(), &origin(), &record)), with_keys);
    let account = Origin { gateway_id: None, ..origin() };
    assert_eq!(id(prepare_with(&KEYS, &account, &record)), with_keys);
    // The same call a second time has a fresh key, so it is another record. In the open only its time can tell.
    assert_ne!(id(prepare(&record.replace("456789", "456790"))), with_keys);
}

#[test]
fn without_the_key_the_row_is_stored_and_the_record_kept_to_be_opened_later() {
    let record = example("encrypted_for_an_unknown_key");
    let (event, letter) = only(prepare(&record));
    let letter = letter.unwrap();
    assert_eq!((letter.reason, letter.position), ("undecryptable", 1));
    let no = "no private key here opens it";
    assert_eq!(letter.detail, format!("Metadata: {no}; RequestBody: {no}; ResponseBody: {no}"));
    assert_eq!(letter.gateway_id.as_ref(), Some(&event.event().scope.gateway_id));
    assert_eq!(String::from_utf8(letter.raw).unwrap(), record.trim_end(), "nothing of it is blanked");
    assert_eq!(bodies(&event), (None, None));
    let fields = row(&event);
    assert_eq!(fields["cost_source"], "unpriced");
    assert!(!fields.contains_key("cost") && !fields.contains_key("tokens_in"));
}

#[test]
fn a_letter_is_opened_when_the_key_is_there() {
    let record = example("encrypted_chat");
    let (_, letter) = only(prepare_with(&PrivateKeys::default(), &origin(), &record));
    let again = String::from_utf8(letter.unwrap().raw).unwrap();
    let (event, letter) = only(prepare(&again));
    assert_eq!((row(&event), letter), (row(&only(prepare(&record)).0), None));
}

#[test]
fn a_letter_of_no_gateway_can_be_opened_too_and_is_known_by_the_record_that_came() {
    let mut record: Map<String, Value> = serde_json::from_str(&example("encrypted_chat")).unwrap();
    record.remove("Gateway");
    record.insert("Metadata".to_owned(), serde_json::json!({ "api_key": "sk-in-the-open" }));
    let line = serde_json::to_string(&record).unwrap();
    let letter = prepare_with(&KEYS, &Origin { gateway_id: None, ..origin() }, &line).dead_letters.remove(0);
    assert_eq!(letter.reason, "no_gateway");
    let came_as: [u8; 32] = hex::decode(&letter.digest).unwrap().try_into().unwrap();
    assert_ne!(came_as, RawRecord::whole(1, &letter.raw).digest(), "something was blanked");
    let kept = RawRecord { came_as: Some(came_as), ..RawRecord::whole(1, &letter.raw) };
    let pipeline = Pipeline::new(PriceBook::builtin()).with_private_keys(KEYS.clone());
    let (replayed, letter) = only(pipeline.prepare_one(&kept, &origin()));
    let (pushed, _) = only(prepare(&line));
    assert_eq!((bodies(&replayed), replayed.event().id), (bodies(&pushed), pushed.event().id));
    assert!(bodies(&replayed).0.is_some() && letter.is_none());
}

#[test]
fn one_damaged_field_costs_only_itself() {
    let (event, letter) = only(prepare(&example("encrypted_damaged_answer")));
    assert_eq!(letter.unwrap().detail, "ResponseBody: data is damaged");
    let fields = row(&event);
    assert_eq!(fields["flags"], serde_json::json!(["response_undecryptable"]));
    assert_eq!(fields["metadata"], r#"{"user":"u-9"}"#);
    assert!(matches!(bodies(&event), (Some(request), None) if request.contains("gpt-4o-mini")));
}

#[test]
fn a_letter_keeps_what_is_encrypted_and_blanks_secrets_in_the_open() {
    let mut record: Map<String, Value> = serde_json::from_str(&example("encrypted_damaged_answer")).unwrap();
    record.insert("Metadata".to_owned(), serde_json::json!({ "api_key": "sk-in-the-open", "user": "u" }));
    let line = serde_json::to_string(&record).unwrap();
    let (_, letter) = only(prepare(&line));
    let kept: Map<String, Value> = serde_json::from_slice(&letter.unwrap().raw).unwrap();
    assert_eq!(kept["ResponseBody"], record["ResponseBody"]);
    assert_eq!(kept["Metadata"]["api_key"], "REDACTED");
}

#[test]
fn a_cache_hit_without_its_answer_still_cost_nothing() {
    let record = example("encrypted_for_an_unknown_key").replace("\"Cached\":false", "\"Cached\":true");
    let fields = row(&only(prepare(&record)).0);
    assert_eq!((&fields["cost"], &fields["cost_source"]), (&"0".into(), &"cached_zero".into()));
}

#[test]
fn a_log_from_tomorrow_is_a_letter() {
    let batch = prepare(r#"{"Datetime":1795090000,"Gateway":"gw"}"#);
    assert_eq!(batch.dead_letters[0].reason, "invalid_timestamp");
}

proptest::proptest! {
    #[test]
    fn no_damaged_record_panics_or_loses_its_neighbour(at: proptest::sample::Index, byte: u8) {
        let mut damaged = example("encrypted_chat").trim_end().as_bytes().to_vec();
        let at = at.index(damaged.len());
        damaged[at] = if byte == b'\n' { b' ' } else { byte };
        let body = [damaged.as_slice(), b"\n", example("without_contents").as_bytes()].concat();
        let chunk = LineReader::new(BufReader::new(body.as_slice()), LIMITS).next_chunk().unwrap().unwrap();
        let pipeline = Pipeline::new(PriceBook::builtin()).with_private_keys(KEYS.clone());
        let batch = pipeline.prepare(&chunk, &origin());
        proptest::prop_assert_eq!(batch.received(), 2);
        proptest::prop_assert!(batch.dead_letters.iter().all(|letter| letter.reason != "defect"));
    }
}
