//! `OpenAI`'s Responses API, and those who speak it: Azure, DeepSeek, Groq, Perplexity, xAI, `OpenRouter`.
//!
//! `input_tokens` includes cached input and `output_tokens` includes reasoning, at every one of them. A stream tells its
//! usage in its last event, together with the whole response; what the model did on the way is counted there.

use serde::Deserialize;
use serde_json::value::RawValue;
use weir_event::{TokenBucket, Unit, Units};

use super::usage::{Count, Part, part};
use super::{Api, Usage, UsageError};
use crate::decode::lenient::{Lenient, taken};
use crate::normalize::answer::{Answer, Members, each_element};
use crate::text::{Text, name};

pub(in crate::normalize) static RESPONSES: Api = Api { name: "responses", read, usage };

/// The events that end a stream, with the whole response.
const ENDS: [&str; 3] = ["response.completed", "response.incomplete", "response.failed"];

/// A usage object in these words. Images and audio have them too.
#[derive(Deserialize)]
pub(super) struct WireUsage {
    input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    input_tokens_details: Option<Lenient<WireDetails>>,
    output_tokens_details: Option<Lenient<WireDetails>>,
    /// What transcriptions call them.
    input_token_details: Option<Lenient<WireDetails>>,
    output_token_details: Option<Lenient<WireDetails>>,
    /// xAI's count of what its tools did, and of the sources that its search read.
    server_side_tool_usage_details: Option<Lenient<WireTools>>,
    num_sources_used: Part,
    /// Perplexity's count of what its tools did.
    tool_calls_details: Option<Lenient<WireCalls>>,
}

#[derive(Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are the wire's")]
struct WireDetails {
    cached_tokens: Part,
    /// Perplexity's words for cached input.
    cache_read_input_tokens: Part,
    cache_creation_input_tokens: Part,
    cache_write_tokens: Part,
    reasoning_tokens: Part,
    text_tokens: Part,
    audio_tokens: Part,
    image_tokens: Part,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are the wire's")]
pub(super) struct WireTools {
    web_search_calls: Part,
    x_search_calls: Part,
    code_interpreter_calls: Part,
    file_search_calls: Part,
    document_search_calls: Part,
}

#[derive(Deserialize)]
struct WireCalls {
    search_web: Option<Lenient<WireCall>>,
}

#[derive(Deserialize)]
struct WireCall {
    invocation: Part,
}

#[derive(Deserialize)]
struct WireItem<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
    action: Option<Lenient<WireAction>>,
}

#[derive(Deserialize)]
struct WireAction {
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct WireToolUsage {
    web_search: Option<Lenient<WireWebSearch>>,
}

#[derive(Deserialize)]
struct WireWebSearch {
    num_requests: Part,
}

fn read(members: &Members<'_>, answer: &mut Answer) {
    if !answer.streamed {
        return take(members, answer);
    }
    let kind = members.kind.and_then(name);
    if let Some(response) = members.response.filter(|response| response.get().starts_with('{')) {
        let response = Members::read(response.get());
        if kind.is_some_and(|kind| ENDS.contains(&kind.as_str())) {
            take(&response, answer);
            answer.settle();
        } else {
            answer.identify(&response);
            answer.take_service_tier(&response);
        }
    } else if let (Some("error"), Some(message)) = (kind.as_deref(), members.message) {
        answer.fail(message);
    }
}

/// Takes a whole response, or what is there of one that was cut.
fn take(response: &Members<'_>, answer: &mut Answer) {
    answer.identify(response);
    answer.take_service_tier(response);
    if let Some(error) = response.error {
        answer.fail(error);
    }
    // Tokens without the searches that may stand behind the cut would not be what is billed.
    if let Some(usage) = response.usage.filter(|_| response.complete || response.output.is_some()) {
        answer.report(usage, true);
        answer.units = tools_used(response);
    }
}

/// What the provider's tools did. The response shows each call; the newest also have a count of the searches.
fn tools_used(response: &Members<'_>) -> Units {
    let mut counts =
        [(Unit::WebSearches, 0), (Unit::FileSearches, 0), (Unit::CodeExecutions, 0), (Unit::ImagesOutput, 0)];
    each_element(response.output.map_or("", RawValue::get), |item| {
        let used = serde_json::from_str(item).ok().and_then(|item| tool(&item));
        for (_, count) in counts.iter_mut().filter(|(unit, _)| Some(*unit) == used) {
            *count += 1;
        }
    });
    let told = response.tool_usage.and_then(|told| serde_json::from_str::<WireToolUsage>(told.get()).ok());
    if let Some(searches) = told.and_then(|told| part(taken(told.web_search)?.num_requests)) {
        counts[0].1 = searches;
    }
    let mut units = Units::default();
    for (unit, count) in counts {
        // A count beyond all measure is as good as none.
        let _ = units.set(unit, count);
    }
    units
}

/// What an item of the output bills. Of the steps of a web search only the search itself does, not the opening of a
/// page or the look for a word in it.
fn tool(item: &WireItem<'_>) -> Option<Unit> {
    let action = item.action.as_ref().and_then(|Lenient(action)| action.as_ref()?.kind.as_deref());
    match item.kind.as_ref().map(|Text(kind)| kind.as_ref())? {
        "web_search_call" => action.is_none_or(|action| action == "search").then_some(Unit::WebSearches),
        "file_search_call" => Some(Unit::FileSearches),
        "code_interpreter_call" => Some(Unit::CodeExecutions),
        "image_generation_call" => Some(Unit::ImagesOutput),
        // Messages, reasoning, calls of the caller's own tools: paid for in tokens.
        _ => None,
    }
}

fn usage(json: &str) -> Result<Usage, UsageError> {
    WireUsage::read(json)?.apart(TokenBucket::TextOutput)
}

impl WireUsage {
    pub(super) fn read(json: &str) -> Result<Self, UsageError> {
        serde_json::from_str(json).map_err(|_| UsageError::Form)
    }

