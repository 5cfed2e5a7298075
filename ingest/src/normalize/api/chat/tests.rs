//! Chat completions in the words of every service that has them.

use weir_event::TokenBucket::{
    AudioInput, AudioOutput, CacheRead, CacheWrite5m, ImageInput, ImageOutput, Reasoning, TextOutput,
    UncachedInput,
};

use super::*;
use crate::normalize::testing::cut_at_every_offset;

fn check(json: &str, expected: &[(TokenBucket, u64)]) {
    assert_eq!(usage(json).unwrap().tokens.iter().collect::<Vec<_>>(), expected, "{json}");
}

#[test]
fn parts_are_taken_out_of_the_whole() {
    check(
        r#"{"prompt_tokens":15,"completion_tokens":354,"total_tokens":369}"#,
        &[(UncachedInput, 15), (TextOutput, 354)],
    );
    check(
        r#"{"prompt_tokens":1000,"completion_tokens":100,
            "prompt_tokens_details":{"cached_tokens":900,"audio_tokens":20},
            "completion_tokens_details":{"reasoning_tokens":64,"audio_tokens":0,"accepted_prediction_tokens":3,"rejected_prediction_tokens":9}}"#,
        &[
            (UncachedInput, 80),
            (CacheRead, 900),
            (AudioInput, 20),
            (TextOutput, 36),
            (Reasoning, 64),
            (AudioOutput, 0),
        ],
    );
    check(
        r#"{"prompt_tokens":2649,"prompt_tokens_details":{"cached_tokens":2569,"cache_write_tokens":79}}"#,
        &[(UncachedInput, 1), (CacheRead, 2569), (CacheWrite5m, 79)],
    );
}

