//! Every example event through the real stages to the row that is stored.

mod ai_gateway;
mod events;

use std::io::BufReader;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::timeout;
use weir_event::{Source, Timestamp};
use weir_store::{BodyRow, LogRow};

use super::*;
use crate::accept::{ChunkLimits, Form, LineReader};

const LIMITS: ChunkLimits = ChunkLimits { lines_max: 1_000, bytes_max: 1 << 20, line_bytes_max: 1 << 16 };

/// A moment after the youngest example.
const NOW_MS: i64 = 1_795_000_000_000;

/// What a row says of its storing, and of the edition of a price book that changes with any price in it.
const NOT_OF_THE_EVENT: [&str; 4] = ["ingested_at", "write_id", "price_book", "cost_revision"];

fn origin() -> Origin {
    Origin {
        account_id: "acc".parse().unwrap(),
        gateway_id: Some("gw".parse().unwrap()),
        source: Source::Logpush,
        form: Form::Logpush,
        batch: "test".to_owned(),
        received_at_ms: NOW_MS,
    }
}

fn prepare(body: impl AsRef<[u8]>) -> Batch {
    let chunk =
        LineReader::new(BufReader::new(body.as_ref()), LIMITS).next_chunk().unwrap().unwrap_or_default();
    Pipeline::new(PriceBook::builtin()).prepare(&chunk, &origin())
}

