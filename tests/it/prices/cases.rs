//! Usages at moments: what is asked of both sides.

use serde_json::{Value, json};
use weir_event::{Timestamp, TokenBucket as Bucket, Tokens, Unit, Units};
use weir_pricing::Billable;

use super::models::{Model, source_of};

/// A Friday noon, when no peak price is in force.
const NOON: &str = "2026-11-20T12:00:00.000Z";

/// What is counted in a request.
type Usage = (&'static [(Bucket, u64)], &'static [(Unit, u64)]);

const PLAIN: Usage = (&[(Bucket::UncachedInput, 1_234), (Bucket::TextOutput, 567)], &[]);
const CACHED: Usage = (
    &[
        (Bucket::UncachedInput, 999),
        (Bucket::CacheRead, 5_003),
        (Bucket::CacheWrite5m, 2_001),
        (Bucket::CacheWrite1h, 3_007),
        (Bucket::TextOutput, 101),
        (Bucket::Reasoning, 47),
    ],
    &[],
);

/// Every kind of thing that is billed, alone and with others.
const USAGES: &[Usage] = &[
    PLAIN,
    CACHED,
    (&[(Bucket::UncachedInput, 7), (Bucket::TextOutput, 0)], &[]),
    (
        &[
            (Bucket::UncachedInput, 103),
            (Bucket::AudioInput, 307),
            (Bucket::CacheReadAudio, 53),
            (Bucket::TextOutput, 11),
            (Bucket::AudioOutput, 211),
        ],
        &[],
    ),
    (
        &[
            (Bucket::UncachedInput, 3),
            (Bucket::CacheRead, 13),
            (Bucket::ImageInput, 709),
            (Bucket::CacheReadImage, 61),
            (Bucket::VideoInput, 83),
            (Bucket::TextOutput, 17),
            (Bucket::ImageOutput, 97),
        ],
        &[],
    ),
    (&[(Bucket::UncachedInput, 19), (Bucket::VideoOutput, 71), (Bucket::TextOutput, 23)], &[]),
    (
        &[
            (Bucket::UncachedInput, 67),
            (Bucket::TextOutput, 59),
            (Bucket::Reasoning, 43),
            (Bucket::Citation, 37),
        ],
        &[],
    ),
    (
        &[(Bucket::UncachedInput, 29), (Bucket::TextOutput, 31)],
        &[
            (Unit::WebSearches, 3),
            (Unit::FileSearches, 2),
            (Unit::CodeExecutions, 5),
            (Unit::RerankSearches, 7),
        ],
    ),
    (&[], &[(Unit::InputCharacters, 12_345)]),
    (&[], &[(Unit::AudioInputMs, 61_503)]),
    (&[], &[(Unit::AudioInputMs, 4_001)]),
    (&[], &[(Unit::AudioInputMs, 30_001), (Unit::AudioOutputMs, 20_003)]),
    (&[], &[(Unit::InputPages, 7), (Unit::AnnotatedPages, 2)]),
];

/// Names that mean something only by way of another provider, of a date that is written otherwise, or of nothing at all.
const NAMES: &[(&str, &str, Option<&str>)] = &[
    ("azure-openai", "gpt-4o-2024-08-06", None),
    ("azure-openai", "claude-sonnet-4-5", None),
    ("azure-openai", "grok-4.3", None),
    ("azure-openai", "gpt-4.1", Some("batch")),
    ("google-vertex-ai", "claude-opus-4-5@20251101", None),
    ("google-vertex-ai", "gemini-2.5-pro", None),
    ("openai", "gpt-5.2-20251211", None),
    ("openai", "GPT-4o", None),
    ("openai", "gpt-4.1", Some("default")),
    ("google-ai-studio", "gemini-2.5-pro-preview-tts", None),
    ("google-ai-studio", "gemma-3-27b-it", None),
    ("github-copilot", "gpt-4.1", None),
    ("openai", "omni-moderation-latest", None),
];

