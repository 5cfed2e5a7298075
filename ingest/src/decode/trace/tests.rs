//! The outer record: identity, and shapes that only just are one.

use weir_event::Dialect;

use super::*;
use crate::accept::{Form, RawRecord};
use crate::decode::{Decoded, decode};

fn trace(json: &str) -> TraceRecord {
    match decode(&RawRecord::whole(1, json.as_bytes()), Form::Logpush).unwrap() {
        Decoded::Trace(trace) => *trace,
        other => panic!("{other:?}"),
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

#[test]
fn a_field_of_another_type_costs_only_itself() {
    let json = r#"{"eventTimestamp":1790000000000.5,"wallTime":12.7,"outcome":7,"truncated":"no",
        "exceptions":[{"name":"E","message":"\ud800"}],
        "event":{"request":{"url":"https://m.example.com/openai/v1","cf":{"country":"SG"},
            "headers":{"cf-ray":"8cb347e7f97794b7","content-length":177,"user-agent":"x"}},"response":{"status":"200"}},
        "logs":[{"message":["hi"],"timestamp":1790000000001.9}, {"message":7}]}"#;
    let record = trace(json);
    assert_eq!(record.started_at.millis(), 1_790_000_000_000);
    assert_eq!((record.wall_time_ms, record.outcome, record.status_code), (Some(12), None, None));
    assert_eq!(record.exception.as_deref(), Some("E"));
    assert_eq!(record.headers.user_agent.as_deref(), Some("x"));
    assert_eq!(record.headers.country.as_deref(), Some("SG"));
}

#[test]
fn an_empty_ray_does_not_hide_the_header() {
    let json = r#"{"EventTimestampMs":1790000000000,"Event":{"RayID":"","Request":{"Headers":{"CF-Ray":"8cb3-LHR"}}}}"#;
    assert_eq!(trace(json).identity, Identity::Ray("8cb3".to_owned()));
}

#[test]
fn bodies_make_a_request_of_any_type_of_event() {
    for event_type in ["", "worker_rpc", "queue"] {
        let json = format!(
            r#"{{"EventTimestampMs":1790000000000,"EventType":"{event_type}","Event":{{"Cron":"*"}},
                "Logs":[{{"Message":["{{\"request_body\":{{}}}}"]}}]}}"#
        );
        assert!(trace(&json).console.request.is_some(), "{event_type}");
    }
}

#[test]
fn a_flood_of_arguments_or_lines_is_read_as_its_beginning() {
    let flood = vec!["1"; 1_000_000].join(",");
    let record = trace(&format!(r#"{{"EventTimestampMs":1790000000000,"Logs":[{{"Message":[{flood}]}}]}}"#));
    assert_eq!(record.console.request, None);
    let lines = vec!["{}"; 100_000].join(",");
    let json = format!(r#"{{"EventTimestampMs":1790000000000,"Logs":[{lines}]}}"#);
    assert_eq!(trace(&json).console.dialect, Dialect::BareTrace);
}

#[test]
fn an_error_names_the_field_and_repeats_no_value() {
    let reason =
        |json: &str| decode(&RawRecord::whole(1, json.as_bytes()), Form::Logpush).unwrap_err().to_string();
    let secret = r#"{"eventTimestamp":"Bearer sk-secret"}"#;
    assert_eq!(reason(secret), "eventTimestamp has an unexpected type, at column 36");
    let nested = r#"{"EventTimestampMs":1790000000000,"Event":{"Request":"Bearer sk-secret"}}"#;
    assert_eq!(reason(nested), "Event.Request has an unexpected type, at column 71");
    assert_eq!(reason("[1]"), "the record has an unexpected type, at column 1");
    assert_eq!(reason(r#"{"a":"#), "not JSON from column 5 on");
}
