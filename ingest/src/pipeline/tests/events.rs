//! Events of every form that producers write, through the real stages to rows and letters.

use proptest::strategy::Strategy;
use weir_event::wire::WireEvent;
use weir_event::{TokenBucket, Usd};

use super::*;
use crate::decode::EventRecord;

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
        .filter(|path| path.is_file())
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

/// Each form with the folder of its examples and of those that are refused.
const FOLDERS: [(Form, &str, &str); 4] = [
    (Form::Canonical, "valid", "invalid"),
    (Form::CloudEvents, "cloud_events", "cloud_events/invalid"),
    (Form::CloudflareLog, "cloudflare_log", "cloudflare_log/invalid"),
    (Form::NewApiLog, "new_api_log", "new_api_log/invalid"),
];

#[test]
fn every_example_of_an_event_has_its_golden_row_also_where_its_form_is_not_told() {
    for (form, folder, _) in FOLDERS {
        for (name, json) in examples(folder) {
            let row = stored(&prepare_as(form, json.as_bytes()), &name);
            assert_eq!(stored(&prepare_as(Form::Events, json.as_bytes()), &name), row, "{folder}/{name}");
            insta::assert_json_snapshot!(format!("{folder}_{name}"), row);
        }
    }
}

/// What it is known by ends where its content was once cut, so that rows which were stored so are not stored again.
#[test]
fn a_row_of_new_api_keeps_all_of_its_content_and_is_known_by_the_beginning() {
    let of = |row_type: u8, content: &str| {
        let json = format!(
            r#"{{"type":{row_type},"created_at":1785781700,"request_id":"r","channel":3,"content":"{content}"}}"#
        );
        stored(&prepare_as(Form::NewApiLog, json.as_bytes()), content)
    };
    let beginning = "名".repeat(1_024);
    let (cut, other) = (of(2, &beginning), of(2, &beginning[3..]));
    for end in ["", "a", "b", &"字".repeat(10_000)] {
        let content = format!("{beginning}{end}");
        let (said, failed) = (of(2, &content), of(4, &content));
        assert_eq!(said["id"], cut["id"]);
        let attributes = said["attributes"].to_string();
        assert!(attributes.contains(&content), "{} characters", content.chars().count());
        assert_eq!(failed["error"], content);
    }
    assert_ne!(cut["id"], other["id"]);
}

