//! The outer record: identity, and shapes that only just are one.

use super::*;

fn trace(json: &str) -> TraceRecord {
    match decode(&RawRecord { position: 1, bytes: json.as_bytes(), too_long: false }).unwrap() {
        Decoded::Trace(trace) => *trace,
        Decoded::Ignored(reason) => panic!("ignored: {reason:?}"),
    }
}

#[test]
fn the_ray_is_the_same_with_and_without_the_data_centre_and_in_either_place() {
    for json in [
        r#"{"EventTimestampMs":1790000000000,"Event":{"RayID":"8cb347e7f97794b7","Request":{}}}"#,
        r#"{"eventTimestamp":1790000000000,"event":{"request":{"headers":{"cf-ray":"8cb347e7f97794b7-LHR"}}}}"#,
    ] {
        assert_eq!(trace(json).identity, Identity::Ray("8cb347e7f97794b7".to_owned()));
    }
}

#[test]
fn without_a_ray_the_record_itself_is_the_identity() {
    let json = r#"{"EventTimestampMs":1790000000000,"EventType":"fetch","ScriptName":"m"}"#;
    assert_eq!(trace(json), trace(json));
    let other = json.replace("\"m\"", "\"n\"");
    assert_ne!(trace(json).identity, trace(&other).identity);
    let empty = r#"{"EventTimestampMs":1790000000000,"Event":{"RayID":"","Request":{}}}"#;
    assert!(matches!(trace(empty).identity, Identity::Digest(_)));
}

#[test]
fn nulls_and_missing_fields_are_the_same() {
    let json = r#"{"EventTimestampMs":1790000000000,"EventType":"fetch","Event":null,"Logs":null,"Exceptions":null,
                   "Outcome":null,"ScriptName":null,"Entrypoint":null,"WallTimeMs":null,"Truncated":null}"#;
    let record = trace(json);
    assert_eq!((record.url, record.status_code, record.outcome), (None, None, None));
    assert_eq!(record.console.request, None);
}

#[test]
fn a_cancelled_request_has_no_answer() {
    let json = r#"{"eventTimestamp":1790000000000,"event":{"request":{"url":"https://m.example.com/openai/v1"},"response":null},"outcome":"canceled"}"#;
    let record = trace(json);
    assert_eq!((record.status_code, record.outcome.as_deref()), (None, Some("canceled")));
}

#[test]
fn the_first_log_line_stands_in_for_a_missing_time() {
    let json = r#"{"Logs":[{"Message":"a plain string"},{"Message":["x"],"TimestampMs":1790000000007}],"ScriptName":"m"}"#;
    assert_eq!(trace(json).started_at.millis(), 1_790_000_000_007);
}
