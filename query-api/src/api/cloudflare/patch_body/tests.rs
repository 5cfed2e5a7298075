//! Bodies as clients send them, and as they must not.

use proptest::prelude::*;

use super::*;

/// What is asked for, as a body again.
#[track_caller]
fn check(body: &str, expected: &str) {
    let read = read(body.as_bytes()).map(|annotations| annotations.to_body());
    assert_eq!(read.as_deref(), Ok(expected), "{body}");
}

#[track_caller]
fn refused(body: &str, path: &str, message: &str) {
    let issues = read(body.as_bytes()).unwrap_err();
    let said: Vec<_> =
        issues.iter().map(|issue| (serde_json::to_string(&issue.path).unwrap(), &*issue.message)).collect();
    assert_eq!(said, [(path.to_owned(), message)], "{body}");
}

#[test]
fn what_is_absent_stays_and_null_clears() {
    check("{}", "{}");
    check(" {\n} ", "{}");
    check(r#"{"feedback":null}"#, r#"{"feedback":null}"#);
    check(
        r#"{"metadata":{"b":1.0,"a":"x","":true},"score":1e2,"feedback":-1}"#,
        r#"{"feedback":-1,"score":100,"metadata":{"":true,"a":"x","b":1.0}}"#,
    );
    check(r#"{"metadata":{},"score":null}"#, r#"{"score":null,"metadata":{}}"#);
    check(r#"{"feedback":0.30000000000000004}"#, r#"{"feedback":0.30000000000000004}"#);
    check(
        r#"{"metadata":{"x":"'; DROP TABLE \u0000 {p:String}"}}"#,
        r#"{"metadata":{"x":"'; DROP TABLE \u0000 {p:String}"}}"#,
    );
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let place = |names: &str| format!(r#"["body"{names}]"#);
    refused("", &place(""), "Invalid JSON: line 1 column 0");
    refused("{\"feedback\":", &place(""), "Invalid JSON: line 1 column 12");
    refused("{} x", &place(""), "Invalid JSON: line 1 column 4");
    refused("[]", &place(""), "Expected object, received array");
    refused("null", &place(""), "Expected object, received null");
    refused(r#"{"feedback":"1"}"#, &place(r#","feedback""#), "Expected number, received string");
    refused(r#"{"feedback":true}"#, &place(r#","feedback""#), "Expected number, received boolean");
    refused(r#"{"feedback":1.01}"#, &place(r#","feedback""#), "Number must be less than or equal to 1");
    refused(r#"{"feedback":-2}"#, &place(r#","feedback""#), "Number must be greater than or equal to -1");
    refused(r#"{"score":101}"#, &place(r#","score""#), "Number must be less than or equal to 100");
    refused(r#"{"score":-1e-9}"#, &place(r#","score""#), "Number must be greater than or equal to 0");
    refused(r#"{"score":1,"score":2}"#, &place(r#","score""#), "It is given more than once");
    refused(r#"{"feedbck":1}"#, &place(r#","feedbck""#), "Unrecognized key 'feedbck'");
    refused(r#"{"metadata":"{}"}"#, &place(r#","metadata""#), "Expected object, received string");
    let of_a = place(r#","metadata","a""#);
    refused(r#"{"metadata":{"a":null}}"#, &of_a, "Expected string, number or boolean, received null");
    refused(r#"{"metadata":{"a":{"b":1}}}"#, &of_a, "Expected string, number or boolean, received object");
    refused(r#"{"metadata":{"a":1,"a":2}}"#, &of_a, "It is given more than once");
    refused(r#"{"metadata":{"a":1e999}}"#, &of_a, "It is no number that can be kept");
    refused(r#"{"metadata":{"a":"\ud800"}}"#, &of_a, "It is no string that can be kept");
    let issues = read(br#"{"feedback":2,"x":1,"metadata":{"a":[],"b":null}}"#).unwrap_err();
    assert_eq!(issues.len(), 4);
}

#[test]
fn metadata_is_bounded() {
    let entries = |count: usize| {
        let entries: Vec<_> = (0..count).map(|n| format!("\"{n}\":1")).collect();
        format!(r#"{{"metadata":{{{}}}}}"#, entries.join(","))
    };
    assert!(read(entries(ENTRIES_MAX).as_bytes()).is_ok());
    refused(&entries(ENTRIES_MAX + 1), r#"["body","metadata"]"#, "Object must contain at most 64 element(s)");
    let text = |length: usize| format!(r#"{{"metadata":{{"a":"{}"}}}}"#, "é".repeat(length));
    assert!(read(text(TEXT_MAX).as_bytes()).is_ok());
    refused(
        &text(TEXT_MAX + 1),
        r#"["body","metadata","a"]"#,
        "String must contain at most 1024 character(s)",
    );
    let name = |length: usize| format!(r#"{{"metadata":{{"{}":1}}}}"#, "n".repeat(length));
    assert!(read(name(NAME_MAX).as_bytes()).is_ok());
    assert!(read(name(NAME_MAX + 1).as_bytes()).is_err());
    let deep = format!(r#"{{"metadata":{{"a":{}1{}}}}}"#, "[".repeat(30_000), "]".repeat(30_000));
    assert!(read(deep.as_bytes()).is_err());
}

proptest! {
    /// Whatever is read is asked for again by the body that it prints.
    #[test]
    fn a_body_is_read_as_what_it_says(
        body in "\\{(\"(feedback|score|metadata|x)\":(null|-?[0-9]{1,3}(\\.[0-9]{1,20})?(e-?[0-9])?|\\{(\"[a-c\"\\\\]{0,3}\":(\"[^\"\\\\]{0,5}\"|true|[0-9]{1,25}),?){0,3}\\}),?){0,4}\\}?"
    ) {
        if let Ok(annotations) = read(body.as_bytes()) {
            prop_assert_eq!(read(annotations.to_body().as_bytes()), Ok(annotations));
        }
    }
}
