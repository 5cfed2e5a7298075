//! Bedrock's answers: converse, and every maker's own form.

use TokenBucket::{CacheRead, CacheWrite1h, CacheWrite5m, Reasoning, TextOutput, UncachedInput};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::normalize::testing::{check_buckets, check_refused, cut_at_every_offset};

#[test]
fn converse_counts_cached_input_on_top() {
    let check = |json: &str, expected: &[(TokenBucket, u64)]| check_buckets(&BEDROCK, json, expected);
    check(
        r#"{"inputTokens":10,"outputTokens":20,"totalTokens":2530,"cacheReadInputTokens":2000,"cacheWriteInputTokens":500,
            "cacheDetails":[{"ttl":"1h","inputTokens":200},{"ttl":"5m","inputTokens":300}]}"#,
        &[(UncachedInput, 10), (CacheRead, 2000), (CacheWrite5m, 300), (CacheWrite1h, 200), (TextOutput, 20)],
    );
    check(
        r#"{"inputTokens":10.0,"outputTokens":20,"cacheWriteInputTokenCount":5,"cacheReadInputTokenCount":0}"#,
        &[(UncachedInput, 10), (CacheRead, 0), (CacheWrite5m, 5), (TextOutput, 20)],
    );
    check(r#"{"outputTokens":20,"cacheReadInputTokens":7}"#, &[(TextOutput, 20)]);
    check(r#"{"inputTokens":1,"cacheDetails":["odd",{"ttl":7}]}"#, &[(UncachedInput, 1)]);
    check_refused(
        &BEDROCK,
        r#"{"inputTokens":1,"cacheWriteInputTokens":5,"cacheDetails":[{"ttl":"1h","inputTokens":6}]}"#,
        "usage has more tokens in the parts of cacheWriteInputTokens than in all",
    );
}

#[test]
fn every_model_counts_in_its_own_words() {
    let check = |body: &str, expected: &[(TokenBucket, u64)]| {
        let usage = cut_at_every_offset(body, &BEDROCK);
        assert_eq!(usage.tokens.iter().collect::<Vec<_>>(), expected, "{body}");
    };
    let both = &[(UncachedInput, 12), (TextOutput, 8)];
    check(
        r#"{"metrics":{"latencyMs":9},"output":{"message":{"content":[{"text":"Grüße 🙂"}],"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":12,"outputTokens":8,"totalTokens":20}}"#,
        both,
    );
    check(
        r#"{"id":"msg_bdrk_1","type":"message","model":"claude-3-5-sonnet-20241022","content":[],"usage":{"input_tokens":12,"output_tokens":8,"output_tokens_details":{"thinking_tokens":3}}}"#,
        &[(UncachedInput, 12), (TextOutput, 5), (Reasoning, 3)],
    );
    check(
        r#"{"inputTextTokenCount":12,"results":[{"tokenCount":8,"outputText":"é","completionReason":"FINISH"}]}"#,
        both,
    );
    check(r#"{"embedding":[0.1,0.2],"inputTextTokenCount":12}"#, &[(UncachedInput, 12)]);
    check(
        r#"{"generation":"é","prompt_token_count":12,"generation_token_count":8,"stop_reason":"stop"}"#,
        both,
    );
    check(
        r#"{"id":"c","model":"mistral.pixtral-large","choices":[{"message":{"content":"é"},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":8}}"#,
        both,
    );
    let images =
        cut_at_every_offset(r#"{"images":["aGk=",null],"finish_reasons":[null,"filtered"]}"#, &BEDROCK);
    assert_eq!(images.units.get(Unit::ImagesOutput), 1);
    for body in [
        r#"{"outputs":[{"text":"é","stop_reason":"stop"}]}"#,
        r#"{"generations":[{"text":"é"}],"id":"x"}"#,
        r#"{"message":"The model is not supported."}"#,
    ] {
        assert_eq!(Answer::read(body, &BEDROCK).usage_json, None, "{body}");
    }
}

/// Frames as they read after their bytes were taken for text.
fn frames(events: &[(&str, String)]) -> String {
    events.iter().map(|(event, payload)| frame(event, payload)).collect::<Vec<_>>().concat()
}

fn frame(event: &str, payload: &str) -> String {
    let headers = format!(
        "\u{b}:event-type\u{7}\0\u{10}{event}\r:content-type\u{7}\0\u{10}application/json\r:message-type\u{7}\0\u{5}event"
    );
    format!("\0\0\u{1}\u{fffd}\0\0\0R\u{fffd}{{\u{fffd}\u{fffd}{headers}{payload}\u{fffd}k\u{fffd}\u{1}")
}

fn chunks(chunks: &[&str]) -> String {
    let wrap = |chunk: &&str| ("chunk", format!(r#"{{"bytes":"{}","p":"abcd"}}"#, STANDARD.encode(chunk)));
    frames(&chunks.iter().map(wrap).collect::<Vec<_>>())
}

#[test]
fn a_stream_of_converse_ends_with_its_usage() {
    let body = frames(&[
        ("messageStart", r#"{"p":"ab","role":"assistant"}"#.to_owned()),
        ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Grüße } \" 🙂"},"p":"ab"}"#.to_owned()),
        ("messageStop", r#"{"p":"ab","stopReason":"end_turn"}"#.to_owned()),
        (
            "metadata",
            r#"{"metrics":{"latencyMs":9},"p":"ab","serviceTier":{"type":"flex"},"usage":{"cacheReadInputTokens":3,"inputTokens":12,"outputTokens":8,"totalTokens":23}}"#.to_owned(),
        ),
    ]);
    let answer = Answer::read(&body, &BEDROCK);
    assert_eq!((answer.streamed, answer.service_tier.as_deref()), (true, Some("flex")));
    let usage = cut_at_every_offset(&body, &BEDROCK);
    let expected = [(UncachedInput, 12), (CacheRead, 3), (TextOutput, 8)];
    assert_eq!(usage.tokens.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_stream_of_an_invoked_model_ends_with_metrics() {
    const METRICS: &str = r#""amazon-bedrock-invocationMetrics":{"inputTokenCount":12,"outputTokenCount":8,"invocationLatency":9,"firstByteLatency":1}"#;
    let llama = chunks(&[
        r#"{"generation":"Grü","prompt_token_count":12,"generation_token_count":1,"stop_reason":null}"#,
        r#"{"generation":"ße 🙂","prompt_token_count":null,"generation_token_count":7,"stop_reason":null}"#,
        &format!(
            r#"{{"generation":"","prompt_token_count":null,"generation_token_count":8,"stop_reason":"stop",{METRICS}}}"#
        ),
    ]);
    let mistral = chunks(&[
        r#"{"outputs":[{"text":"Grüße","stop_reason":null}]}"#,
        &format!(r#"{{"outputs":[{{"text":"","stop_reason":"stop"}}],{METRICS}}}"#),
    ]);
    let nova = chunks(&[
        r#"{"messageStart":{"role":"assistant"}}"#,
        &format!(
            r#"{{"metadata":{{"usage":{{"inputTokens":12,"outputTokens":8}},"metrics":{{}}}},{METRICS}}}"#
        ),
    ]);
    let anthropic_without_its_end = chunks(&[
        r#"{"type":"message_start","message":{"id":"msg_1","model":"claude-3-5-sonnet","usage":{"input_tokens":12,"output_tokens":1}}}"#,
        &format!(r#"{{"type":"message_stop",{METRICS}}}"#),
    ]);
    for body in [llama, mistral, nova, anthropic_without_its_end] {
        let usage = cut_at_every_offset(&body, &BEDROCK);
        let expected = [(UncachedInput, 12), (TextOutput, 8)];
        assert_eq!(usage.tokens.iter().collect::<Vec<_>>(), expected, "{body}");
    }
    let anthropic = chunks(&[
        r#"{"type":"message_start","message":{"id":"msg_1","model":"claude-3-5-sonnet","usage":{"input_tokens":12,"cache_read_input_tokens":5,"output_tokens":1}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Grüße 🙂"}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":8}}"#,
        &format!(r#"{{"type":"message_stop",{METRICS}}}"#),
    ]);
    let usage = cut_at_every_offset(&anthropic, &BEDROCK);
    let expected = [(UncachedInput, 12), (CacheRead, 5), (TextOutput, 8)];
    assert_eq!(usage.tokens.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn an_exception_in_a_stream_is_an_error() {
    let body = frames(&[
        ("messageStart", r#"{"role":"assistant"}"#.to_owned()),
        ("", r#"{"message":"Too many tokens"}"#.to_owned()),
    ]);
    let answer = Answer::read(&body, &BEDROCK);
    assert_eq!((answer.error.as_deref(), answer.usage_json), (Some("Too many tokens"), None));
}