    /// Takes the figures apart. What of the output no detail names is of the kind that is asked for.
    pub(super) fn apart(self, asked_for: TokenBucket) -> Result<Usage, UsageError> {
        let mut usage = Usage::default();
        let details = |one, other| taken(one).or(taken(other)).unwrap_or_default();
        let input: WireDetails = details(self.input_tokens_details, self.input_token_details);
        let cached = part(input.cached_tokens).or(part(input.cache_read_input_tokens));
        // Cached images are counted under both names: which of them are fresh is known only where none is cached.
        let images = part(input.image_tokens).filter(|_| cached.unwrap_or(0) == 0);
        let parts = [
            (TokenBucket::CacheRead, cached),
            (
                TokenBucket::CacheWrite5m,
                part(input.cache_write_tokens).or(part(input.cache_creation_input_tokens)),
            ),
            (TokenBucket::AudioInput, part(input.audio_tokens)),
            (TokenBucket::ImageInput, images),
        ];
        let total = self.input_tokens.map(|Count(count)| count);
        usage.split("input_tokens", total, TokenBucket::UncachedInput, &parts)?;

        let output: WireDetails = details(self.output_tokens_details, self.output_token_details);
        let text = part(output.text_tokens);
        let mut parts = vec![
            (TokenBucket::Reasoning, part(output.reasoning_tokens)),
            (TokenBucket::AudioOutput, part(output.audio_tokens)),
            (TokenBucket::ImageOutput, part(output.image_tokens)),
            // Text is the rest, unless something else is.
            (TokenBucket::TextOutput, text.filter(|_| asked_for != TokenBucket::TextOutput)),
        ];
        parts.retain(|(bucket, _)| *bucket != asked_for);
        let total = self.output_tokens.map(|Count(count)| count);
        usage.split("output_tokens", total, asked_for, &parts)?;

        usage.set_unit(Unit::WebSearches, part(self.num_sources_used))?;
        if let Some(tools) = taken(self.server_side_tool_usage_details) {
            tools.count(&mut usage)?;
        }
        let searches =
            taken(self.tool_calls_details).and_then(|calls| part(taken(calls.search_web)?.invocation));
        usage.set_unit(Unit::WebSearches, searches)?;
        Ok(usage)
    }
}

impl WireTools {
    /// Adds what xAI says that its tools did.
    pub(super) fn count(self, usage: &mut Usage) -> Result<(), UsageError> {
        let sum = |one, other| match (part(one), part(other)) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
        };
        usage.set_unit(Unit::WebSearches, sum(self.web_search_calls, self.x_search_calls))?;
        usage.set_unit(Unit::FileSearches, sum(self.file_search_calls, self.document_search_calls))?;
        usage.set_unit(Unit::CodeExecutions, part(self.code_interpreter_calls))
    }
}

#[cfg(test)]
mod tests;
