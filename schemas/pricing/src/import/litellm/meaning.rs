//! What a price's key is for, in the charges of price files. Some keys mean different things in rows of different
//! modes, or nothing where another key says it better.

use weir_event::{TokenBucket, Unit};

use super::super::json::Json;
use crate::Charge;

/// What a key of a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A price of this charge; the number times the factor is the price as a price file has it.
    Price(Charge, u64),
    /// Says nothing about prices, or what another key says.
    Nothing,
    /// A price that a price file cannot say, or a key that is new.
    Unknown,
}

const PER_TOKEN: u64 = 1_000_000;
const PER_PIECE: u64 = 1_000;
const PER_SECOND: u64 = 3_600;

/// Keys that say nothing about prices.
const IGNORED: &[&str] = &[
    "audio_transcription_config",
    "comment",
    "default_reasoning_effort",
    "deprecation_date",
    "gemini_audio_only_live",
    "gemini_native_audio",
    // The same price in Databricks' own unit.
    "input_dbu_cost_per_token",
    "output_dbu_cost_per_token",
    "litellm_provider",
    "metadata",
    "mode",
    "output_vector_size",
    "prompt_cache_min_tokens",
    "reasoning_contexts",
    "reasoning_effort_levels",
    "reasoning_modes",
    "rpm",
    "rules",
    "source",
    "thinking_always_on",
    "tpm",
    "use_openai_responses_path",
    "uses_embed_content",
    "vertex_ai_audio_api",
    "web_search_billing_unit",
];
const IGNORED_PREFIXES: &[&str] = &["bedrock_", "max_", "supported_", "supports_", "token_count_"];

/// What `base` is for in a row of these fields.
pub(super) fn of(base: &str, fields: &[(String, Json)]) -> Meaning {
    let tokens = |bucket| Meaning::Price(Charge::Tokens(bucket), PER_TOKEN);
    let unit = |unit, factor| Meaning::Price(Charge::Unit(unit), factor);
    let has = |key: &str| fields.iter().any(|(name, _)| name == key);
    let mode = text(fields, "mode");
    match base {
        "input_cost_per_token" => tokens(TokenBucket::UncachedInput),
        "output_cost_per_token" => tokens(TokenBucket::TextOutput),
        "input_cost_per_token_cache_hit" if has("cache_read_input_token_cost") => Meaning::Nothing,
        "cache_read_input_token_cost" | "input_cost_per_token_cache_hit" => tokens(TokenBucket::CacheRead),
        "cache_creation_input_token_cost" => tokens(TokenBucket::CacheWrite5m),
        "cache_creation_input_token_cost_above_1hr" => tokens(TokenBucket::CacheWrite1h),
        "input_cost_per_audio_token" => tokens(TokenBucket::AudioInput),
        "input_cost_per_image_token" => tokens(TokenBucket::ImageInput),
        "input_cost_per_video_token" => tokens(TokenBucket::VideoInput),
        "cache_read_input_audio_token_cost" => tokens(TokenBucket::CacheReadAudio),
        "cache_read_input_image_token_cost" => tokens(TokenBucket::CacheReadImage),
        "output_cost_per_reasoning_token" => tokens(TokenBucket::Reasoning),
        "output_cost_per_audio_token" => tokens(TokenBucket::AudioOutput),
        "output_cost_per_image_token" => tokens(TokenBucket::ImageOutput),
        "output_cost_per_video_token" => tokens(TokenBucket::VideoOutput),
        "citation_cost_per_token" => tokens(TokenBucket::Citation),
        "file_search_cost_per_1k_calls" => unit(Unit::FileSearches, 1),
        "ocr_cost_per_page" => unit(Unit::InputPages, PER_PIECE),
        "annotation_cost_per_page" => unit(Unit::AnnotatedPages, PER_PIECE),
        "input_cost_per_query" if mode == "rerank" => unit(Unit::RerankSearches, PER_PIECE),
        "input_cost_per_request" => Meaning::Price(Charge::Requests, PER_PIECE),
        // Elsewhere it is another way to count what is billed by tokens.
        "input_cost_per_character" if !has("input_cost_per_token") => unit(Unit::InputCharacters, PER_TOKEN),
        _ if IGNORED.contains(&base) || IGNORED_PREFIXES.iter().any(|prefix| base.starts_with(prefix)) => {
            Meaning::Nothing
        }
        _ => media(base, mode, fields),
    }
}

