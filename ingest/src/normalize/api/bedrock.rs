//! AWS Bedrock: converse, and what models answer when they are invoked.
//!
//! Converse counts cached input on top of `inputTokens`. Its stream ends with an event that has the usage. An invoked
//! model answers in its maker's API (Anthropic's, `OpenAI`'s, converse's for Nova) or counts in members of the answer
//! itself (Titan, Llama); those are put together as the object that is kept as usage. The stream of an invoked model ends
//! with `amazon-bedrock-invocationMetrics`, which count where the maker's API does not. Mistral and Cohere count in the
//! headers of the answer only, which no log has.
//!
//! Converse does not say which model answered: the one that was asked for.

use serde::Deserialize;
use serde_json::value::RawValue;
use weir_event::{TokenBucket, Unit};

use super::usage::{Count, Part, elements, part, part_count, plus};
use super::{ANTHROPIC, Api, CHAT, Usage, UsageError};
use crate::decode::lenient::{Lenient, taken};
use crate::normalize::answer::{Answer, Members};

pub(in crate::normalize) static BEDROCK: Api = Api { name: "bedrock", read, usage };

/// What invoked models have beside or in place of usage.
#[derive(Deserialize)]
struct WireAnswer<'a> {
    #[serde(rename = "amazon-bedrock-invocationMetrics", borrow)]
    metrics: Option<&'a RawValue>,
    /// Titan.
    #[serde(rename = "inputTextTokenCount")]
    input_text_token_count: Part,
    #[serde(borrow)]
    results: Option<&'a RawValue>,
    /// Llama.
    prompt_token_count: Part,
    generation_token_count: Part,
    /// Titan's images, Nova Canvas, Stability.
    #[serde(borrow)]
    images: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireResult {
    token_count: Part,
}

#[derive(Deserialize)]
struct WireTier {
    #[serde(rename = "type")]
    kind: String,
}

fn read(members: &Members<'_>, answer: &mut Answer) {
    if let Some(message) = members.message.filter(|text| answer.streamed && text.get().starts_with('"')) {
        // An exception in a stream that began well.
        answer.fail(message);
    }
    if !members.kind().is_empty() {
        (ANTHROPIC.read)(members, answer);
    } else if members.choices.is_some() {
        (CHAT.read)(members, answer);
    } else {
        answer.identify(members);
        let nova = members.meta.and_then(|metadata| Members::read(metadata.get()).usage);
        if let Some(usage) = members.usage.or(nova) {
            answer.report(usage, members.complete);
        }
    }
    if let Some(tier) = members.service_tier.and_then(|tier| serde_json::from_str(tier.get()).ok()) {
        let WireTier { kind } = tier;
        answer.service_tier = Some(kind);
    }
    if members.complete && (!answer.has_usage() || members.text.contains("invocationMetrics")) {
        // Not one of these answers.
        let Ok(wire) = serde_json::from_str::<WireAnswer<'_>>(members.text) else { return };
        take(&wire, answer);
    }
}

fn take(wire: &WireAnswer<'_>, answer: &mut Answer) {
    match wire.metrics {
        Some(_) if answer.has_usage() => answer.settle(),
        Some(metrics) => answer.gather(metrics.get().to_owned()),
        // A stream counts along, and has metrics at its end.
        None if answer.streamed => {}
        None => {
            if let Some(usage) = wire.usage() {
                answer.gather(usage);
            }
        }
    }
}