#[test]
fn every_invalid_event_has_its_reason() {
    for (form, _, folder) in FOLDERS {
        let reasons: std::collections::BTreeMap<_, _> = examples(folder)
            .into_iter()
            .map(|(name, json)| (name.clone(), refused(&prepare_as(form, json.as_bytes()), &name)))
            .collect();
        insta::assert_json_snapshot!(folder.replace('/', "_"), reasons);
    }
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

/// A batch of one record with attributes beside it, as a message in binary mode has them.
fn prepare_binary(form: Form, attributes: &[(&str, &str)], data: &str) -> Result<Map<String, Value>, String> {
    let attributes =
        attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let record = RawRecord { attributes: Some(&attributes), ..RawRecord::whole(1, data.as_bytes()) };
    let origin = Origin { source: Source::Http, form, ..origin() };
    match Pipeline::new(PriceBook::builtin()).take(&record, &origin) {
        Ok(Taken::Event(event, None)) => Ok(row(&event)),
        Ok(_) => panic!("neither an event nor an error"),
        Err(Refusal { error, .. }) => Err(format!("{}: {error}", error.reason())),
    }
}

#[test]
fn a_cloud_event_is_the_same_in_both_of_its_modes() {
    let (_, json) =
        examples("cloud_events").into_iter().find(|(name, _)| name == "named_by_its_envelope").unwrap();
    let event: Value = serde_json::from_str(&json).unwrap();
    let names = ["specversion", "id", "source", "type", "time", "datacontenttype"];
    let attributes = names.map(|name| (name, event[name].as_str().unwrap()));
    let data = event["data"].to_string();
    let structured = stored(&prepare_as(Form::CloudEvents, json.as_bytes()), "structured");
    for form in [Form::CloudEvents, Form::Events] {
        assert_eq!(prepare_binary(form, &attributes, &data), Ok(structured.clone()));
    }
    let without = |left_out: &str| {
        let attributes: Vec<_> = attributes.into_iter().filter(|(name, _)| *name != left_out).collect();
        prepare_binary(Form::CloudEvents, &attributes, &data)
    };
    assert_eq!(without("source").unwrap_err(), "missing_field: there is no source");
    assert_eq!(without("time").unwrap_err(), "missing_field: there is no started_at");
    assert_eq!(without("datacontenttype"), Ok(structured));
    // A content type alone makes no event in binary mode.
    let attributes = [("datacontenttype", "application/cloudevents+json")];
    assert!(prepare_binary(Form::CloudEvents, &attributes, &json).is_ok());
}

#[test]
fn the_secrets_beside_a_letter_are_not_kept() {
    let attributes = [("specversion", "1.0"), ("authtoken", "hunter2"), ("subject", "alice@example.com")];
    let attributes =
        attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
    let record = RawRecord { attributes: Some(&attributes), ..RawRecord::whole(1, b"{") };
    let origin = Origin { source: Source::Http, form: Form::CloudEvents, ..origin() };
    let batch = Pipeline::new(PriceBook::builtin()).prepare_one(&record, &origin);
    let kept = batch.dead_letters[0].attributes.as_ref().unwrap();
    let expected = [("authtoken", "REDACTED"), ("specversion", "1.0"), ("subject", "[redacted:email]")];
    assert_eq!(kept.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_row_without_an_id_is_known_by_what_it_has() {
    let topic = |form| Origin { form, source: Source::Kafka, batch: "usage-3".to_owned(), ..origin() };
    let row_of = |json: &str| {
        let batch = prepare_as(Form::NewApiLog, json.as_bytes());
        stored(&batch, json)["id"].clone()
    };
    let row = r#"{"type":4,"created_at":1785781512,"request_id":"r1","channel":1,"content":"a"}"#;
    assert_eq!(row_of(row), row_of(&row.replace(r#""type":4"#, r#""id":0, "quota":0, "type":4"#)));
    for (from, to) in [
        ("\"r1\"", "\"r2\""),
        (":1785781512", ":1785781513"),
        ("\"channel\":1", "\"channel\":2"),
        ("\"a\"", "\"b\""),
    ] {
        assert_ne!(row_of(row), row_of(&row.replace(from, to)), "an attempt of its own: {to}");
    }
    let nameless = r#"{"type":1,"created_at":1785781512,"quota":7}"#;
    assert_eq!(row_of(nameless), row_of(nameless));
    assert_ne!(row_of(nameless), row_of(&nameless.replace("7}", "8}")));
    let in_a_topic = stored(&prepare_from(&topic(Form::NewApiLog), nameless.as_bytes()), nameless);
    assert_eq!(in_a_topic["id"], row_of(nameless), "the same by whichever door");
    let cloudflare = r#"{"created_at":"2026-08-03T18:25:12Z","duration":5,"cached":false,"tokens_in":1}"#;
    let in_a_topic = stored(&prepare_from(&topic(Form::CloudflareLog), cloudflare.as_bytes()), cloudflare);
    assert_eq!(in_a_topic["event_id"], "usage-3-1");
}

#[test]
fn what_types_of_new_api_mean_is_a_setting() {
    let kinds = |types: NewApiTypes| {
        (1..=7)
            .map(|number| {
                let row = format!(r#"{{"id":1,"type":{number},"created_at":1785781512,"content":"said"}}"#);
                let chunk =
                    LineReader::new(BufReader::new(row.as_bytes()), LIMITS).next_chunk().unwrap().unwrap();
                let origin = Origin { form: Form::NewApiLog, ..origin() };
                let batch =
                    Pipeline::new(PriceBook::builtin()).with_new_api_types(types).prepare(&chunk, &origin);
                let row = stored(&batch, &row);
                assert_eq!(row.get("error").is_some(), row["kind"] == "error", "{row:?}");
                row["kind"].as_str().unwrap().to_owned()
            })
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(kinds(NewApiTypes::Documented), "topup consume manage error system refund login");
    assert_eq!(kinds(NewApiTypes::Upstream), "topup consume manage system error refund login");
}

#[test]
fn what_new_api_says_of_a_request_is_kept_to_the_byte() {
    let other = "{ \"model_ratio\" : 15.0,\t\"b\":1,\"a\":\"\u{e9}\\u00e9\" }";
    let row =
        serde_json::json!({"id": 1, "type": 2, "created_at": 1_785_781_512, "other": other}).to_string();
    let row = stored(&prepare_as(Form::NewApiLog, row.as_bytes()), "other");
    assert_eq!(row["usage_json"], other);
}

#[test]
fn names_of_events_are_held_to_a_length_and_their_ids_are_not() {
    let event = |id: &str| {
        let long = "m".repeat(2_000);
        let json = serde_json::json!({"event_id": format!("{long}{id}"), "kind": "error", "success": false,
            "started_at": "2026-01-02T03:04:05Z", "model": long, "country": long, "error": long});
        stored(&prepare_as(Form::Canonical, json.to_string().as_bytes()), "long")
    };
    let row = event("a");
    for (field, length) in [("event_id", 256), ("model", 256), ("country", 256), ("error", 1_024)] {
        assert_eq!(row[field].as_str().unwrap().len(), length, "{field}");
    }
    assert_ne!(event("b")["id"], row["id"]);
}

#[test]
fn a_form_that_cannot_be_told_is_never_ignored() {
    let check = |json: &str, found: &str| {
        let detail = format!("unknown_form: it has the fields of {found}, so its form cannot be told");
        assert_eq!(refused(&prepare_as(Form::Events, json.as_bytes()), json), detail);
    };
    check("{}", "no known form");
    check(r#"{"content":"tests"}"#, "no known form");
    check(r#"{"id":1,"type":"2","created_at":1785781512}"#, "no known form");
    check(
        r#"{"specversion":"1.0","event_id":"e","kind":"consume"}"#,
        "a CloudEvent and of a canonical event",
    );
    let misspelt = r#"{"event_id":"e","knid":"consume","started_at":"2026-01-02T03:04:05Z","success":true}"#;
    assert_eq!(
        refused(&prepare_as(Form::Events, misspelt.as_bytes()), misspelt),
        "unknown_field: knid is not a field of this form"
    );
}

/// Fields that the forms are told by and made of, with values of every type.
fn any_field() -> impl Strategy<Value = String> {
    let names = [
        "specversion",
        "id",
        "source",
        "type",
        "time",
        "data",
        "data_base64",
        "event_id",
        "kind",
        "started_at",
        "created_at",
        "success",
        "tokens",
        "units",
        "metadata",
        "cost",
        "quota",
        "duration",
        "cached",
        "tokens_in",
        "tokens_out",
        "usage_metadata",
        "request_head",
        "response_head",
        "prompt_tokens",
        "completion_tokens",
        "other",
        "use_time",
        "x",
    ];
    let values = [
        "null",
        "true",
        "0",
        "-1",
        "2",
        "1785781512",
        "12.5",
        "1e400",
        "18446744073709551616",
        "\"\"",
        "\"1.0\"",
        "\"e\"",
        "\"consume\"",
        "\"2026-01-02T03:04:05Z\"",
        "\"{}\"",
        "\"{\\\"cache_tokens\\\":3}\"",
        "{}",
        "[]",
        "[1]",
        "{\"text_output\":1}",
        "{\"a\":{\"b\":[]}}",
        "\"\\ud800\"",
        "\"weir.usage.v1\"",
        "{",
    ];
    (proptest::sample::select(names.to_vec()), proptest::sample::select(values.to_vec()))
        .prop_map(|(name, value)| format!("{name:?}:{value}"))
}

proptest::proptest! {
    #[test]
    fn no_event_panics_and_none_is_ignored(fields in proptest::collection::vec(any_field(), 0..9)) {
        let json = format!("{{{}}}", fields.join(","));
        for (form, ..) in FOLDERS {
            for form in [form, Form::Events] {
                let batch = prepare_as(form, json.as_bytes());
                proptest::prop_assert_eq!((batch.received(), batch.ignored), (1, 0), "{}", &json);
                proptest::prop_assert!(batch.dead_letters.iter().all(|letter| letter.reason != "defect"));
            }
        }
    }

    #[test]
    fn a_canonical_event_is_read_as_it_was_written(
        event_id in "\\PC{1,20}", started in 1_600_000_000_000_i64..1_790_000_000_000, counts: [Option<u32>; 3],
        text in proptest::option::of("\\PC{0,20}"), units in 0_u64..1_000_000, status: Option<u16>, success: bool,
    ) {
        let buckets = [TokenBucket::UncachedInput, TokenBucket::CacheRead, TokenBucket::Reasoning];
        let tokens = buckets.into_iter().zip(counts).filter_map(|(bucket, count)| Some((bucket, count?.into())));
        let minimal = r#"{"kind":"consume","success":true}"#;
        let wire = WireEvent {
            event_id: Some(event_id),
            started_at: Some(Timestamp::from_millis(started).unwrap()),
            tokens: Some(tokens.collect()),
            model: text.clone(),
            error: text,
            status_code: status,
            success,
            cost: Some(Usd::rounded_from_json_number(&format!("{units}e-9")).unwrap()),
            ..serde_json::from_str(minimal).unwrap()
        };
        let json = serde_json::to_string(&wire).unwrap();
        let record = RawRecord::whole(1, json.as_bytes());
        for form in [Form::Canonical, Form::Events] {
            let decoded = decode(&record, form).unwrap();
            proptest::prop_assert_eq!(decoded, Decoded::Event(EventRecord::Canonical(Box::new(wire.clone()))));
        }
    }
}