fn example(name: &str) -> String {
    let path = format!("{}/../schemas/json/examples/trace/{name}.ndjson", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// The row as it is stored, less what is empty; the id as text and the cost as dollars.
fn row(priced: &PricedEvent) -> Map<String, Value> {
    let row = LogRow::from_event(priced, Timestamp::MIN, 0);
    let mut fields: Map<String, Value> = serde_json::to_value(&row).unwrap().as_object().unwrap().clone();
    fields.insert("id".to_owned(), priced.event().id.as_str().into());
    fields.insert("cost".to_owned(), priced.cost().amount().map(|amount| amount.to_string()).into());
    for time in ["started_at", "created_at"] {
        let millis = fields[time].as_i64().unwrap();
        fields.insert(time.to_owned(), Timestamp::from_millis(millis).unwrap().to_string().into());
    }
    let empty =
        |value: &Value| value.as_array().is_some_and(Vec::is_empty) || *value == "" || *value == false;
    fields.retain(|name, value| {
        !NOT_OF_THE_EVENT.contains(&name.as_str()) && !value.is_null() && !empty(value)
    });
    fields
}

fn only_row(name: &str) -> Map<String, Value> {
    let batch = prepare(example(name));
    assert_eq!((batch.events.len(), batch.dead_letters.len()), (1, 0), "{name}");
    row(&batch.events[0])
}

#[test]
fn every_example_has_its_golden_row() {
    let folder = format!("{}/../schemas/json/examples/trace", env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 15, "examples are missing: {names:?}");
    for name in names {
        insta::assert_json_snapshot!(name.clone(), only_row(&name));
    }
}

#[test]
fn a_record_that_is_known_by_its_bytes_is_known_by_those_that_came() {
    let check = |form, blanked: &str| {
        let origin = Origin { form, ..origin() };
        let came = blanked.replace("REDACTED", "sk-1");
        let came = RawRecord::whole(1, came.as_bytes());
        let kept = RawRecord { came_as: Some(came.digest()), ..RawRecord::whole(1, blanked.as_bytes()) };
        let pipeline = Pipeline::new(PriceBook::builtin());
        let id = |record| pipeline.prepare_one(&record, &origin).events[0].event().id;
        assert_eq!(id(kept), id(came), "{blanked}");
        assert_ne!(id(RawRecord { came_as: None, ..kept }), id(came), "{blanked}");
    };
    let trace = r#"{"EventTimestampMs":1790000000000,"EventType":"fetch","Event":{"Request":{"Headers":{"api-key":"REDACTED"}}}}"#;
    check(Form::Logpush, trace);
    let row = r#"{"type":2,"created_at":1790000000,"token_key":"REDACTED"}"#;
    check(Form::NewApiLog, row);
    check(Form::Events, row);
}

#[test]
fn the_seed_record_is_what_its_documentation_says() {
    let row = only_row("seed_tail");
    for (field, expected) in [
        ("provider", Value::from("azure-openai")),
        ("model", "gpt-4o-2024-05-13".into()),
        ("model_requested", "gpt4o".into()),
        ("tokens_in", 15.into()),
        ("tokens_out", 354.into()),
        ("cost", "0.005385".into()),
        ("duration_ms", 6_587.into()),
        ("created_at", "2024-09-30T09:45:41.328Z".into()),
    ] {
        assert_eq!(row[field], expected, "{field}");
    }
}

#[test]
fn logpush_and_a_tail_tell_the_same_event() {
    let (tail, logpush) = (only_row("seed_tail"), only_row("seed_logpush"));
    // Logpush does not deliver headers: what only they say is missing, and nothing else differs.
    let only_in_tail: Vec<_> = tail.keys().filter(|name| !logpush.contains_key(*name)).collect();
    assert_eq!(only_in_tail, ["country", "ip", "request_content_type", "user_agent"]);
    for (name, value) in &logpush {
        if name != "request_size" {
            assert_eq!(tail.get(name), Some(value), "{name}");
        }
    }
    let bodies = |name| prepare(example(name)).events.remove(0).into_parts().0.bodies;
    assert_eq!(bodies("seed_tail").request, bodies("seed_logpush").request);
    assert_eq!(bodies("seed_tail").response, bodies("seed_logpush").response);
}

#[test]
fn a_partial_record_gives_a_partial_row_under_the_same_id() {
    let whole = only_row("seed_logpush");
    for name in ["seed_logpush_truncated", "seed_logpush_response_dropped"] {
        let row = only_row(name);
        assert_eq!(row["id"], whole["id"], "{name}");
        assert_eq!(row["truncated"], true, "{name}");
        assert_eq!(row["provider"], "azure-openai", "{name}");
        assert_eq!(row["cost_source"], "unpriced", "{name}");
        for unknown in ["tokens_in", "tokens_out", "cost"] {
            assert!(!row.contains_key(unknown), "{name}: {unknown} is unknown, not 0");
        }
    }
    let few = only_row("seed_logpush_few_fields");
    assert_eq!(few["model"], "gpt-4o-2024-05-13");
    assert_eq!((&few["tokens_in"], &few["tokens_out"]), (&15.into(), &354.into()));
    assert!(!few.contains_key("provider") && !few.contains_key("status_code") && !few.contains_key("cost"));
}

#[test]
fn one_bad_line_does_not_touch_its_neighbours() {
    let good = example("seed_tail");
    let cut = &good[..good.len() / 2];
    let body = [good.as_str(), cut, "\n", &example("malacca_metrics_logpush"), "[1]\n\n\0\u{1}\n"].concat();
    let batch = prepare(&body);
    assert_eq!(batch.events.len(), 2);
    let letters: Vec<_> = batch.dead_letters.iter().map(|letter| (letter.position, letter.reason)).collect();
    let expected = [(2, "malformed_json"), (4, "unexpected_type"), (6, "malformed_json")];
    assert_eq!(letters, expected);
    assert_eq!(batch.dead_letters[0].raw, cut.as_bytes());
    assert_eq!(batch.received(), 5);
}

#[test]
fn the_probe_and_what_is_no_request_are_ignored() {
    let lines = [
        r#"{"content":"tests"}"#,
        r#"{"content":"test"}"#,
        "{}",
        r#"{"content":"tests","x":1}"#,
        r#"{"EventTimestampMs":1790000000000,"EventType":"scheduled","Event":{"Cron":"* * * * *"},"Logs":[]}"#,
        r#"{"eventTimestamp":1790000000000,"event":{"cron":"* * * * *"},"logs":[]}"#,
    ];
    for line in lines {
        let batch = prepare(line);
        assert_eq!((batch.ignored, batch.events.len(), batch.dead_letters.len()), (1, 0, 0), "{line}");
    }
}

#[test]
fn impossible_times_are_dead_letters() {
    for (line, reason) in [
        (r#"{"EventTimestampMs":1790000000,"EventType":"fetch"}"#, "invalid_timestamp"),
        (r#"{"EventTimestampMs":-1,"EventType":"fetch"}"#, "invalid_timestamp"),
        (r#"{"EventType":"fetch"}"#, "no_timestamp"),
        (r#"{"EventTimestampMs":"soon","EventType":"fetch"}"#, "unexpected_type"),
        (r#"{"EventTimestampMs":1e400}"#, "malformed_json"),
        // A day and a bit after it came in.
        (r#"{"EventTimestampMs":1795090000000,"EventType":"fetch"}"#, "invalid_timestamp"),
    ] {
        assert_eq!(prepare(line).dead_letters[0].reason, reason, "{line}");
    }
}

#[test]
fn a_line_that_is_too_long_is_a_letter_with_its_beginning() {
    let long = format!("{{\"x\":\"{}\"}}\n{}", "y".repeat(100_000), example("malacca_metrics_logpush"));
    let batch = prepare(&long);
    assert_eq!((batch.events.len(), batch.dead_letters[0].reason), (1, "line_too_long"));
    assert_eq!(batch.dead_letters[0].raw.len(), 65_536);
}

#[test]
fn bodies_are_kept_as_they_were_logged() {
    let batch = prepare(example("malacca_tagged_refused_tail"));
    let bodies = BodyRow::from_event(&batch.events[0]).unwrap();
    assert_eq!(bodies.texts, [Some(r#"{"model":"gpt-4o","messages":[]}"#), Some("Unauthorized")]);
    let bare = prepare(example("bare_trace_workers_ai_logpush"));
    assert_eq!(BodyRow::from_event(&bare.events[0]), None);
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        prepare(&bytes);
        prepare([br#"{"EventTimestampMs":1790000000000,"Logs":[{"Message":[""#, bytes.as_slice()].concat());
    }

    #[test]
    fn no_cut_or_damaged_record_panics_or_loses_its_neighbour(cut in 0_usize..4_000, byte: u8) {
        let good = example("malacca_metrics_logpush");
        let mut damaged = example("malacca_tagged_stream_tail").trim_end().as_bytes().to_vec();
        let at = cut % damaged.len();
        damaged[at] = byte;
        damaged.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
        let batch = prepare([damaged.as_slice(), b"\n", good.as_bytes()].concat());
        proptest::prop_assert_eq!(batch.received(), 2 - u64::from(damaged.trim_ascii().is_empty()));
        proptest::prop_assert!(batch.events.iter().any(|event| event.event().model.as_deref() == Some("gpt-4o-mini")));
    }
}

#[test]
fn a_dead_letter_keeps_the_record_and_not_its_secrets() {
    let record = example("malacca_tagged_visible_token_tail").replacen(
        "\"eventTimestamp\":",
        "\"eventTimestamp\":\"x\",\"was\":",
        1,
    );
    let letter = prepare(&record).dead_letters.remove(0);
    let raw = String::from_utf8(letter.raw).unwrap();
    assert!(!raw.contains("sk-example"), "{raw}");
    assert_eq!(raw, record.trim_end().replace("Bearer sk-example-not-a-real-token-0001", "REDACTED"));
    assert!(
        letter.detail.starts_with("eventTimestamp has an unexpected type, at column "),
        "{}",
        letter.detail
    );
}

#[test]
fn an_answer_of_the_fallback_is_not_billed_as_the_model_that_failed() {
    let record = example("malacca_tagged_visible_token_tail");
    let body = r#"{\"response\":\"No.\",\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":3}}"#;
    let (start, rest) = record.split_once(r#""Response:",{"body":""#).unwrap();
    let end = rest.find(r#""}],"level""#).unwrap();
    let fallback = format!(r#"{start}"Response:",{{"body":"{body}{}"#, &rest[end..]);
    let row = row(&prepare(&fallback).events[0]);
    assert_eq!((&row["provider"], &row["cost_source"]), (&"workers-ai".into(), &"unpriced".into()));
    assert!(!row.contains_key("cost") && !row.contains_key("model"));
}

#[test]
fn an_end_beyond_all_measure_is_no_end() {
    let late = example("malacca_metrics_logpush")
        .replace("\"TimestampMs\":1793000063480", "\"TimestampMs\":3793000063480");
    let row = row(&prepare(&late).events[0]);
    assert_eq!(row["duration_ms"], 1_480, "the wall time stands in");
}

#[test]
fn names_are_held_to_a_length() {
    let long = "m".repeat(100_000);
    let record = example("malacca_metrics_logpush").replace("gpt-4o-mini", &long);
    let batch = Pipeline::new(PriceBook::builtin());
    let limits = ChunkLimits { line_bytes_max: 1 << 20, ..LIMITS };
    let chunk = LineReader::new(BufReader::new(record.as_bytes()), limits).next_chunk().unwrap().unwrap();
    let event = batch.prepare(&chunk, &origin()).events.remove(0).into_parts().0;
    assert_eq!(event.model.unwrap().len(), 256);
}

#[tokio::test]
async fn large_batches_are_made_by_as_many_as_there_are_turns_and_small_ones_by_anybody() {
    let pipeline = Pipeline::new(PriceBook::builtin());
    let mut turns = Vec::new();
    for _ in 0..available_parallelism().unwrap().get() {
        turns.push(pipeline.turn(TURN_BYTES_MIN).await.unwrap());
    }
    assert!(timeout(Duration::from_millis(50), pipeline.turn(TURN_BYTES_MIN)).await.is_err());
    assert!(pipeline.turn(TURN_BYTES_MIN - 1).await.is_none());
    turns.pop();
    assert!(pipeline.turn(TURN_BYTES_MIN).await.is_some());
}
