//! `OpenAI`'s usage object, as chat completions and embeddings of `OpenAI`, Azure and `DeepSeek` carry it.
//!
//! `prompt_tokens` includes cached and audio input, `completion_tokens` includes reasoning and audio output: both are
//! taken apart here, so that no token is counted twice.

use serde::Deserialize;
use weir_event::{TokenBucket, Tokens, TokensError};

/// Why a usage object was not believed. The object itself is kept as it came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UsageError {
    /// Not the object that the dialect has.
    #[error("usage has another form")]
    Form,
    /// Parts that are greater than the whole: cached, audio or reasoning tokens beyond the total they belong to.
    #[error("usage has more tokens in the parts of {whole} than in all")]
    PartsExceedWhole { whole: &'static str },
    /// A count beyond all measure.
    #[error("usage")]
    Count(#[from] TokensError),
}

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

/// Takes a usage object apart. No `prompt_tokens` means that input was not reported, and so on.
pub(super) fn read(usage_json: &str) -> Result<Tokens, UsageError> {
    let wire: WireUsage = serde_json::from_str(usage_json).map_err(|_| UsageError::Form)?;
    let prompt = wire.prompt_tokens_details.unwrap_or_default();
    let completion = wire.completion_tokens_details.unwrap_or_default();
    let cached = prompt.cached.or(wire.prompt_cache_hit_tokens);
    let mut tokens = Tokens::default();
    let input = [(TokenBucket::CacheRead, cached), (TokenBucket::AudioInput, prompt.audio)];
    split(&mut tokens, "prompt_tokens", (wire.prompt_tokens, TokenBucket::UncachedInput), input)?;
    let output =
        [(TokenBucket::Reasoning, completion.reasoning), (TokenBucket::AudioOutput, completion.audio)];
    split(&mut tokens, "completion_tokens", (wire.completion_tokens, TokenBucket::TextOutput), output)?;
    Ok(tokens)
}

/// Puts the parts of a whole into their buckets and what is left into the bucket of the whole.
fn split(
    tokens: &mut Tokens,
    name: &'static str,
    (whole, rest_bucket): (Option<u64>, TokenBucket),
    parts: [(TokenBucket, Option<u64>); 2],
) -> Result<(), UsageError> {
    let Some(whole) = whole else {
        return Ok(());
    };
    let mut rest = whole;
    for (bucket, count) in parts {
        if let Some(count) = count {
            rest = rest.checked_sub(count).ok_or(UsageError::PartsExceedWhole { whole: name })?;
            tokens.set(bucket, count)?;
        }
    }
    Ok(tokens.set(rest_bucket, rest)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(usage: &str, expected: &[(TokenBucket, u64)]) {
        assert_eq!(read(usage).unwrap().iter().collect::<Vec<_>>(), expected, "{usage}");
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
        let check = |usage: &str, expected: &str| assert_eq!(read(usage).unwrap_err().to_string(), expected);
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
