//! Responses, whole and streamed.

use weir_event::TokenBucket::{
    AudioInput, CacheRead, CacheWrite5m, ImageInput, Reasoning, TextOutput, UncachedInput,
};

use super::*;
use crate::normalize::testing::cut_at_every_offset;

fn check(json: &str, expected: &[(TokenBucket, u64)]) {
    assert_eq!(usage(json).unwrap().tokens.iter().collect::<Vec<_>>(), expected, "{json}");
}

#[test]
fn parts_are_taken_out_of_the_whole() {
    check(
        r#"{"input_tokens":1348,"input_tokens_details":{"cached_tokens":1024},"output_tokens":624,"output_tokens_details":{"reasoning_tokens":384},"total_tokens":1972}"#,
        &[(UncachedInput, 324), (CacheRead, 1024), (TextOutput, 240), (Reasoning, 384)],
    );
    check(
        r#"{"input_tokens":4020,"input_tokens_details":{"cache_write_tokens":4012,"cached_tokens":0},"output_tokens":5}"#,
        &[(UncachedInput, 8), (CacheRead, 0), (CacheWrite5m, 4012), (TextOutput, 5)],
    );
    check(
        r#"{"input_tokens":100,"input_tokens_details":{"cache_read_input_tokens":40,"cache_creation_input_tokens":10}}"#,
        &[(UncachedInput, 50), (CacheRead, 40), (CacheWrite5m, 10)],
    );
    check(
        r#"{"input_tokens":100,"input_token_details":{"text_tokens":20,"audio_tokens":50,"image_tokens":30},"output_tokens":7,"output_tokens_details":{"text_tokens":7}}"#,
        &[(UncachedInput, 20), (AudioInput, 50), (ImageInput, 30), (TextOutput, 7)],
    );
    check(r#"{"input_tokens":8.0,"input_tokens_details":[],"output_tokens":null}"#, &[(UncachedInput, 8)]);
    check("{}", &[]);
}

#[test]
fn impossible_usage_is_refused() {
    let check = |json: &str, expected: &str| assert_eq!(usage(json).unwrap_err().to_string(), expected);
    check(
        r#"{"input_tokens":5,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":2}}"#,
        "usage has more tokens in the parts of input_tokens than in all",
    );
    check(
        r#"{"output_tokens":5,"output_tokens_details":{"reasoning_tokens":6}}"#,
        "usage has more tokens in the parts of output_tokens than in all",
    );
    check(r#"{"output_tokens":"5"}"#, "usage has another form");
}

#[test]
fn what_the_providers_tools_did_is_counted() {
    let check = |members: &str, usage: &str, expected: &[(Unit, u64)]| {
        let body = format!(r#"{{"id":"resp_1","model":"m",{members},"usage":{{"input_tokens":1{usage}}}}}"#);
        let units = Answer::read(&body, &RESPONSES).usage(&RESPONSES).unwrap().unwrap().units;
        assert_eq!(units.iter().collect::<Vec<_>>(), expected, "{body}");
    };
    let output = concat!(
        r#""output":[{"type":"web_search_call","action":{"type":"search","query":"x"}},{"type":"reasoning"},"odd",7,"#,
        r#"{"type":"web_search_call","action":{"type":"open_page"}},{"type":"web_search_call","status":"completed"},"#,
        r#"{"type":"file_search_call","queries":[]},{"type":"code_interpreter_call"},{"type":"message","content":[]}]"#
    );
    let shown = [(Unit::WebSearches, 2), (Unit::FileSearches, 1), (Unit::CodeExecutions, 1)];
    check(output, "", &shown);
    check(
        &format!(r#"{output},"tool_usage":{{"image_gen":{{}},"web_search":{{"num_requests":5}}}}"#),
        "",
        &[(Unit::WebSearches, 5), (Unit::FileSearches, 1), (Unit::CodeExecutions, 1)],
    );
    check(&format!(r#"{output},"tool_usage":{{"web_search":null}}"#), "", &shown);
    check(
        output,
        r#","server_side_tool_usage_details":{"web_search_calls":3,"x_search_calls":4,"code_interpreter_calls":0,"document_search_calls":2,"mcp_calls":1}"#,
        &[(Unit::WebSearches, 7), (Unit::FileSearches, 2), (Unit::CodeExecutions, 1)],
    );
    check(
        r#""output":[]"#,
        r#","tool_calls_details":{"search_web":{"invocation":2}}"#,
        &[(Unit::WebSearches, 2)],
    );
    check(r#""output":null"#, "", &[]);
}

#[test]
fn a_response_that_failed_says_why() {
    let read = |body: &str| Answer::read(body, &RESPONSES);
    let failed = read(
        r#"{"id":"resp_1","status":"failed","error":{"code":"server_error","message":"it broke"},"usage":null}"#,
    );
    assert_eq!((failed.error.as_deref(), failed.usage(&RESPONSES)), (Some("it broke"), None));
    let failed = read(
        "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"id\":\"resp_1\",\"error\":{\"message\":\"it broke\"},\"usage\":null}}\n\n",
    );
    assert_eq!((failed.error.as_deref(), failed.usage(&RESPONSES)), (Some("it broke"), None));
    let failed = read(
        "event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit\",\"message\":\"slow down\"}\n\n",
    );
    assert_eq!(failed.error.as_deref(), Some("slow down"));
}

const RESPONSE: &str = concat!(
    r#"{"id":"resp_7","object":"response","status":"completed","error":null,"model":"gpt-5-2025-08-07","#,
    r#""output":[{"type":"web_search_call","action":{"type":"search"}},{"type":"message","content":[{"type":"output_text","text":"Straße 東京 🗼 \"usage\":{\"input_tokens\":1}"}]}],"#,
    r#""service_tier":"flex","usage":{"input_tokens":255,"input_tokens_details":{"cached_tokens":0},"output_tokens":160,"output_tokens_details":{"reasoning_tokens":128},"total_tokens":415},"user":null,"metadata":{}}"#
);

#[test]
fn a_whole_response_cut_anywhere_is_right_or_unknown() {
    let full = cut_at_every_offset(RESPONSE, &RESPONSES);
    assert_eq!((full.tokens.total_in(), full.tokens.total_out()), (Some(255), Some(160)));
    assert_eq!(full.units.get(Unit::WebSearches), 1);
    // A writer that sorts otherwise: the searches stand behind the usage.
    let (head, output) = (r#"{"usage":{"input_tokens":5},"#, r#""output":[{"type":"file_search_call"}]}"#);
    assert_eq!(cut_at_every_offset(&format!("{head}{output}"), &RESPONSES).units.get(Unit::FileSearches), 1);
}

#[test]
fn a_stream_cut_anywhere_is_right_or_unknown() {
    let begun = r#"{"id":"resp_7","object":"response","status":"in_progress","model":"gpt-5-2025-08-07","output":[],"service_tier":"auto","usage":{"input_tokens":0,"output_tokens":0}}"#;
    let stream = [
        ("response.created", format!(r#""response":{begun}"#)),
        ("response.in_progress", format!(r#""response":{begun}"#)),
        ("response.output_text.delta", r#""delta":"Straße 東京 🗼""#.to_owned()),
        ("response.completed", format!(r#""response":{RESPONSE},"sequence_number":9"#)),
    ];
    let stream =
        stream.map(|(kind, members)| format!("event: {kind}\ndata: {{\"type\":\"{kind}\",{members}}}\n\n"));
    let stream = stream.concat();
    let full = cut_at_every_offset(&stream, &RESPONSES);
    assert_eq!((full.tokens.total_in(), full.tokens.total_out()), (Some(255), Some(160)));
    assert_eq!(full.units.get(Unit::WebSearches), 1);
    assert_eq!(Answer::read(&stream, &RESPONSES).service_tier.as_deref(), Some("flex"));
    let incomplete = stream.replace("response.completed", "response.incomplete");
    assert_eq!(cut_at_every_offset(&incomplete, &RESPONSES), full);
}
