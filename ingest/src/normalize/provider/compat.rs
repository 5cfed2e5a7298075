//! Cloudflare's endpoint for all providers: `OpenAI`'s API, with the provider before the model's name.

use super::{Call, Chosen, Provider, by_path, by_segment, grok, perplexity};
use crate::normalize::api::{CHAT, GOOGLE_CHAT};

pub(super) const PROVIDER: Provider = Provider { name: "compat", also: &[], hosts: &[], call };

/// Who answers is not known before the model is.
fn call(path: &str) -> Call<'_> {
    Call { provider: Some("".into()), by_model: Some(by_model), ..by_path(path) }
}

/// `{provider}/{model}`. The gateway passes usage on as the provider counts it. Another name before the slash is no
/// provider's: `dynamic/…` is a route of the gateway's, and leads wherever its owner says.
fn by_model(model: &str) -> Option<Chosen<'_>> {
    let (name, model) = model.split_once('/')?;
    let provider = by_segment(name)?;
    let api = match provider.name {
        "grok" => &grok::API,
        "perplexity-ai" => &perplexity::API,
        "google-ai-studio" | "google-vertex-ai" => &GOOGLE_CHAT,
        _ => &CHAT,
    };
    let charge = (provider.call)("chat/completions").charge;
    Some(Chosen { provider: provider.name.into(), model, api: Some(api), charge })
}
