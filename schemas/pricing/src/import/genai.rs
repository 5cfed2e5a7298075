//! `pydantic/genai-prices`: providers with models; per model a rule for its names, prices by date and hour of day, and
//! variants of them by what a request asked for.
//!
//! Its rules, as the package's own `types.py` has them: the first model whose rule matches wins; of several prices the
//! last one in force does, and the first one where none is; of several variants the first one in force that names a
//! charge does; a tier applies to the whole request when its whole input is more than the tier's start.

mod matching;
mod prices;
mod variants;

use weir_event::Unit;

use super::draft::{DraftFile, DraftModel, Pattern};
use super::json::Json;
use super::{ImportError, Report};
use crate::Charge;

/// Keys of a provider that say nothing about prices. Usage is read by Weir's own decoders.
const PROVIDER_KEYS_IGNORED: &[&str] = &[
    "name",
    "pricing_urls",
    "api_pattern",
    "description",
    "price_comments",
    "model_match",
    "provider_match",
    "extractors",
];
/// Keys of a model that say nothing about prices.
const MODEL_KEYS_IGNORED: &[&str] =
    &["name", "description", "context_window", "price_comments", "deprecated"];

/// Weir's names of providers, where they are not the source's.
const NAMES: &[(&str, &str)] = &[
    ("aws", "aws-bedrock"),
    ("azure", "azure-openai"),
    ("cloudflare", "workers-ai"),
    ("google", "google-ai-studio"),
    ("perplexity", "perplexity-ai"),
    ("voyageai", "voyage"),
    ("x-ai", "grok"),
];

/// Providers of ours that sell at the prices of another one: the source has one entry for both.
const ALSO: &[(&str, &str)] = &[("google-ai-studio", "google-vertex-ai")];

pub(super) fn convert(json: &Json, report: &mut Report) -> Result<Vec<DraftFile>, ImportError> {
    let providers = json.get("providers").unwrap_or(json);
    let convert = |provider| convert_provider(provider, report);
    let mut files: Vec<DraftFile> =
        providers.list("providers")?.iter().map(convert).collect::<Result<_, _>>()?;
    // A provider's fallback is its own: one that sells at another's prices needs a file to say so.
    let falling_back = files.iter().filter(|file| !file.fallback.is_empty());
    let alike = falling_back.flat_map(|file| {
        let fallback = file.fallback.clone();
        file.also.iter().map(move |also| DraftFile {
            provider: also.clone(),
            fallback: fallback.clone(),
            ..DraftFile::default()
        })
    });
    files.extend(alike.collect::<Vec<_>>());
    Ok(files)
}

fn convert_provider(json: &Json, report: &mut Report) -> Result<DraftFile, ImportError> {
    let id = text(json, "id", "provider")?;
    let provider = provider_name(id);
    let also = ALSO.iter().filter(|(name, _)| *name == provider).map(|(_, also)| (*also).to_owned());
    let mut file = DraftFile { also: also.collect(), provider, ..DraftFile::default() };
    for (key, value) in json.object(id)? {
        match key.as_str() {
            "id" => {}
            "fallback_model_providers" => {
                let names = value.list(key)?.iter().filter_map(Json::text);
                file.fallback = names.map(provider_name).collect();
            }
            "models" => {
                for model in value.list(&format!("{id}.models"))? {
                    file.models.extend(convert_model(id, model, report)?);
                }
            }
            key if PROVIDER_KEYS_IGNORED.contains(&key) => {}
            unknown => report.not_understood(format!("provider.{unknown}"), id),
        }
    }
    Ok(file)
}

/// What the package's code knows and its data does not say: Groq bills at least 10 seconds of a transcription.
fn minimum(provider: &str, model: &str) -> Option<(Charge, u64)> {
    const GROQ_MS_MIN: u64 = 10_000;
    let is_groqs = provider == "groq" && ["whisper-large-v3", "whisper-large-v3-turbo"].contains(&model);
    is_groqs.then_some((Charge::Unit(Unit::AudioInputMs), GROQ_MS_MIN))
}

fn convert_model(
    provider: &str,
    json: &Json,
    report: &mut Report,
) -> Result<Option<DraftModel>, ImportError> {
    let id = text(json, "id", provider)?;
    let path = format!("{provider}/{id}");
    let mut model = DraftModel { id: id.to_owned(), minimum: minimum(provider, id), ..DraftModel::default() };
    let (mut standard, mut variants) = (None, None);
    for (key, value) in json.object(&path)? {
        match key.as_str() {
            "id" => {}
            "match" => {
                let Some(rule) = matching::convert(value) else {
                    report.leave_out("the rule for its names has no like in a price file", path);
                    return Ok(None);
                };
                (model.patterns, model.except) = (rule.patterns, rule.except);
            }
            "prices" => standard = Some(value),
            "price_variants" => variants = Some(value),
            key if MODEL_KEYS_IGNORED.contains(&key) => {}
            unknown => report.not_understood(format!("model.{unknown}"), &path),
        }
    }
    let missing = |expected| ImportError::Shape { path: path.clone(), expected };
    let standard = standard.ok_or_else(|| missing("a model with prices"))?;
    let list = prices::standard(standard, &path, report)?;
    if list.iter().all(|price| price.charges.is_empty()) {
        if !id.ends_with(":free") {
            report.leave_out("no price is given", path);
            return Ok(None);
        }
        model.comments.push("Free, as its name says.".to_owned());
        model.prices.push(prices::free());
        return Ok(Some(model));
    }
    if list.iter().any(|price| price.charges.is_empty()) {
        report.leave_out("some of its prices are empty", path);
        return Ok(None);
    }
    let variants = variants.map(|json| variants::convert(json, &path, report)).transpose()?;
    model.prices = prices::with_implied(list, variants.unwrap_or_default());
    Ok(Some(model))
}

fn text<'a>(json: &'a Json, key: &str, path: &str) -> Result<&'a str, ImportError> {
    let shape = || ImportError::Shape { path: format!("{path}.{key}"), expected: "a text" };
    json.get(key).and_then(Json::text).ok_or_else(shape)
}

fn provider_name(id: &str) -> String {
    let renamed = NAMES.iter().find(|(name, _)| *name == id).map(|(_, ours)| (*ours).to_owned());
    renamed.unwrap_or_else(|| id.replace("huggingface_", "huggingface-"))
}

/// A rule for names, in the parts that a price file has.
struct Rule {
    patterns: Vec<Pattern>,
    except: Vec<Pattern>,
}
