//! Gemini, on Google AI Studio and on Vertex AI.
//!
//! `promptTokenCount` includes what came from the cache. `candidatesTokenCount` does not include thoughts, and what
//! tools fed to the model comes on top of the prompt. Each count may be taken apart by modality; a modality's count
//! covers its cached and its fresh tokens alike, so what was cached of it is taken out of it. Documents count as images.
//!
//! Every chunk of a stream has the counts so far: only those beside a reason to finish, or to block, are final.
//!
//! Google bills searches of the web by the prompt up to Gemini 2, however many queries it took, and by the query from
//! Gemini 3 on: so the one is counted as 1, and the other as it is.

use serde::Deserialize;
use serde_json::value::RawValue;
use weir_event::{TokenBucket, Unit};

use super::usage::{Count, Part, elements, part, plus};
use super::{Api, Usage, UsageError};
use crate::decode::lenient::{Lenient, taken};
use crate::normalize::answer::{Answer, Members};

pub(in crate::normalize) static GEMINI: Api = Api { name: "generate content", read, usage };

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireUsage {
    prompt_token_count: Option<Count>,
    prompt_tokens_details: Details,
    tool_use_prompt_token_count: Option<Count>,
    tool_use_prompt_tokens_details: Details,
    cached_content_token_count: Option<Count>,
    cache_tokens_details: Details,
    candidates_token_count: Option<Count>,
    candidates_tokens_details: Details,
    thoughts_token_count: Option<Count>,
    service_tier: Option<Lenient<String>>,
    traffic_type: Option<Lenient<String>>,
}