#[test]
fn cached_input_has_many_names() {
    let expected = &[(UncachedInput, 6), (CacheRead, 4)];
    for (service, words) in [
        ("DeepSeek", r#""prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":6"#),
        ("Mistral", r#""num_cached_tokens":4"#),
        ("Moonshot", r#""cached_tokens":4"#),
        ("Databricks", r#""cache_read_input_tokens":4"#),
        (
            "DeepSeek, in two ways",
            r#""prompt_cache_hit_tokens":4,"prompt_tokens_details":{"cached_tokens":4}"#,
        ),
        ("a service that knows no details", r#""prompt_tokens_details":null,"cached_tokens":4"#),
    ] {
        let json = format!(r#"{{"prompt_tokens":10,{words}}}"#);
        assert_eq!(usage(&json).unwrap().tokens.iter().collect::<Vec<_>>(), expected, "{service}");
    }
}

#[test]
fn images_are_told_apart_where_none_of_them_can_be_cached() {
    let details = |cached: u64| {
        format!(
            r#"{{"prompt_tokens":500,"prompt_tokens_details":{{"cached_tokens":{cached},"image_tokens":400}}}}"#
        )
    };
    check(&details(0), &[(UncachedInput, 100), (CacheRead, 0), (ImageInput, 400)]);
    check(&details(300), &[(UncachedInput, 200), (CacheRead, 300)]);
    check(
        r#"{"completion_tokens":1302,"completion_tokens_details":{"image_tokens":1290,"reasoning_tokens":0}}"#,
        &[(TextOutput, 12), (Reasoning, 0), (ImageOutput, 1290)],
    );
}

#[test]
fn the_total_tells_whether_reasoning_comes_on_top() {
    let json = |total: &str| {
        format!(
            r#"{{"prompt_tokens":10,"completion_tokens":50{total},"completion_tokens_details":{{"reasoning_tokens":40}}}}"#
        )
    };
    for total in ["", r#","total_tokens":60"#, r#","total_tokens":7"#, r#","total_tokens":null"#] {
        check(&json(total), &[(UncachedInput, 10), (TextOutput, 10), (Reasoning, 40)]);
    }
    check(&json(r#","total_tokens":100"#), &[(UncachedInput, 10), (TextOutput, 50), (Reasoning, 40)]);
}

#[test]
fn unreported_stays_unreported() {
    check(r#"{"prompt_tokens":8,"total_tokens":8}"#, &[(UncachedInput, 8)]);
    check(r#"{"input_tokens":8,"output_tokens":8}"#, &[]);
    check("{}", &[]);
}

#[test]
fn a_detail_of_another_type_costs_only_itself() {
    for details in [r#""none""#, "[1]", "7", r#"{"cached_tokens":"4"}"#, "null"] {
        check(
            &format!(r#"{{"prompt_tokens":10.0,"prompt_tokens_details":{details}}}"#),
            &[(UncachedInput, 10)],
        );
    }
}

#[test]
fn impossible_usage_is_refused_and_not_clamped() {
    let check = |json: &str, expected: &str| assert_eq!(usage(json).unwrap_err().to_string(), expected);
    check(
        r#"{"prompt_tokens":5,"prompt_tokens_details":{"cached_tokens":6}}"#,
        "usage has more tokens in the parts of prompt_tokens than in all",
    );
    check(
        r#"{"prompt_tokens":5,"prompt_tokens_details":{"cached_tokens":-4}}"#,
        "usage has more tokens in the parts of prompt_tokens than in all",
    );
    check(
        r#"{"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":4,"audio_tokens":2}}"#,
        "usage has more tokens in the parts of completion_tokens than in all",
    );
    check(r#"{"prompt_tokens":-1}"#, "usage has another form");
    check(r#"{"prompt_tokens":1.5}"#, "usage has another form");
    check(r#"{"prompt_tokens":"5"}"#, "usage has another form");
    check(r#"{"prompt_tokens":18446744073709551615}"#, "usage");
}

#[test]
fn searches_are_counted_where_they_are_told_or_known() {
    let searches = |body: &str| {
        let answer = Answer::read(body, &CHAT);
        answer.usage(&CHAT).map_or(0, |usage| usage.unwrap().units.get(Unit::WebSearches))
    };
    let told = r#"{"model":"x","usage":{"prompt_tokens":1,"server_tool_use":{"web_search_requests":3}}}"#;
    assert_eq!(searches(told), 3);
    let model =
        |model: &str| format!(r#"{{"model":"{model}","choices":[{{}}],"usage":{{"prompt_tokens":1}}}}"#);
    assert_eq!(searches(&model("gpt-4o-mini-search-preview-2025-03-11")), 1);
    assert_eq!(searches(&model("gpt-4o")), 0);
    assert_eq!(searches(r#"{"model":"gpt-5-search-api","error":{"message":"no"}}"#), 0);
}

/// A stream of `OpenAI`'s, with text of several bytes to the character.
const STREAM: &str = concat!(
    "data: {\"id\":\"\",\"object\":\"\",\"model\":\"\",\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}]}\n\n",
    "data: {\"id\":\"chatcmpl-7\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4o-2024-08-06\",\"service_tier\":\"default\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":null}\n\n",
    "data: {\"id\":\"chatcmpl-7\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4o-2024-08-06\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Der Fluß 流れる 🌊\"},\"finish_reason\":null}],\"usage\":null}\n\n",
    "data: {\"id\":\"chatcmpl-7\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4o-2024-08-06\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n",
    "data: {\"id\":\"chatcmpl-7\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4o-2024-08-06\",\"choices\":[],\"usage\":{\"prompt_tokens\":423,\"completion_tokens\":15,\"total_tokens\":438,\"prompt_tokens_details\":{\"cached_tokens\":128,\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0}},\"obfuscation\":\"Umu4rj\"}\n\n",
    "data: [DONE]\n\n",
);

#[test]
fn a_stream_cut_anywhere_is_right_or_unknown() {
    let full = cut_at_every_offset(STREAM, &CHAT);
    assert_eq!((full.tokens.total_in(), full.tokens.total_out()), (Some(423), Some(15)));
    assert_eq!(full.tokens.get(CacheRead), Some(128));
}

#[test]
fn a_stream_that_counts_along_is_right_at_its_end_only() {
    // Counts stand before the choices, and there are two of these: neither the first to end nor a cut may settle it.
    let chunk = |index: u64, out: u64, end: &str| {
        format!(
            "data: {{\"model\":\"m\",\"usage\":{{\"prompt_tokens\":9,\"completion_tokens\":{out}}},\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"é\"}},\"finish_reason\":{end}}}]}}\n\n"
        )
    };
    let body = [
        chunk(0, 1, "null"),
        chunk(1, 2, "null"),
        chunk(0, 3, "\"stop\""),
        chunk(1, 14, "null"),
        chunk(1, 15, "\"length\""),
    ];
    let body = body.concat();
    assert_eq!(cut_at_every_offset(&body, &CHAT).tokens.total_out(), Some(15));
    assert_eq!(cut_at_every_offset(&(body + "data: [DONE]\n\n"), &CHAT).tokens.total_out(), Some(15));
}

#[test]
fn more_choices_than_are_told_apart_are_settled_by_the_last_chunk() {
    let choice = |index: u64, end: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":{index},\"finish_reason\":{end}}}],\"usage\":{{\"prompt_tokens\":{index}}}}}\n\n"
        )
    };
    let body = choice(70, "null") + &choice(71, "\"stop\"");
    assert_eq!(Answer::read(&body, &CHAT).usage(&CHAT), None);
    let body = body + "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5}}\n\n";
    assert_eq!(cut_at_every_offset(&body, &CHAT).tokens.total_in(), Some(5));
}

#[test]
fn groq_reports_the_usage_of_a_stream_in_a_place_of_its_own() {
    let body = concat!(
        "data: {\"id\":\"chatcmpl-g\",\"model\":\"openai/gpt-oss-120b\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ß\"},\"finish_reason\":null}],\"x_groq\":{\"id\":\"req_1\"}}\n\n",
        "data: {\"id\":\"chatcmpl-g\",\"model\":\"openai/gpt-oss-120b\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"x_groq\":{\"id\":\"req_1\",\"usage\":{\"queue_time\":0.1,\"prompt_tokens\":84,\"completion_tokens\":13,\"total_tokens\":97,\"completion_tokens_details\":{\"reasoning_tokens\":3}}}}\n\n",
        "data: [DONE]\n\n",
    );
    let full = cut_at_every_offset(body, &CHAT);
    assert_eq!((full.tokens.total_in(), full.tokens.total_out()), (Some(84), Some(13)));
}

#[test]
fn a_whole_answer_cut_anywhere_is_right_or_unknown() {
    let body = r#"{"id":"chatcmpl-1","model":"deepseek-chat","choices":[{"index":0,"message":{"content":"Grüße, 世界"},"finish_reason":"stop"}],"usage":{"prompt_tokens":976,"completion_tokens":61,"total_tokens":1037,"prompt_tokens_details":{"cached_tokens":896},"completion_tokens_details":{"reasoning_tokens":25},"prompt_cache_hit_tokens":896,"prompt_cache_miss_tokens":80},"system_fingerprint":"fp_1"}"#;
    let full = cut_at_every_offset(body, &CHAT);
    assert_eq!(
        full.tokens.iter().collect::<Vec<_>>(),
        [(UncachedInput, 80), (CacheRead, 896), (TextOutput, 36), (Reasoning, 25)]
    );
}
