//! Cloudflare Workers AI's own form, as its binding and its REST interface have it. Malacca's fallback answers in it,
//! whatever provider was asked.
//!
//! The REST interface puts the answer under `result`. Usage is counted as in chat completions, with `neurons` beside it,
//! by which Cloudflare bills; newer models answer in the form of chat completions, or of responses, altogether. A stream
//! of the older form may count along, so only its `[DONE]` makes it final.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::usage::{Part, elements, part};
use super::{Api, CHAT, RESPONSES, Usage, UsageError};
use crate::decode::lenient::{Lenient, taken};
use crate::normalize::answer::{Answer, Members};

pub(in crate::normalize) static WORKERS_AI: Api = Api { name: "workers ai", read, usage };

/// What tells the words of responses from those of chat completions.
#[derive(Deserialize)]
struct WireUsage<'a> {
    #[serde(borrow)]
    input_tokens: Option<&'a RawValue>,
}

/// What embeddings cost, where they have no usage.
#[derive(Deserialize)]
struct WireCost {
    cost_metric_name_1: Option<Lenient<String>>,
    cost_metric_value_1: Part,
}

#[derive(Deserialize)]
struct WireEnvelope<'a> {
    #[serde(borrow)]
    errors: Option<&'a RawValue>,
}

fn read(members: &Members<'_>, answer: &mut Answer) {
    match members.result {
        Some(result) if result.get().starts_with('{') => take(&Members::read(result.get()), answer),
        Some(_) => {}
        None => take(members, answer),
    }
    // A refusal has its errors in a list.
    if answer.error.is_none() && !answer.has_usage() && members.text.contains("\"errors\"") {
        let errors = serde_json::from_str(members.text).ok().and_then(|WireEnvelope { errors }| errors);
        if let Some(error) = errors.map(elements).and_then(|errors| errors.first().copied()) {
            answer.fail(error);
        }
    }
}

fn take(members: &Members<'_>, answer: &mut Answer) {
    if members.choices.is_some() {
        return (CHAT.read)(members, answer);
    }
    if members.output.is_some() || members.kind().starts_with("response.") {
        return (RESPONSES.read)(members, answer);
    }
    answer.identify(members);
    if let Some(usage) = members.usage {
        answer.report(usage, false);
    } else if let Some(tokens) = members.meta.and_then(metered_tokens) {
        answer.gather(format!(r#"{{"prompt_tokens":{tokens}}}"#));
    }
}

/// The first cost metric, if it is tokens: others are seconds, steps or tiles.
fn metered_tokens(meta: &RawValue) -> Option<u64> {
    let cost: WireCost = serde_json::from_str(meta.get()).ok()?;
    let is_tokens = taken(cost.cost_metric_name_1).is_none_or(|name| name.contains("token"));
    part(cost.cost_metric_value_1).filter(|_| is_tokens)
}

fn usage(json: &str) -> Result<Usage, UsageError> {
    let wire: WireUsage<'_> = serde_json::from_str(json).map_err(|_| UsageError::Form)?;
    let api = if wire.input_tokens.is_some() { &RESPONSES } else { &CHAT };
    (api.usage)(json)
}

#[cfg(test)]
mod tests {
    use weir_event::TokenBucket::{self, CacheRead, Reasoning, TextOutput, UncachedInput};

    use super::*;
    use crate::normalize::api::ANTHROPIC;
    use crate::normalize::testing::{check_buckets, check_refused, cut_at_every_offset};

    fn check(body: &str, expected: &[(TokenBucket, u64)]) {
        let usage = cut_at_every_offset(body, &WORKERS_AI);
        assert_eq!(usage.tokens.iter().collect::<Vec<_>>(), expected, "{body}");
    }

    #[test]
    fn an_answer_is_the_same_in_every_wrapping() {
        let expected = &[(UncachedInput, 30), (TextOutput, 9)];
        let plain = r#"{"response":"Grüße 🙂","tool_calls":[],"usage":{"prompt_tokens":30,"completion_tokens":9,"total_tokens":39,"neurons":1.25}}"#;
        check(plain, expected);
        check(&format!(r#"{{"result":{plain},"success":true,"errors":[],"messages":[]}}"#), expected);
        let chat = r#"{"id":"chatcmpl-1","model":"@cf/meta/llama-4","choices":[{"message":{"content":"é"},"finish_reason":"stop"}],"usage":{"prompt_tokens":30,"completion_tokens":9}}"#;
        check(chat, expected);
        check(&format!(r#"{{"result":{chat},"success":true}}"#), expected);
        check(
            r#"{"id":"resp_1","object":"response","output":[],"usage":{"input_tokens":30,"output_tokens":9,"output_tokens_details":{"reasoning_tokens":4}}}"#,
            &[(UncachedInput, 30), (TextOutput, 5), (Reasoning, 4)],
        );
    }

    #[test]
    fn streams_are_final_at_their_end() {
        let chunk = |text: &str, out: u64| {
            format!(
                "data: {{\"response\":\"{text}\",\"p\":\"abc\",\"usage\":{{\"prompt_tokens\":30,\"completion_tokens\":{out}}}}}\n\n"
            )
        };
        let body = chunk("Grü", 1) + &chunk("ße 🙂", 2) + &chunk("", 9) + "data: [DONE]\n\n";
        check(&body, &[(UncachedInput, 30), (TextOutput, 9)]);
        let usage = Answer::read(&body, &ANTHROPIC);
        assert_eq!(
            (usage.by_workers_ai, usage.usage(&ANTHROPIC)),
            (true, Answer::read(&body, &WORKERS_AI).usage(&WORKERS_AI))
        );
    }

    #[test]
    fn embeddings_say_what_they_cost() {
        let input = &[(UncachedInput, 8)];
        check(
            r#"{"shape":[1,2],"data":[[0.1,0.2]],"pooling":"mean","usage":{"prompt_tokens":8,"total_tokens":8}}"#,
            input,
        );
        check(
            r#"{"result":{"shape":[1,2],"data":[[0.1,0.2]],"meta":{"cost_metric_name_1":"input_tokens","cost_metric_value_1":8}}}"#,
            input,
        );
        check(r#"{"shape":[1,2],"data":[[0.1,0.2]],"meta":{"cost_metric_value_1":8}}"#, input);
        let seconds = r#"{"result":{"meta":{"cost_metric_name_1":"audio_seconds","cost_metric_value_1":8}}}"#;
        assert_eq!(Answer::read(seconds, &WORKERS_AI).usage_json, None);
    }

    #[test]
    fn usage_is_that_of_chat_completions() {
        check_buckets(
            &WORKERS_AI,
            r#"{"prompt_tokens":30,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":10}}"#,
            &[(UncachedInput, 20), (CacheRead, 10), (TextOutput, 9)],
        );
        check_refused(
            &WORKERS_AI,
            r#"{"input_tokens":1,"output_tokens":3,"output_tokens_details":{"reasoning_tokens":4}}"#,
            "usage has more tokens in the parts of output_tokens than in all",
        );
    }

    #[test]
    fn a_refusal_says_why() {
        let body = r#"{"result":null,"success":false,"errors":[{"code":7009,"message":"no such model"}],"messages":[]}"#;
        assert_eq!(Answer::read(body, &WORKERS_AI).error.as_deref(), Some("no such model"));
    }
}
