//! `OpenAI`'s chat completions, and everything that answers like them: Azure, DeepSeek, Groq, Mistral and most others.
//! Text completions report the same usage.
//!
//! `prompt_tokens` includes cached and audio input, `completion_tokens` includes reasoning and audio output: both are
//! taken apart here, so that no token is counted twice. Three providers add reasoning on top: see `xai`, `perplexity` and
//! `google_chat`.

use serde::Deserialize;
use weir_event::{TokenBucket, Unit};

use super::usage::{Count, Part, part};
use super::{Api, Usage, UsageError};
use crate::decode::lenient::{Lenient, taken};
use crate::normalize::answer::{Answer, Members};

pub(in crate::normalize) static CHAT: Api = Api { name: "chat completions", read, usage };

/// The figures of a usage object, each under whatever name a service has for it.
#[derive(Deserialize)]
pub(super) struct WireUsage {
    prompt_tokens: Option<Count>,
    completion_tokens: Option<Count>,
    total_tokens: Part,
    prompt_tokens_details: Option<Lenient<WireInput>>,
    completion_tokens_details: Option<Lenient<WireOutput>>,
    /// Cached input in the words of `DeepSeek`, of Mistral, of Moonshot and Together, of `LiteLLM` and Databricks.
    prompt_cache_hit_tokens: Part,
    num_cached_tokens: Part,
    cached_tokens: Part,
    cache_read_input_tokens: Part,
    /// `LiteLLM`'s word for input written to the cache.
    cache_creation_input_tokens: Part,
    /// Where there are no details: Databricks, Perplexity.
    reasoning_tokens: Part,
    server_tool_use: Option<Lenient<WireTools>>,
}

#[derive(Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are the wire's")]
struct WireInput {
    cached_tokens: Part,
    cache_write_tokens: Part,
    audio_tokens: Part,
    image_tokens: Part,
    video_tokens: Part,
}

#[derive(Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are the wire's")]
struct WireOutput {
    reasoning_tokens: Part,
    audio_tokens: Part,
    image_tokens: Part,
}

#[derive(Deserialize)]
struct WireTools {
    web_search_requests: Part,
}

#[derive(Deserialize)]
struct WireChoice {
    index: Option<Lenient<Count>>,
    finish_reason: Option<Lenient<String>>,
}

/// How reasoning is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reasoning {
    /// As a part of `completion_tokens`, unless the total says otherwise.
    Within,
    /// On top of `completion_tokens`, unless the total says otherwise.
    OnTop,
    /// On top of `completion_tokens`, and left out of the total.
    Beside,
    /// On top of `completion_tokens` where it is told by the total alone, else as a part of it.
    Hidden,
}

/// Takes what any answer of this kind says.
pub(super) fn read(members: &Members<'_>, answer: &mut Answer) {
    answer.identify(members);
    answer.take_service_tier(members);
    let groq = members.x_groq.and_then(|x_groq| Members::read(x_groq.get()).usage);
    let Some(usage) = members.usage.or(groq) else {
        return;
    };
    // Some services count along in every chunk: only what they say at the end is the count. The last chunk has no
    // choices, or says why the last choice ended. Of a chunk that was cut, the choices may be what is missing.
    let ended =
        answer.streamed && members.complete && members.choices.is_none_or(|it| ends(it.get(), answer));
    answer.report(usage, ended);
    if answer.model.as_deref().is_some_and(always_searches) {
        answer.units.set(Unit::WebSearches, 1).expect("1 is below the limit");
    }
}

fn ends(choices: &str, answer: &mut Answer) -> bool {
    let Ok(choices) = serde_json::from_str::<Vec<WireChoice>>(choices) else {
        return false;
    };
    choices.into_iter().fold(true, |_, choice| {
        let index = taken(choice.index).map_or(0, |Count(index)| index);
        answer.choice(index, taken(choice.finish_reason).is_some())
    })
}