/// A question to both sides.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) provider: String,
    pub(super) source: String,
    pub(super) model: String,
    pub(super) at: Timestamp,
    pub(super) tier: Option<String>,
    pub(super) tokens: Tokens,
    pub(super) units: Units,
}

pub(super) fn all(models: &[Model]) -> Vec<Case> {
    let mut cases: Vec<Case> = models.iter().flat_map(of_model).collect();
    for (provider, model, tier) in NAMES {
        let case = Case::new((provider, &source_of(provider), model), &PLAIN, NOON.parse().unwrap());
        cases.push(Case { tier: tier.map(str::to_owned), ..case });
    }
    cases
}

fn of_model(model: &Model) -> Vec<Case> {
    let name = (model.provider.as_str(), model.source.as_str(), model.name.as_str());
    let noon: Timestamp = NOON.parse().unwrap();
    let usages = || USAGES.iter().filter(|usage| is_worth_asking(model, usage));
    let mut cases: Vec<Case> = usages().map(|usage| Case::new(name, usage, noon)).collect();
    let days = model.days.iter().map(|day| format!("{day}T00:00:00.000Z"));
    let times = model.times.iter().map(|time| format!("2026-11-20T{time}:00.000Z"));
    for moment in days.chain(times) {
        let moment: Timestamp = moment.parse().unwrap();
        for at in [moment, just_before(moment)] {
            cases.extend([PLAIN, CACHED].map(|usage| Case::new(name, &usage, at)));
        }
    }
    for bound in &model.bounds {
        cases.extend([bound - 1, *bound, bound + 1].map(|size| Case::of_size(name, size, noon)));
    }
    for (tier, from) in &model.tiers {
        let moments = from.as_ref().map(|day| format!("{day}T00:00:00.000Z").parse().unwrap());
        let moments = moments.into_iter().flat_map(|first| [first, just_before(first)]).chain([noon]);
        for at in moments {
            let inputs = model.bounds.iter().flat_map(|bound| [*bound, bound + 1]);
            let sized = inputs.map(|size| Case::of_size(name, size, at));
            let at_any_size = usages().map(|usage| Case::new(name, usage, at)).chain(sized);
            cases.extend(at_any_size.map(|case| Case { tier: Some(tier.clone()), ..case }));
        }
    }
    cases
}

/// Units alone, which most models have no price for, are asked of some of those, too.
fn is_worth_asking(model: &Model, (tokens, units): &Usage) -> bool {
    let is_sample = model.name.ends_with('7');
    let is_priced = || units.iter().any(|(unit, _)| model.charges.iter().any(|word| word == unit.as_str()));
    !tokens.is_empty() || is_sample || is_priced()
}

fn just_before(moment: Timestamp) -> Timestamp {
    Timestamp::from_millis(moment.millis() - 1).unwrap()
}

impl Case {
    fn new((provider, source, model): (&str, &str, &str), usage: &Usage, at: Timestamp) -> Self {
        let (mut tokens, mut units) = (Tokens::default(), Units::default());
        for (bucket, count) in usage.0 {
            tokens.set(*bucket, *count).unwrap();
        }
        for (unit, count) in usage.1 {
            units.set(*unit, *count).unwrap();
        }
        let [provider, source, model] = [provider, source, model].map(str::to_owned);
        Self { provider, source, model, at, tier: None, tokens, units }
    }

    /// So many input tokens in all, some of them cached.
    fn of_size(name: (&str, &str, &str), size: u64, at: Timestamp) -> Self {
        let mut case = Self::new(name, &CACHED, at);
        let rest = case.tokens.total_in().unwrap() - case.tokens.get(Bucket::UncachedInput).unwrap();
        case.tokens.set(Bucket::UncachedInput, size - rest).unwrap();
        case
    }