impl WireAnswer<'_> {
    /// What the members of a whole answer come to.
    fn usage(&self) -> Option<String> {
        let count = |field: &Part| field.as_ref().and_then(|Lenient(count)| count.as_ref().map(part_count));
        if let Some(input) = count(&self.input_text_token_count) {
            let results = self.results.map(elements).unwrap_or_default();
            let counts = results.iter().map(|result| {
                serde_json::from_str(result.get())
                    .ok()
                    .and_then(|WireResult { token_count }| part(token_count))
            });
            return Some(match counts.fold(None, plus) {
                Some(output) => format!(r#"{{"inputTextTokenCount":{input},"tokenCount":{output}}}"#),
                None => format!(r#"{{"inputTextTokenCount":{input}}}"#),
            });
        }
        if let (Some(input), Some(output)) =
            (count(&self.prompt_token_count), count(&self.generation_token_count))
        {
            return Some(format!(r#"{{"prompt_token_count":{input},"generation_token_count":{output}}}"#));
        }
        let images = self.images.map(elements).unwrap_or_default();
        let made = images.iter().filter(|image| image.get() != "null").count();
        (made > 0).then(|| format!(r#"{{"images":{made}}}"#))
    }
}

/// The words of all of them: converse, Nova, the metrics, and what is put together here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireUsage<'a> {
    #[serde(alias = "inputTokenCount", alias = "inputTextTokenCount", alias = "prompt_token_count")]
    input_tokens: Option<Count>,
    #[serde(alias = "outputTokenCount", alias = "tokenCount", alias = "generation_token_count")]
    output_tokens: Option<Count>,
    cache_read_input_tokens: Option<Count>,
    cache_read_input_token_count: Option<Count>,
    cache_write_input_tokens: Option<Count>,
    cache_write_input_token_count: Option<Count>,
    cache_details: Option<Lenient<Vec<Lenient<WireCache>>>>,
    images: Option<Count>,
    /// Anthropic's words, and those of chat completions.
    #[serde(rename = "input_tokens", borrow)]
    anthropic: Option<&'a RawValue>,
    #[serde(rename = "prompt_tokens", borrow)]
    chat: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCache {
    ttl: String,
    input_tokens: Part,
}

fn usage(json: &str) -> Result<Usage, UsageError> {
    let wire: WireUsage<'_> = serde_json::from_str(json).map_err(|_| UsageError::Form)?;
    if wire.anthropic.is_some() {
        return (ANTHROPIC.usage)(json);
    }
    if wire.chat.is_some() {
        return (CHAT.usage)(json);
    }
    let mut usage = Usage::default();
    let count = |field: Option<Count>| field.map(|Count(count)| count);
    let output = [(TokenBucket::TextOutput, count(wire.output_tokens))];
    let input = [
        (TokenBucket::UncachedInput, count(wire.input_tokens)),
        (TokenBucket::CacheRead, count(wire.cache_read_input_tokens.or(wire.cache_read_input_token_count))),
    ];
    // Without the rest of the input its cached part is no count.
    let input = input.into_iter().filter(|_| wire.input_tokens.is_some());
    for (bucket, count) in input.chain(output) {
        if let Some(count) = count {
            usage.tokens.set(bucket, count)?;
        }
    }
    if wire.input_tokens.is_some() {
        let written = count(wire.cache_write_input_tokens.or(wire.cache_write_input_token_count));
        put_cache_write(&mut usage, written, taken(wire.cache_details).unwrap_or_default())?;
    }
    usage.set_unit(Unit::ImagesOutput, count(wire.images))?;
    Ok(usage)
}

/// What is not said to be kept for an hour has the default, 5 minutes.
fn put_cache_write(
    usage: &mut Usage,
    total: Option<u64>,
    details: Vec<Lenient<WireCache>>,
) -> Result<(), UsageError> {
    let (mut known, mut one_hour) = (None, None);
    for detail in details.into_iter().filter_map(|Lenient(detail)| detail) {
        let tokens = part(detail.input_tokens);
        known = plus(known, tokens);
        if detail.ttl == "1h" {
            one_hour = plus(one_hour, tokens);
        }
    }
    let total = total.or(known);
    if known > total {
        return Err(UsageError::PartsExceedWhole { whole: "cacheWriteInputTokens" });
    }
    let parts = [(TokenBucket::CacheWrite1h, one_hour)];
    usage.split("cacheWriteInputTokens", total, TokenBucket::CacheWrite5m, &parts)
}

#[cfg(test)]
mod tests;