/// `OpenAI`'s models that search the web for every chat completion, and bill each a search.
fn always_searches(model: &str) -> bool {
    model.contains("-search-preview") || model.contains("-search-api")
}

fn usage(json: &str) -> Result<Usage, UsageError> {
    WireUsage::read(json)?.apart(Reasoning::Within)
}

impl WireUsage {
    pub(super) fn read(json: &str) -> Result<Self, UsageError> {
        serde_json::from_str(json).map_err(|_| UsageError::Form)
    }

    /// Takes the figures apart.
    pub(super) fn apart(self, reported: Reasoning) -> Result<Usage, UsageError> {
        let mut usage = Usage::default();
        let prompt = self.prompt_tokens.map(|Count(count)| count);
        let completion = self.completion_tokens.map(|Count(count)| count);
        let output = taken(self.completion_tokens_details).unwrap_or_default();
        let total = part(self.total_tokens);
        let reasoning = part(output.reasoning_tokens)
            .or(part(self.reasoning_tokens))
            .or_else(|| hidden(reported, [prompt, completion, total]));
        let on_top = on_top(reported, [prompt, completion, reasoning, total]);

        let input = taken(self.prompt_tokens_details).unwrap_or_default();
        let cached = part(input.cached_tokens)
            .or(part(self.prompt_cache_hit_tokens))
            .or(part(self.num_cached_tokens))
            .or(part(self.cached_tokens))
            .or(part(self.cache_read_input_tokens));
        // Cached images are counted under both names: which of them are fresh is known only where none is cached.
        let fresh = |count: Part| part(count).filter(|_| cached.unwrap_or(0) == 0);
        let parts = [
            (TokenBucket::CacheRead, cached),
            (
                TokenBucket::CacheWrite5m,
                part(input.cache_write_tokens).or(part(self.cache_creation_input_tokens)),
            ),
            (TokenBucket::AudioInput, part(input.audio_tokens)),
            (TokenBucket::ImageInput, fresh(input.image_tokens)),
            (TokenBucket::VideoInput, fresh(input.video_tokens)),
        ];
        usage.split("prompt_tokens", prompt, TokenBucket::UncachedInput, &parts)?;

        let above = reasoning.filter(|_| on_top).unwrap_or(0);
        let written = completion.map(|completion| completion.saturating_add(above));
        let parts = [
            (TokenBucket::Reasoning, reasoning),
            (TokenBucket::AudioOutput, part(output.audio_tokens)),
            (TokenBucket::ImageOutput, part(output.image_tokens)),
        ];
        usage.split("completion_tokens", written, TokenBucket::TextOutput, &parts)?;
        let searches = taken(self.server_tool_use).and_then(|tools| part(tools.web_search_requests));
        usage.set_unit(Unit::WebSearches, searches)?;
        Ok(usage)
    }
}

/// What the total has beyond the prompt and the completion, where that is reasoning.
fn hidden(reported: Reasoning, counts: [Option<u64>; 3]) -> Option<u64> {
    let [Some(prompt), Some(completion), Some(total)] = counts else {
        return None;
    };
    let more = total.checked_sub(prompt.saturating_add(completion))?;
    (reported == Reasoning::Hidden && more > 0).then_some(more)
}

/// Whether reasoning comes on top of the completion: the total tells, where there is one that fits.
fn on_top(reported: Reasoning, counts: [Option<u64>; 4]) -> bool {
    let by_default = match reported {
        Reasoning::Within | Reasoning::Hidden => false,
        Reasoning::OnTop => true,
        Reasoning::Beside => return true,
    };
    let [Some(prompt), Some(completion), Some(reasoning), Some(total)] = counts else {
        return by_default;
    };
    match total.checked_sub(prompt.saturating_add(completion)) {
        Some(0) => false,
        Some(more) if more == reasoning => true,
        _ => by_default,
    }
}

#[cfg(test)]
mod tests;
