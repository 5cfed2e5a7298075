//! The outer record: what it is known by, its times, and fields of other types.

use proptest::prelude::*;

use super::*;
use crate::accept::Form;
use crate::decode::{Decoded, decode};

fn try_log(json: &str) -> Result<Decoded, DecodeError> {
    decode(&RawRecord::whole(1, json.as_bytes()), Form::Logpush)
}

fn log(json: &str) -> AiGatewayLog<Field> {
    match try_log(json).unwrap() {
        Decoded::AiGateway(log) => *log,
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_is_known_by_a_field_of_its_own_and_a_trace_stays_a_trace() {
    for field in ["Gateway", "Provider", "Model", "Endpoint", "RequestBody", "ResponseBody"] {
        log(&format!(r#"{{"Datetime":1790000000,"{field}":"x"}}"#));
    }
    for other in [r#"{"Datetime":1790000000,"StatusCode":200}"#, r#"{"Datetime":1790000000}"#, "{}"] {
        assert!(matches!(try_log(other).unwrap(), Decoded::Ignored(_)), "{other}");
    }
    let trace = r#"{"EventTimestampMs":1790000000000,"Gateway":"gw","Provider":"openai"}"#;
    assert!(matches!(try_log(trace).unwrap(), Decoded::Trace(_)));
}

#[test]
fn every_timestamp_format_of_a_job_is_the_same_moment() {
    let check = |datetime: &str, expected: &str| {
        let log = log(&format!(r#"{{"Datetime":{datetime},"Gateway":"gw"}}"#));
        assert_eq!(log.logged_at.to_string(), expected, "{datetime}");
    };
    let at = "2026-09-21T14:13:20.123Z";
    for datetime in [
        "1790000000123456789",
        "\"1790000000123456789\"",
        "1790000000123456",
        "1790000000123",
        "1790000000.123",
        "\"1790000000.1239\"",
        "\"2026-09-21T14:13:20.123Z\"",
        "\"2026-09-21T14:13:20.123456789Z\"",
        "\"2026-09-21T16:13:20.123+02:00\"",
    ] {
        check(datetime, at);
    }
    check("1790000000", "2026-09-21T14:13:20.000Z");
    check("\"2026-09-21T14:13:20Z\"", "2026-09-21T14:13:20.000Z");
    check("946684800", "2000-01-01T00:00:00.000Z");
    check("4102444799999999999", "2099-12-31T23:59:59.999Z");
}

#[test]
fn a_record_without_a_time_or_with_an_impossible_one_is_told_so() {
    for (json, reason) in [
        (r#"{"Gateway":"gw"}"#, "no_timestamp"),
        (r#"{"Gateway":"gw","Datetime":null}"#, "no_timestamp"),
        (r#"{"Gateway":"gw","Datetime":true}"#, "unexpected_type"),
        (r#"{"Gateway":"gw","Datetime":{}}"#, "unexpected_type"),
        (r#"{"Gateway":"gw","Datetime":""}"#, "invalid_timestamp"),
        (r#"{"Gateway":"gw","Datetime":"soon"}"#, "invalid_timestamp"),
        (r#"{"Gateway":"gw","Datetime":0}"#, "invalid_timestamp"),
        (r#"{"Gateway":"gw","Datetime":-1790000000}"#, "invalid_timestamp"),
        (r#"{"Gateway":"gw","Datetime":99999999999999999999}"#, "invalid_timestamp"),
        (r#"{"Gateway":"gw","Datetime":1.7e9}"#, "invalid_timestamp"),
        (r#"{"Gateway":7,"Datetime":1790000000}"#, "unexpected_type"),
        (r#"{"Gateway":"No Gateway","Datetime":1790000000}"#, "invalid_gateway"),
    ] {
        assert_eq!(try_log(json).unwrap_err().reason(), reason, "{json}");
    }
}

#[test]
fn fields_of_other_types_cost_only_themselves() {
    let log = log(
        r#"{"Datetime":1790000000,"Gateway":"","Provider":7,"Model":["m"],"Endpoint":"e","StatusCode":"429","Cached":"True","RateLimited":1}"#,
    );
    assert_eq!((&log.gateway, &log.provider, &log.model), (&None, &None, &None));
    assert_eq!((log.endpoint.as_deref(), log.status_code), (Some("e"), Some(429)));
    assert!(log.cached && log.rate_limited);
    for no in ["false", "\"false\"", "\"False\"", "0", "null", "{}", "\"\"", "\"miss\""] {
        let json = format!(r#"{{"Datetime":1790000000,"Model":"m","Cached":{no},"StatusCode":{no}}}"#);
        let Decoded::AiGateway(log) = try_log(&json).unwrap() else { panic!("{json}") };
        assert!(!log.cached, "{json}");
        assert_eq!(log.status_code, None, "{json}");
    }
}

#[test]
fn names_and_paths_are_held_to_a_length() {
    let many = "x".repeat(100_000);
    let log = log(&format!(r#"{{"Datetime":1790000000,"Model":"{many}","Endpoint":"{many}"}}"#));
    assert_eq!((log.model.unwrap().len(), log.endpoint.unwrap().len()), (256, 1_024));
}

proptest! {
    #[test]
    fn no_value_panics(datetime: String, text: String, number: f64) {
        for value in [serde_json::json!(datetime), serde_json::json!(number)] {
            let record = serde_json::json!({
                "Datetime": value, "Gateway": "gw", "Cached": text, "StatusCode": text, "Metadata": text,
                "RequestBody": { "type": "encrypted", "key": text, "iv": text, "data": text },
            });
            let _ = try_log(&record.to_string());
        }
    }
}
