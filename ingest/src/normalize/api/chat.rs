//! `OpenAI`'s chat completions, and everything that answers like them: Azure, DeepSeek, Groq, Mistral and most others.
//! Text completions and embeddings report the same usage.
//!
//! `prompt_tokens` includes cached and audio input, `completion_tokens` includes reasoning and audio output: both are
//! taken apart here, so that no token is counted twice.

use serde::Deserialize;
use weir_event::TokenBucket;

use super::{Api, Usage, UsageError};
use crate::normalize::answer::{Answer, Members};

pub(in crate::normalize) static CHAT: Api = Api { name: "chat completions", read, usage };

#[derive(Deserialize)]
struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<WireDetails>,
    completion_tokens_details: Option<WireDetails>,
    /// `DeepSeek`'s word for cached tokens.
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
struct WireDetails {
    #[serde(rename = "cached_tokens")]
    cached: Option<u64>,
    #[serde(rename = "audio_tokens")]
    audio: Option<u64>,
    #[serde(rename = "reasoning_tokens")]
    reasoning: Option<u64>,
}

#[derive(Deserialize)]
struct WireChoice {
    finish_reason: Option<String>,
}

fn read(members: &Members<'_>, answer: &mut Answer) {
    answer.identify(members);
    answer.take_service_tier(members);
    if let Some(usage) = members.usage {
        // Some services count along in every chunk: only what they say at the end is the count. The last chunk has no
        // choices, or says why it ended.
        answer.report(usage, members.choices.is_none_or(|choices| ends(choices.get())));
    }
}

fn ends(choices: &str) -> bool {
    let choices: Vec<WireChoice> = serde_json::from_str(choices).unwrap_or_default();
    choices.is_empty() || choices.iter().any(|choice| choice.finish_reason.is_some())
}

fn usage(json: &str) -> Result<Usage, UsageError> {
    let wire: WireUsage = serde_json::from_str(json).map_err(|_| UsageError::Form)?;
    let prompt = wire.prompt_tokens_details.unwrap_or_default();
    let completion = wire.completion_tokens_details.unwrap_or_default();
    let cached = prompt.cached.or(wire.prompt_cache_hit_tokens);
    let mut usage = Usage::default();
    let input = [(TokenBucket::CacheRead, cached), (TokenBucket::AudioInput, prompt.audio)];
    usage.split("prompt_tokens", wire.prompt_tokens, TokenBucket::UncachedInput, &input)?;
    let output =
        [(TokenBucket::Reasoning, completion.reasoning), (TokenBucket::AudioOutput, completion.audio)];
    usage.split("completion_tokens", wire.completion_tokens, TokenBucket::TextOutput, &output)?;
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &[(TokenBucket, u64)]) {
        assert_eq!(usage(json).unwrap().tokens.iter().collect::<Vec<_>>(), expected, "{json}");
    }

    #[test]
    fn parts_are_taken_out_of_the_whole() {
        check(
            r#"{"prompt_tokens":15,"completion_tokens":354,"total_tokens":369}"#,
            &[(TokenBucket::UncachedInput, 15), (TokenBucket::TextOutput, 354)],
        );
        check(
            r#"{"prompt_tokens":1000,"completion_tokens":100,
                "prompt_tokens_details":{"cached_tokens":900,"audio_tokens":20},
                "completion_tokens_details":{"reasoning_tokens":64,"audio_tokens":0,"accepted_prediction_tokens":3}}"#,
            &[
                (TokenBucket::UncachedInput, 80),
                (TokenBucket::CacheRead, 900),
                (TokenBucket::AudioInput, 20),
                (TokenBucket::TextOutput, 36),
                (TokenBucket::Reasoning, 64),
                (TokenBucket::AudioOutput, 0),
            ],
        );
        check(
            r#"{"prompt_tokens":10,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":6,"completion_tokens":1}"#,
            &[(TokenBucket::UncachedInput, 6), (TokenBucket::CacheRead, 4), (TokenBucket::TextOutput, 1)],
        );
    }

    #[test]
    fn unreported_stays_unreported() {
        check(r#"{"prompt_tokens":8,"total_tokens":8}"#, &[(TokenBucket::UncachedInput, 8)]);
        check(r#"{"input_tokens":8,"output_tokens":8}"#, &[]);
        check("{}", &[]);
    }

    #[test]
    fn impossible_usage_is_refused_and_not_clamped() {
        let check = |json: &str, expected: &str| assert_eq!(usage(json).unwrap_err().to_string(), expected);
        check(
            r#"{"prompt_tokens":5,"prompt_tokens_details":{"cached_tokens":6}}"#,
            "usage has more tokens in the parts of prompt_tokens than in all",
        );
        check(
            r#"{"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":4,"audio_tokens":2}}"#,
            "usage has more tokens in the parts of completion_tokens than in all",
        );
        check(r#"{"prompt_tokens":-1}"#, "usage has another form");
        check(r#"{"prompt_tokens":1.5}"#, "usage has another form");
        check(r#"{"prompt_tokens":18446744073709551615}"#, "usage");
    }
}