    pub(super) fn billable(&self) -> Billable<'_> {
        Billable {
            provider: Some(&self.provider),
            model: Some(&self.model),
            model_requested: None,
            created_at: self.at,
            tokens: &self.tokens,
            units: &self.units,
            service_tier: self.tier.as_deref(),
            cached: false,
            provided_cost: None,
            custom_cost: None,
        }
    }

    /// How many things were counted.
    pub(super) fn count(&self) -> u64 {
        let tokens: u64 = self.tokens.iter().map(|(_, count)| count).sum();
        tokens + self.units.iter().map(|(_, count)| count).sum::<u64>()
    }

    /// As the other side asks: its counts overlap, so that each kind is part of the wider ones.
    pub(super) fn to_json(&self) -> Value {
        let of = |buckets: &[Bucket]| -> u64 {
            buckets.iter().map(|bucket| self.tokens.get(*bucket).unwrap_or(0)).sum()
        };
        let unit = |units: &[Unit]| -> u64 { units.iter().map(|unit| self.units.get(*unit)).sum() };
        let seconds = |ms: u64| format!("{}.{:03}", ms / 1_000, ms % 1_000);
        let read_ms = unit(&[Unit::AudioInputMs]);
        let spoken_ms = unit(&[Unit::AudioOutputMs]);
        let counts = [
            ("input_tokens", self.tokens.total_in().unwrap_or(0)),
            ("output_tokens", self.tokens.total_out().unwrap_or(0)),
            ("cache_read_tokens", of(&[Bucket::CacheRead, Bucket::CacheReadAudio, Bucket::CacheReadImage])),
            ("cache_write_tokens", of(&[Bucket::CacheWrite5m, Bucket::CacheWrite1h])),
            ("cache_write_1h_tokens", of(&[Bucket::CacheWrite1h])),
            ("input_audio_tokens", of(&[Bucket::AudioInput, Bucket::CacheReadAudio])),
            ("cache_audio_read_tokens", of(&[Bucket::CacheReadAudio])),
            ("input_image_tokens", of(&[Bucket::ImageInput, Bucket::CacheReadImage])),
            ("cache_image_read_tokens", of(&[Bucket::CacheReadImage])),
            ("input_video_tokens", of(&[Bucket::VideoInput])),
            ("output_reasoning_tokens", of(&[Bucket::Reasoning])),
            ("output_audio_tokens", of(&[Bucket::AudioOutput])),
            ("output_image_tokens", of(&[Bucket::ImageOutput])),
            ("output_video_tokens", of(&[Bucket::VideoOutput])),
            ("output_citation_tokens", of(&[Bucket::Citation])),
            ("web_searches", unit(&[Unit::WebSearches])),
            ("storage_searches", unit(&[Unit::FileSearches])),
            ("code_executions", unit(&[Unit::CodeExecutions])),
            ("rerank_searches", unit(&[Unit::RerankSearches])),
            ("input_characters", unit(&[Unit::InputCharacters])),
            ("input_document_pages", unit(&[Unit::InputPages, Unit::AnnotatedPages])),
            ("input_annotated_document_pages", unit(&[Unit::AnnotatedPages])),
        ]
        .map(|(name, count)| (name, count, count.to_string()));
        let durations = [
            ("audio_seconds", read_ms + spoken_ms),
            ("input_audio_seconds", read_ms),
            ("output_audio_seconds", spoken_ms),
        ]
        .map(|(name, ms)| (name, ms, seconds(ms)));
        let counted = counts.into_iter().chain(durations).filter(|(_, count, _)| *count > 0);
        let usage: serde_json::Map<String, Value> =
            counted.map(|(name, _, text)| (name.to_owned(), Value::String(text))).collect();
        let context = match self.tier.as_deref() {
            Some("batch") => json!({"processing": "batch"}),
            // The source has the word in two places.
            Some("fast") => json!({"service_tier": "fast", "speed": "fast"}),
            Some(tier) => json!({ "service_tier": tier }),
            None => json!({}),
        };
        let (provider, model) = (&self.source, &self.model);
        json!({
            "provider": provider,
            "model": model,
            "at": self.at.to_string(),
            "usage": usage,
            "context": context,
        })
    }
}
