//! Cohere's own API, in its first and second version.
//!
//! It reports tokens twice: `tokens`, which it counted, and `billed_units`, which it bills: without the wrapping that it
//! puts around the prompt itself. Those that are billed count here; the others, and `cached_tokens`, which are not billed
//! apart, stay in the raw usage. Reranking is billed by the search.
//!
//! A stream of version 2 ends with `message-end`, one of version 1, which is JSON lines, with `stream-end`.

use serde::Deserialize;
use serde_json::value::RawValue;
use weir_event::{TokenBucket, Unit};

use super::usage::Count;
use super::{Api, Usage, UsageError};
use crate::normalize::answer::{Answer, Members};

pub(in crate::normalize) static COHERE: Api = Api { name: "cohere", read, usage };

#[derive(Deserialize)]
struct WireUsage {
    billed_units: Option<WireBilled>,
}

#[derive(Deserialize)]
struct WireBilled {
    input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    image_tokens: Option<Count>,
    search_units: Option<Count>,
}

fn read(members: &Members<'_>, answer: &mut Answer) {
    match members.kind() {
        "message-start" => answer.identify(members),
        "message-end" => report(members.delta, members.complete, answer),
        "stream-end" => report(members.response, members.complete, answer),
        // A whole answer, or another event of a stream, which has none of these members.
        _ => {
            answer.identify(members);
            take(members, false, answer);
        }
    }
}

/// The end of a stream, with its usage within.
fn report(end: Option<&RawValue>, settled: bool, answer: &mut Answer) {
    if let Some(end) = end {
        take(&Members::read(end.get()), settled, answer);
    }
}

fn take(members: &Members<'_>, settled: bool, answer: &mut Answer) {
    if let Some(usage) = members.usage.or(members.meta) {
        answer.report(usage, settled);
    }
}

fn usage(json: &str) -> Result<Usage, UsageError> {
    let wire: WireUsage = serde_json::from_str(json).map_err(|_| UsageError::Form)?;
    let mut usage = Usage::default();
    let Some(billed) = wire.billed_units else {
        return Ok(usage);
    };
    for (bucket, count) in [
        (TokenBucket::UncachedInput, billed.input_tokens),
        (TokenBucket::ImageInput, billed.image_tokens),
        (TokenBucket::TextOutput, billed.output_tokens),
    ] {
        if let Some(Count(count)) = count {
            usage.tokens.set(bucket, count)?;
        }
    }
    usage.set_unit(Unit::RerankSearches, billed.search_units.map(|Count(count)| count))?;
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use TokenBucket::{ImageInput, TextOutput, UncachedInput};

    use super::*;
    use crate::normalize::testing::{check_buckets, check_refused, cut_at_every_offset};

    #[test]
    fn what_is_billed_counts() {
        let check = |json: &str, expected: &[(TokenBucket, u64)]| check_buckets(&COHERE, json, expected);
        check(
            r#"{"billed_units":{"input_tokens":33,"output_tokens":22.0},"cached_tokens":144,"tokens":{"input_tokens":1452,"output_tokens":33}}"#,
            &[(UncachedInput, 33), (TextOutput, 22)],
        );
        check(
            r#"{"api_version":{"version":"2"},"billed_units":{"image_tokens":7,"input_tokens":4}}"#,
            &[(UncachedInput, 4), (ImageInput, 7)],
        );
        check(r#"{"api_version":{"version":"1"}}"#, &[]);
        check(r#"{"tokens":{"input_tokens":1452}}"#, &[]);
        check_refused(&COHERE, r#"{"billed_units":{"input_tokens":"4"}}"#, "usage has another form");
        let reranked = usage(r#"{"billed_units":{"search_units":2}}"#).unwrap();
        assert_eq!((reranked.units.get(Unit::RerankSearches), reranked.tokens.is_empty()), (2, true));
    }

    #[test]
    fn answers_of_both_versions_are_right_or_unknown_when_cut() {
        for body in [
            r#"{"finish_reason":"COMPLETE","id":"a","message":{"content":[{"text":"Grüße 🙂","type":"text"}]},"usage":{"billed_units":{"input_tokens":10,"output_tokens":9},"tokens":{"input_tokens":496,"output_tokens":11}}}"#,
            r#"{"response_id":"a","text":"Grüße 🙂","meta":{"billed_units":{"input_tokens":10,"output_tokens":9},"tokens":{"input_tokens":496,"output_tokens":11}}}"#,
            concat!(
                "event: message-start\ndata: {\"id\":\"a\",\"type\":\"message-start\",\"delta\":{\"message\":{\"role\":\"assistant\"}}}\n\n",
                "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\"Grüße 🙂\"}}}}\n\n",
                "event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"COMPLETE\",\"usage\":{\"billed_units\":{\"input_tokens\":10,\"output_tokens\":9},\"tokens\":{\"input_tokens\":496,\"output_tokens\":11}}}}\n\n",
                "data: [DONE]\n\n",
            ),
            concat!(
                "{\"is_finished\":false,\"event_type\":\"stream-start\",\"generation_id\":\"a\"}\n",
                "{\"is_finished\":false,\"event_type\":\"text-generation\",\"text\":\"Grüße 🙂\"}\n",
                "{\"is_finished\":true,\"event_type\":\"stream-end\",\"response\":{\"text\":\"Grüße 🙂\",\"meta\":{\"billed_units\":{\"input_tokens\":10,\"output_tokens\":9}}},\"finish_reason\":\"COMPLETE\"}\n",
            ),
        ] {
            let usage = cut_at_every_offset(body, &COHERE);
            assert_eq!((usage.tokens.total_in(), usage.tokens.total_out()), (Some(10), Some(9)));
        }
    }
}