/// A count by modality.
type Details = Option<Lenient<Vec<Lenient<WireModality>>>>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireModality {
    modality: Option<Lenient<String>>,
    token_count: Part,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCandidate<'a> {
    index: Part,
    finish_reason: Option<Lenient<String>>,
    #[serde(borrow)]
    grounding_metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireGrounding<'a> {
    #[serde(borrow)]
    web_search_queries: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireFeedback {
    block_reason: Option<Lenient<String>>,
}

fn read(members: &Members<'_>, answer: &mut Answer) {
    answer.identify(members);
    // Of a chunk that was cut it is not known what else it said.
    let candidates = members.candidates.filter(|_| members.complete);
    let candidates: Vec<WireCandidate<'_>> =
        candidates.and_then(|list| serde_json::from_str(list.get()).ok()).unwrap_or_default();
    let mut ended = members.prompt_feedback.is_some_and(blocks);
    let mut searches = 0;
    for candidate in candidates {
        ended = answer.choice(part(candidate.index).unwrap_or(0), taken(candidate.finish_reason).is_some());
        searches += candidate.grounding_metadata.map_or(0, queries);
    }
    if answer.model.as_deref().is_some_and(bills_by_prompt) {
        searches = searches.min(1);
    }
    // The chunks of a stream may repeat what was searched.
    if searches > answer.units.get(Unit::WebSearches) {
        answer.units.set(Unit::WebSearches, searches).expect("a body has fewer queries than the limit");
    }
    if let Some(usage) = members.usage {
        answer.report(usage, ended && members.complete);
    }
}

fn blocks(feedback: &RawValue) -> bool {
    serde_json::from_str(feedback.get()).is_ok_and(|WireFeedback { block_reason }| block_reason.is_some())
}

/// How many searches of the web an answer rests on. Searches of images and of the caller's files are none.
fn queries(grounding: &RawValue) -> u64 {
    let queries = serde_json::from_str::<WireGrounding<'_>>(grounding.get()).ok();
    let queries = queries.and_then(|it| it.web_search_queries).map(elements).unwrap_or_default();
    queries.iter().filter(|query| query.get().len() > "\"\"".len()).count() as u64
}

/// Gemini 1 and 2, by any name that has them.
fn bills_by_prompt(model: &str) -> bool {
    model.split("gemini-").nth(1).is_some_and(|version| version.starts_with(['1', '2']))
}

fn usage(json: &str) -> Result<Usage, UsageError> {
    let wire: WireUsage = serde_json::from_str(json).map_err(|_| UsageError::Form)?;
    let count = |field: Option<Count>| field.map(|Count(count)| count);
    let tier = taken(wire.service_tier).or(taken(wire.traffic_type));
    let mut usage = Usage { service_tier: tier.as_deref().and_then(tier_word), ..Usage::default() };

    let input = plus(count(wire.prompt_token_count), count(wire.tool_use_prompt_token_count));
    let read =
        ByModality::of(wire.prompt_tokens_details).and(ByModality::of(wire.tool_use_prompt_tokens_details));
    let cached = ByModality::of(wire.cache_tokens_details);
    let fresh = read.without(cached)?;
    let parts = [
        (TokenBucket::CacheRead, cached.rest_of(count(wire.cached_content_token_count))?),
        (TokenBucket::CacheReadAudio, cached.audio),
        (TokenBucket::CacheReadImage, cached.image),
        (TokenBucket::AudioInput, fresh.audio),
        (TokenBucket::ImageInput, fresh.image),
        (TokenBucket::VideoInput, fresh.video),
    ];
    usage.split("promptTokenCount", input, TokenBucket::UncachedInput, &parts)?;

    let written = ByModality::of(wire.candidates_tokens_details);
    let parts = [
        (TokenBucket::AudioOutput, written.audio),
        (TokenBucket::ImageOutput, written.image),
        (TokenBucket::VideoOutput, written.video),
    ];
    let output = count(wire.candidates_token_count);
    usage.split("candidatesTokenCount", output, TokenBucket::TextOutput, &parts)?;
    if let Some(thoughts) = count(wire.thoughts_token_count) {
        usage.tokens.set(TokenBucket::Reasoning, thoughts)?;
    }
    Ok(usage)
}

/// The tier by the word that prices know it by. Vertex AI says it as a type of traffic.
fn tier_word(tier: &str) -> Option<String> {
    let word = tier.to_ascii_lowercase();
    let word = word.trim_start_matches("service_tier_").trim_start_matches("on_demand_");
    (!word.ends_with("unspecified")).then(|| word.to_owned())
}

/// A count taken apart; what is not named here is text.
#[derive(Clone, Copy, Default)]
struct ByModality {
    audio: Option<u64>,
    image: Option<u64>,
    video: Option<u64>,
}

impl ByModality {
    fn of(details: Details) -> Self {
        let mut counts = Self::default();
        for detail in taken(details).into_iter().flatten().filter_map(|Lenient(detail)| detail) {
            let slot = match taken(detail.modality).as_deref() {
                Some("AUDIO") => &mut counts.audio,
                Some("IMAGE" | "DOCUMENT") => &mut counts.image,
                Some("VIDEO") => &mut counts.video,
                // Text, and modalities to come: part of the rest.
                _ => continue,
            };
            *slot = plus(*slot, part(detail.token_count));
        }
        counts
    }

    fn and(self, other: Self) -> Self {
        Self {
            audio: plus(self.audio, other.audio),
            image: plus(self.image, other.image),
            video: plus(self.video, other.video),
        }
    }

    /// What was not cached. Where only the cached part is told, the rest of that modality is not.
    fn without(self, cached: Self) -> Result<Self, UsageError> {
        let fresh = |all: Option<u64>, cached: Option<u64>| {
            let rest = all.map(|all| all.checked_sub(cached.unwrap_or(0)));
            rest.map(|rest| rest.ok_or(UsageError::PartsExceedWhole { whole: "promptTokensDetails" }))
                .transpose()
        };
        Ok(Self {
            audio: fresh(self.audio, cached.audio)?,
            image: fresh(self.image, cached.image)?,
            video: fresh(self.video, cached.video)?,
        })
    }

    /// What of the cached total has no bucket of its own: text, and video.
    fn rest_of(self, total: Option<u64>) -> Result<Option<u64>, UsageError> {
        let parts = plus(self.audio, self.image).unwrap_or(0);
        let rest = total.map(|total| total.checked_sub(parts));
        rest.map(|rest| rest.ok_or(UsageError::PartsExceedWhole { whole: "cachedContentTokenCount" }))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use TokenBucket::{
        AudioInput, AudioOutput, CacheRead, CacheReadAudio, CacheReadImage, ImageInput, ImageOutput,
        Reasoning, TextOutput, UncachedInput, VideoInput,
    };

    use super::*;
    use crate::normalize::testing::{check_buckets, check_refused, cut_at_every_offset};

    fn check(json: &str, expected: &[(TokenBucket, u64)]) {
        check_buckets(&GEMINI, json, expected);
    }

    #[test]
    fn thoughts_and_tools_come_on_top_and_the_cache_does_not() {
        check(
            r#"{"promptTokenCount":9556,"cachedContentTokenCount":8144,"candidatesTokenCount":24,"thoughtsTokenCount":61,
                "toolUsePromptTokenCount":439,"totalTokenCount":10080,"promptTokensDetails":[{"modality":"TEXT","tokenCount":9556}],
                "cacheTokensDetails":[{"modality":"TEXT","tokenCount":8144}],"toolUsePromptTokensDetails":[{"modality":"TEXT","tokenCount":439}]}"#,
            &[(UncachedInput, 1851), (CacheRead, 8144), (TextOutput, 24), (Reasoning, 61)],
        );
    }

    #[test]
    fn modalities_are_disjoint_from_each_other_and_from_the_cache() {
        check(
            r#"{"promptTokenCount":1000,"cachedContentTokenCount":500,"candidatesTokenCount":1300,
                "promptTokensDetails":[{"modality":"TEXT","tokenCount":300},{"modality":"AUDIO","tokenCount":400},
                    {"modality":"IMAGE","tokenCount":100},{"modality":"DOCUMENT","tokenCount":50},{"modality":"VIDEO","tokenCount":150}],
                "cacheTokensDetails":[{"modality":"TEXT","tokenCount":200},{"modality":"AUDIO","tokenCount":150},
                    {"modality":"IMAGE","tokenCount":50},{"modality":"VIDEO","tokenCount":100}],
                "candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1290}]}"#,
            &[
                (UncachedInput, 100),
                (CacheRead, 300),
                (AudioInput, 250),
                (ImageInput, 100),
                (VideoInput, 50),
                (CacheReadAudio, 150),
                (CacheReadImage, 50),
                (TextOutput, 10),
                (ImageOutput, 1290),
            ],
        );
        check(
            r#"{"promptTokenCount":20,"candidatesTokenCount":50,"toolUsePromptTokenCount":30,
                "toolUsePromptTokensDetails":[{"modality":"IMAGE","tokenCount":30}],
                "candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":50}]}"#,
            &[(UncachedInput, 20), (ImageInput, 30), (TextOutput, 0), (AudioOutput, 50)],
        );
    }

    #[test]
    fn unreported_stays_unreported() {
        check(r#"{"trafficType":"ON_DEMAND"}"#, &[]);
        check(r#"{"promptTokenCount":10,"totalTokenCount":10}"#, &[(UncachedInput, 10)]);
        check(
            r#"{"promptTokenCount":9,"thoughtsTokenCount":999,"promptTokensDetails":{"odd":1},"cacheTokensDetails":[7,null,{}]}"#,
            &[(UncachedInput, 9), (Reasoning, 999)],
        );
    }

    #[test]
    fn impossible_usage_is_refused() {
        let refused = |json: &str, why: &str| check_refused(&GEMINI, json, why);
        refused(
            r#"{"promptTokenCount":5,"cachedContentTokenCount":6}"#,
            "usage has more tokens in the parts of promptTokenCount than in all",
        );
        refused(
            r#"{"promptTokenCount":5,"cachedContentTokenCount":1,"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":2}]}"#,
            "usage has more tokens in the parts of cachedContentTokenCount than in all",
        );
        refused(
            r#"{"promptTokenCount":5,"cachedContentTokenCount":4,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":2}],
                "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":3}]}"#,
            "usage has more tokens in the parts of promptTokensDetails than in all",
        );
        refused(
            r#"{"candidatesTokenCount":5,"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":6}]}"#,
            "usage has more tokens in the parts of candidatesTokenCount than in all",
        );
        refused(r#"{"promptTokenCount":"5"}"#, "usage has another form");
    }

    #[test]
    fn the_tier_has_the_word_that_prices_know() {
        let check = |json: &str, expected: Option<&str>| {
            assert_eq!(usage(json).unwrap().service_tier.as_deref(), expected, "{json}");
        };
        check(r#"{"serviceTier":"flex"}"#, Some("flex"));
        check(r#"{"serviceTier":"SERVICE_TIER_PRIORITY"}"#, Some("priority"));
        check(r#"{"trafficType":"ON_DEMAND_FLEX"}"#, Some("flex"));
        check(r#"{"trafficType":"ON_DEMAND_PRIORITY"}"#, Some("priority"));
        check(r#"{"trafficType":"PROVISIONED_THROUGHPUT"}"#, Some("provisioned_throughput"));
        check(r#"{"trafficType":"ON_DEMAND"}"#, Some("on_demand"));
        check(r#"{"trafficType":"TRAFFIC_TYPE_UNSPECIFIED"}"#, None);
    }

    #[test]
    fn searches_are_counted_as_they_are_billed() {
        let check = |model: &str, grounding: &str, expected: u64| {
            let body = format!(
                r#"{{"candidates":[{{"content":{{}},"finishReason":"STOP","groundingMetadata":{grounding}}}],
                    "usageMetadata":{{"promptTokenCount":1}},"modelVersion":"{model}"}}"#
            );
            // The model may stand behind the candidates: members are read before any of them is used.
            let usage = Answer::read(&body, &GEMINI).usage(&GEMINI).unwrap().unwrap();
            assert_eq!(usage.units.get(Unit::WebSearches), expected, "{model} {grounding}");
        };
        check("gemini-2.5-flash", r#"{"webSearchQueries":["a","b"]}"#, 1);
        check("gemini-3-pro-preview", r#"{"webSearchQueries":["a","b",""]}"#, 2);
        check("gemini-3-pro-preview", r#"{"groundingChunks":[{"retrievedContext":{}}]}"#, 0);
        check("gemini-2.5-flash", r#"{"webSearchQueries":[]}"#, 0);
        check("gemini-3-flash", r#"{"webSearchQueries":"a"}"#, 0);
    }

    #[test]
    fn a_stream_of_two_candidates_counts_when_both_finished() {
        let chunk = |index: u64, count: u64, finish: &str| {
            format!(
                "data: {{\"usageMetadata\":{{\"promptTokenCount\":5,\"candidatesTokenCount\":{count}}},\"candidates\":[{{\"index\":{index}{finish}}}]}}\r\n\r\n"
            )
        };
        let stop = r#","finishReason":"STOP""#;
        let body = [chunk(0, 2, ""), chunk(1, 4, ""), chunk(0, 6, stop), chunk(1, 8, ""), chunk(1, 9, stop)];
        assert_eq!(cut_at_every_offset(&body.concat(), &GEMINI).tokens.total_out(), Some(9));
    }

    const EVENTS: &str = concat!(
        r#"data: {"candidates": [{"content": {"parts": [{"text": "Grüße, \"finishReason\": 🙂"}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 59,"candidatesTokenCount": 8,"totalTokenCount": 97,"thoughtsTokenCount": 30},"modelVersion": "gemini-3-flash-preview","responseId": "r-1"}"#,
        "\r\n\r\n",
        r#"data: {"candidates": [{"content": {"parts": [{"text": ""}],"role": "model"},"finishReason": "STOP","index": 0,"groundingMetadata":{"webSearchQueries":["a","b"]}}],"usageMetadata": {"promptTokenCount": 128,"candidatesTokenCount": 21,"totalTokenCount": 179,"thoughtsTokenCount": 30,"serviceTier":"standard"},"modelVersion": "gemini-3-flash-preview","responseId": "r-1"}"#,
        "\r\n\r\n",
    );

    #[test]
    fn a_stream_counts_what_it_said_when_it_finished() {
        let list = format!("[{}\n]", EVENTS.replace("\r\n\r\ndata: ", ",\r\n").replace("data: ", ""));
        for body in [EVENTS, &list] {
            let answer = Answer::read(body, &GEMINI);
            assert_eq!(
                (answer.id.as_deref(), answer.model.as_deref(), answer.streamed),
                (Some("r-1"), Some("gemini-3-flash-preview"), true)
            );
            let usage = cut_at_every_offset(body, &GEMINI);
            let expected = [(UncachedInput, 128), (TextOutput, 21), (Reasoning, 30)];
            assert_eq!(usage.tokens.iter().collect::<Vec<_>>(), expected);
            assert_eq!(usage.units.get(Unit::WebSearches), 2);
        }
    }

    #[test]
    fn a_blocked_prompt_is_final_and_an_error_has_no_usage() {
        let blocked = "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"},\"usageMetadata\":{\"promptTokenCount\":10}}\r\n\r\n";
        assert_eq!(cut_at_every_offset(blocked, &GEMINI).tokens.total_in(), Some(10));
        let error = r#"{"error":{"code":404,"message":"models/gemini-9 is not found","status":"NOT_FOUND"}}"#;
        for body in [error.to_owned(), format!("[{error}\n]")] {
            let answer = Answer::read(&body, &GEMINI);
            assert_eq!(
                (answer.error.as_deref(), answer.usage_json),
                (Some("models/gemini-9 is not found"), None)
            );
        }
        for body in
            [r#"{"totalTokens":31,"totalBillableCharacters":96}"#, r#"{"embeddings":[{"values":[0.1]}]}"#]
        {
            assert_eq!(Answer::read(body, &GEMINI).usage_json, None, "{body}");
        }
        let embedding = r#"{"embedding":{"values":[0.1]},"usageMetadata":{"promptTokenCount":4}}"#;
        assert_eq!(cut_at_every_offset(embedding, &GEMINI).tokens.total_in(), Some(4));
    }
}
