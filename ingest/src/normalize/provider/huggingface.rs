//! Hugging Face's router: the inference provider that it leads to is who ran the model, and whose prices apply.

use std::borrow::Cow;

use super::compatible::before_end;
use super::{Call, Chosen, Provider, by_path};

pub(super) const PROVIDER: Provider = Provider {
    name: "huggingface",
    also: &["hf"],
    hosts: &["router.huggingface.co", "api-inference.huggingface.co"],
    call,
};

/// Whom it leads to, by the names that its paths have.
const PROVIDERS: &[&str] = &[
    "baseten",
    "black-forest-labs",
    "cerebras",
    "clarifai",
    "cohere",
    "deepinfra",
    "fal-ai",
    "featherless-ai",
    "fireworks-ai",
    "groq",
    "hf-inference",
    "hyperbolic",
    "nebius",
    "novita",
    "nscale",
    "openai",
    "ovhcloud",
    "publicai",
    "replicate",
    "sambanova",
    "scaleway",
    "together",
    "wavespeed",
    "zai-org",
];
/// What may stand where a provider does, and leaves the choice to the router.
const POLICIES: [&str; 3] = ["fastest", "cheapest", "preferred"];

/// `{provider}/{path}`, `v1/{path}` with the provider perhaps behind the model's name, or the model as the path.
fn call(path: &str) -> Call<'_> {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    if PROVIDERS.contains(&first) {
        return Call { provider: Some(routed(first)), model: model(rest), ..by_path(rest) };
    }
    Call { model: model(path), by_model: Some(by_model), ..by_path(path) }
}

/// `{maker}/{model}`, perhaps with `models/` before it, and a path behind it.
fn model(path: &str) -> Option<Cow<'_, str>> {
    let name = match path.strip_prefix("models/") {
        Some(behind) => behind,
        None if before_end(path).is_none() => path,
        None => return None,
    };
    let (maker, rest) = name.split_once('/')?;
    let end = maker.len() + 1 + rest.find('/').unwrap_or(rest.len());
    Some(name[..end].into())
}

/// `{model}:{provider}`.
fn by_model(model: &str) -> Option<Chosen<'_>> {
    let (model, choice) = model.rsplit_once(':')?;
    let provider = if POLICIES.contains(&choice) { PROVIDER.name.into() } else { routed(choice) };
    Some(Chosen { provider, model, api: None, charge: None })
}

fn routed(provider: &str) -> Cow<'_, str> {
    format!("huggingface-{provider}").into()
}
