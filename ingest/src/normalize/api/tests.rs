//! What holds for every API, whatever the body is.

use proptest::prelude::*;

use super::*;
use crate::normalize::answer::Answer;

/// What answers are made of. In any order it makes bodies that are nearly right.
const PIECES: [&str; 46] = [
    "data: ",
    "event: message_delta",
    "\n",
    "\r\n\r\n",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "7",
    "-1",
    "2.0",
    "1e99",
    "99999999999999999999",
    "\"usage\":{",
    "\"usageMetadata\":{",
    "\"type\":\"message_start\",",
    "\"type\":\"message_delta\",",
    "\"type\":\"message_stop\"",
    "\"message\":{",
    "\"delta\":{\"stop_reason\":\"x\"}",
    "\"input_tokens\":",
    "\"output_tokens\":",
    "\"cache_creation\":{\"ephemeral_1h_input_tokens\":9}",
    "\"iterations\":[{\"type\":\"compaction\"}]",
    "\"candidates\":[",
    "\"finishReason\":\"STOP\"",
    "\"promptTokenCount\":",
    "\"cacheTokensDetails\":[{\"modality\":\"AUDIO\",\"tokenCount\":9}]",
    "\"predictions\":[{\"embeddings\":{\"statistics\":{\"token_count\":1}}}]",
    "\"result\":{",
    "\"response\":\"x\"",
    "\"meta\":{",
    "\"billed_units\":{",
    "\"choices\":[]",
    "\0:event-type",
    ":message-type\u{7}\0\u{5}event{",
    "{\"bytes\":\"eyJhIjoxfQ==\"}",
    "\"amazon-bedrock-invocationMetrics\":{",
    "\"inputTokenCount\":",
    "\\u00",
    "ü🙂",
    "[DONE]",
];

/// Reads a body in every API. That it ends, and says something that can be stored, is the claim.
fn read_in_every_api(body: &str) {
    for api in ALL {
        let answer = Answer::read(body, api);
        if let Some(Ok(usage)) = answer.usage(api) {
            assert!(usage.tokens.iter().all(|(_, count)| count <= weir_event::Tokens::BUCKET_MAX));
        }
        assert!(
            answer.usage_json.is_none_or(|json| serde_json::from_str::<serde_json::Value>(&json).is_ok())
        );
    }
}

proptest! {
    #[test]
    fn no_body_is_too_odd_to_read(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40)) {
        read_in_every_api(&pieces.concat());
    }

    #[test]
    fn no_text_is_too_odd_to_read(body in "\\PC{0,60}") {
        read_in_every_api(&body);
    }
}

#[test]
fn a_long_body_is_read_in_one_go() {
    // Whoever looked at a part of these again for each of its parts would be at it for minutes.
    for piece in [
        "{",
        "[",
        "[{},",
        "{\"a\":",
        "{\"usage\":{",
        "{\"usage\":{},",
        "\"usage\":{\"a\":1},",
        "data: {\"usage\":{\"a\":1}\n",
        "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"a\":1}}}\n\n",
        ":message-type{",
        ":message-type{\"bytes\":\"e30=\"}",
        "{\"candidates\":[{\"finishReason\":\"",
        "{}\n",
        "\\u0000\"",
    ] {
        let body = piece.repeat((1 << 18) / piece.len());
        for start in ["", "\0:event-type", "{\"a\":1,", "[", "data: "] {
            read_in_every_api(&format!("{start}{body}"));
        }
    }
}

#[test]
fn no_name_is_that_of_two() {
    let mut names: Vec<_> = ALL.iter().map(|api| api.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ALL.len());
}
