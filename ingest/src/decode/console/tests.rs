//! Each dialect as a tail and as Logpush deliver it, whole and cut.

use super::*;
use crate::decode::message::{Message, RawMessage, TextMessage};

/// Read in both ways, where the quick one can.
fn arguments(call: &str) -> Vec<Argument<'_>> {
    let raw = serde_json::from_str::<RawMessage<'_>>(call).unwrap().arguments();
    if let Ok(texts) = serde_json::from_str::<TextMessage<'_>>(call) {
        assert_eq!(texts.arguments(), raw, "{call}");
    }
    raw
}

fn read(calls: &[&str]) -> Console {
    let parsed: Vec<Vec<Argument<'_>>> = calls.iter().map(|call| arguments(call)).collect();
    let at = |index: usize| Timestamp::from_millis(1_790_000_000_000 + i64::try_from(index).unwrap()).ok();
    let calls: Vec<_> = parsed
        .into_iter()
        .enumerate()
        .map(|(index, arguments)| ConsoleCall { arguments, at: at(index) })
        .collect();
    Console::read(&calls)
}

fn check(calls: &[&str], dialect: Dialect, request: Option<&str>, response: Option<&str>) -> Console {
    let console = read(calls);
    let text = |body: &Option<LoggedBody>| body.as_ref().map(|body| body.text.clone());
    assert_eq!(console.dialect, dialect, "{calls:?}");
    assert_eq!(text(&console.request).as_deref(), request, "{calls:?}");
    assert_eq!(text(&console.response).as_deref(), response, "{calls:?}");
    console
}

#[test]
fn the_documented_dialect_reads_the_same_from_tail_and_logpush() {
    let tail = [r#"[{"request_body":{"model":"gpt-4o"}}]"#, r#"[{"response_body":"{\"id\":\"x\"}"}]"#];
    let logpush = [
        r#"["{\"request_body\":{\"model\":\"gpt-4o\"}}"]"#,
        r#"["{\"response_body\":\"{\\\"id\\\":\\\"x\\\"}\"}"]"#,
    ];
    let (request, response) = (Some(r#"{"model":"gpt-4o"}"#), Some(r#"{"id":"x"}"#));
    let a = check(&tail, Dialect::MalaccaObject, request, response);
    let b = check(&logpush, Dialect::MalaccaObject, request, response);
    assert_eq!(a, b);
    assert_eq!(a.ended_at.unwrap().millis(), 1_790_000_000_001);
}

#[test]
fn the_tagged_dialect_reads_in_any_order_of_arguments() {
    let (request, response) = (Some("{}"), Some("data: [DONE]"));
    let forward = [r#"["Request:",{"body":"{}"}]"#, r#"["Response:",{"body":"data: [DONE]"}]"#];
    let reversed = [r#"["{\"body\":\"{}\"}","Request:"]"#, r#"["{\"body\":\"data: [DONE]\"}","Response:"]"#];
    check(&forward, Dialect::MalaccaTagged, request, response);
    check(&reversed, Dialect::MalaccaTagged, request, response);
    // No body is a fact too, and so is when it was logged.
    let empty = check(&[r#"["Response:",{"body":""}]"#], Dialect::MalaccaTagged, None, None);
    assert!(empty.ended_at.is_some());
}

#[test]
fn the_metrics_line_reads_as_numbers_or_text_from_either_end() {
    let expected = MetricsLine {
        model: "gpt-4o".to_owned(),
        tokens_in: 15,
        tokens_out: 354,
        cached: true,
        status_code: 200,
    };
    for call in [
        r#"["azure-openai","/chat/completions","gpt-4o",15,354,"hit",200]"#,
        r#"["azure-openai","/chat/completions","gpt-4o","15","354","hit","200"]"#,
        r#"["200","hit","354","15","gpt-4o","/chat/completions","azure-openai"]"#,
    ] {
        let console = check(&[call], Dialect::MalaccaMetrics, None, None);
        assert_eq!(console.metrics.as_ref(), Some(&expected), "{call}");
    }
    for call in [
        r#"["a","b","c",1,2,"maybe",200]"#,
        r#"["a","b","c",1,2,"hit"]"#,
        r#"["a","b","c",-1,2,"hit",200]"#,
        r#"["a","b","c",1,2,"hit",70000]"#,
    ] {
        assert_eq!(read(&[call]).metrics, None, "{call}");
    }
}

#[test]
fn other_lines_are_left_alone() {
    check(
        &[r#"["hello",{"a":1},null,[2],true]"#, r#"["openaiEndpoint","https://x"]"#, "[]"],
        Dialect::BareTrace,
        None,
        None,
    );
    check(&[r#"[{"body":"not tagged"}]"#], Dialect::BareTrace, None, None);
    check(&[r#"["{broken"]"#, r#"["\ud800"]"#], Dialect::BareTrace, None, None);
}

#[test]
fn a_cut_line_keeps_what_is_left() {
    let cut = r#"["{\"request_body\":{\"model\":\"gpt-4o\",\"mess<<<Logpush: messages truncated>>>"]"#;
    let console = check(&[cut], Dialect::MalaccaObject, Some(r#"{"model":"gpt-4o","mess"#), None);
    assert!(console.truncated && !console.request.unwrap().complete);
    let cut = r#"["Response:","{\"body\":\"{\\\"id\\\":\\\"chatcm<<<Logpush: messages truncated>>>"]"#;
    let console = check(&[cut], Dialect::MalaccaTagged, None, Some(r#"{"id":"chatcm"#));
    assert!(console.truncated);
    // In reverse, the tag of a cut body is gone with what followed.
    let untagged = r#"["{\"body\":\"{\\\"model\\\":\\\"gpt<<<Logpush: messages truncated>>>"]"#;
    check(&[untagged], Dialect::MalaccaTagged, Some(r#"{"model":"gpt"#), None);
    let request = r#"["{\"body\":\"{}\"}","Request:"]"#;
    check(&[request, untagged], Dialect::MalaccaTagged, Some("{}"), Some(r#"{"model":"gpt"#));
    let gone = r#"["<<<Logpush: messages truncated>>>"]"#;
    assert!(check(&[gone], Dialect::BareTrace, None, None).truncated);
}