/// Images and time. A row prices them once: where it has several keys for them, the one that its cost is made of.
fn media(base: &str, mode: &str, fields: &[(String, Json)]) -> Meaning {
    let unit = |unit, factor| Meaning::Price(Charge::Unit(unit), factor);
    let priced = |key: &str| {
        let number = fields.iter().find(|(name, _)| name == key).and_then(|(_, value)| value.number());
        number.is_some_and(|number| number.bytes().any(|byte| (b'1'..=b'9').contains(&byte)))
    };
    let by_size = |prefix: &str| fields.iter().any(|(name, _)| name.starts_with(prefix));
    let is_image = matches!(mode, "image_generation" | "image_edit");
    // Images that are counted in tokens would be billed twice; sizes are not in the event.
    let images_count =
        is_image && !priced("output_cost_per_image_token") && !by_size("output_cost_per_image_");
    match (base, mode) {
        ("output_cost_per_image", _) if images_count => unit(Unit::ImagesOutput, PER_PIECE),
        ("input_cost_per_image", _)
            if images_count && !by_size("output_cost_per_image") && !by_size("input_cost_per_pixel") =>
        {
            unit(Unit::ImagesOutput, PER_PIECE)
        }
        ("output_cost_per_second", "audio_transcription") if priced(base) => {
            unit(Unit::AudioInputMs, PER_SECOND)
        }
        ("output_cost_per_second", "audio_transcription") => Meaning::Nothing,
        ("input_cost_per_second", "audio_transcription") if priced("output_cost_per_second") => {
            Meaning::Nothing
        }
        ("input_cost_per_second", "audio_transcription") => unit(Unit::AudioInputMs, PER_SECOND),
        ("output_cost_per_second", "audio_speech") if !by_size("output_cost_per_audio_token") => {
            unit(Unit::AudioOutputMs, PER_SECOND)
        }
        // The resolution is not in the event.
        ("output_cost_per_second" | "output_cost_per_video_per_second", "video_generation")
            if !by_size("output_cost_per_second_") && !priced("output_cost_per_video_token") =>
        {
            unit(Unit::VideoOutputMs, PER_SECOND)
        }
        _ => Meaning::Unknown,
    }
}

/// A field that is a text, or the empty one.
pub(super) fn text<'a>(fields: &'a [(String, Json)], key: &str) -> &'a str {
    fields.iter().find(|(name, _)| name == key).and_then(|(_, value)| value.text()).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(row: &str, expected: &[(&str, Meaning)]) {
        let Json::Object(fields) = Json::parse(row).unwrap() else { panic!("{row}") };
        for (key, meaning) in expected {
            assert_eq!(of(key, &fields), *meaning, "{key} of {row}");
        }
    }

    #[test]
    fn time_is_billed_once() {
        let per_hour = Meaning::Price(Charge::Unit(Unit::AudioInputMs), 3_600);
        let (input, output) = ("input_cost_per_second", "output_cost_per_second");
        check(
            r#"{"mode": "audio_transcription", "input_cost_per_second": 1e-4, "output_cost_per_second": 1e-4}"#,
            &[(input, Meaning::Nothing), (output, per_hour)],
        );
        check(
            r#"{"mode": "audio_transcription", "input_cost_per_second": 1e-4, "output_cost_per_second": 0.0}"#,
            &[(input, per_hour), (output, Meaning::Nothing)],
        );
        check(r#"{"mode": "chat", "input_cost_per_second": 1e-4}"#, &[(input, Meaning::Unknown)]);
    }

    #[test]
    fn what_depends_on_what_no_event_says_is_unknown() {
        let image = Meaning::Price(Charge::Unit(Unit::ImagesOutput), 1_000);
        check(
            r#"{"mode": "image_generation", "output_cost_per_image": 0.04}"#,
            &[("output_cost_per_image", image)],
        );
        check(
            r#"{"mode": "image_generation", "input_cost_per_image": 0.04}"#,
            &[("input_cost_per_image", image)],
        );
        for row in [
            r#"{"mode": "image_generation", "output_cost_per_image": 0.04, "output_cost_per_image_4K": 0.1}"#,
            r#"{"mode": "image_generation", "output_cost_per_image": 0.04, "output_cost_per_image_token": 1e-5}"#,
            r#"{"mode": "chat", "output_cost_per_image": 0.04}"#,
        ] {
            check(row, &[("output_cost_per_image", Meaning::Unknown)]);
        }
        check(
            r#"{"mode": "video_generation", "output_cost_per_second": 0.1, "output_cost_per_second_4k": 0.3}"#,
            &[("output_cost_per_second", Meaning::Unknown), ("output_cost_per_second_4k", Meaning::Unknown)],
        );
        check("{}", &[("supports_vision", Meaning::Nothing), ("input_cost_per_dream", Meaning::Unknown)]);
    }
}
