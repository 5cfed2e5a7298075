//! Events of each form to what they say, and to why they do not.

use super::*;
use crate::decode::{Decoded, decode};

fn decoded(json: &str, form: Form) -> Result<EventRecord, DecodeError> {
    match decode(&RawRecord::whole(1, json.as_bytes()), form)? {
        Decoded::Event(record) => Ok(record),
        other => panic!("{json}: {other:?}"),
    }
}

/// What is wrong with a record: the reason and the detail.
fn wrong(json: &str, form: Form) -> (&'static str, String) {
    let error = decoded(json, form).expect_err(json);
    // Where serde stops reading is its own affair.
    let detail = error.to_string();
    let end = detail.find(", at column").or(detail.find(" from column")).unwrap_or(detail.len());
    (error.reason(), detail[..end].to_owned())
}

#[test]
fn what_is_wrong_with_an_event_is_told_with_its_field_and_without_its_value() {
    let check = |changes: &str, reason: &str, detail: &str| {
        let json = format!(
            r#"{{"event_id":"e-1","kind":"consume","started_at":"2026-01-02T03:04:05Z"{}{changes}}}"#,
            if changes.contains("\"success\"") { "" } else { r#","success":true"# },
        );
        assert_eq!(wrong(&json, Form::Canonical), (reason, detail.to_owned()), "{json}");
    };
    check(r#","modle":"s3cret""#, "unknown_field", "modle is not a field of this form");
    check(r#","model":17"#, "unexpected_type", "model has an unexpected type");
    check(r#","success":"s3cret""#, "unexpected_type", "success has an unexpected type");
    check(r#","request_type":"s3cret""#, "invalid_value", "request_type has a value that it cannot have");
    check(r#","tokens":{"prompt":12}"#, "unknown_field", "tokens.prompt is not a field of this form");
    check(r#","units":{"pages":12}"#, "invalid_value", "units.pages has a value that it cannot have");
    check(r#","tokens":{"text_output":-5}"#, "invalid_value", "tokens has a value that it cannot have");
    check(
        r#","quota_ratios":{"model_ratio":1.5}"#,
        "unexpected_type",
        "quota_ratios.model_ratio has an unexpected type",
    );
    check(r#","quota_ratios":{}"#, "missing_field", "there is no quota_ratios.model_ratio");
    check(r#","model":"a","model":"b""#, "duplicate_field", "model is there twice");
    check(r#","metadata":{"a":null}"#, "unexpected_type", "metadata.a has an unexpected type");
    check(r#","cost":"1e3""#, "invalid_value", "cost has a value that it cannot have");
    check(r#","error":"\ud800""#, "malformed_json", "not JSON");
}

#[test]
fn what_is_no_event_is_told() {
    let check = |json: &str, expected: (&str, &str)| {
        let (reason, detail) = wrong(json, Form::Canonical);
        assert_eq!((reason, detail.as_str()), expected, "{json}");
    };
    check("{}", ("missing_field", "there is no kind"));
    check("[]", ("unexpected_type", "the record has an unexpected type"));
    check("null", ("unexpected_type", "the record has an unexpected type"));
    check(r#"{"kind":"consume""#, ("malformed_json", "not JSON"));
    let deep = format!(r#"{{"metadata":{}1{}}}"#, "[".repeat(128), "]".repeat(128));
    check(&deep, ("too_deep", "nested deeper than 128 levels"));
    let quoted = format!(r#"{{"x":"\\\"{}"}}"#, "[".repeat(128));
    check(&quoted, ("unknown_field", "x is not a field of this form"));
}
