//! The providers that gateways route to: one file each where it has rules of its own, and one line in [`PROVIDERS`].
//!
//! A provider says where in a path the model stands and which API its answers are in. Names are Cloudflare's where it
//! has one, since dashboards and filters know them by it.

mod anthropic;
mod azure_openai;
mod bedrock;
mod cohere;
mod compat;
mod compatible;
mod google;
mod grok;
mod huggingface;
mod openrouter;
mod perplexity;
mod replicate;
mod workers_ai;

use std::borrow::Cow;

use serde_json::value::RawValue;
use weir_event::{RequestType, Usd};

use super::api::Api;
pub(super) use compatible::{any_provider, by_path};

/// A provider, and how it is called.
pub(super) struct Provider {
    /// Its name.
    pub(super) name: &'static str,
    /// Other first segments of a gateway's path that lead to it.
    pub(super) also: &'static [&'static str],
    /// The hosts of its own API; a `*` stands for anything.
    pub(super) hosts: &'static [&'static str],
    /// Reads the path behind the provider's segment, without leading slash and query.
    pub(super) call: for<'p> fn(&'p str) -> Call<'p>,
}

/// What a provider's path says.
pub(super) struct Call<'p> {
    /// The provider, where the path leads to another one than its route (a router's own).
    pub(super) provider: Option<Cow<'p, str>>,
    /// The model, or deployment, where the path names one.
    pub(super) model: Option<Cow<'p, str>>,
    /// The path as the provider's documentation has it.
    pub(super) path: &'p str,
    /// What was asked.
    pub(super) request_type: RequestType,
    /// How the answer is read.
    pub(super) api: &'static Api,
    /// What the requested model says, where it names the provider too.
    pub(super) by_model: Option<ByModel>,
    /// What the provider charged, where it states that in its usage object.
    pub(super) charge: Option<Charge>,
}

/// From the name of a requested model to the provider that it names.
pub(super) type ByModel = for<'m> fn(&'m str) -> Option<Chosen<'m>>;
/// From a usage object to the charge that it states.
pub(super) type Charge = fn(&str) -> Option<Usd>;

/// A provider that was chosen by the requested model.
pub(super) struct Chosen<'m> {
    /// The provider.
    pub(super) provider: Cow<'m, str>,
    /// The model, without the provider.
    pub(super) model: &'m str,
    /// How the answer is read, where the provider changes that.
    pub(super) api: Option<&'static Api>,
    /// What the provider charged, where it states that in its usage object.
    pub(super) charge: Option<Charge>,
}

/// A provider whose calls are told by the end of their path alone.
const fn compatible(
    name: &'static str,
    also: &'static [&'static str],
    hosts: &'static [&'static str],
) -> Provider {
    Provider { name, also, hosts, call: by_path }
}

/// Every provider that has a name.
pub(super) const PROVIDERS: &[Provider] = &[
    anthropic::PROVIDER,
    bedrock::PROVIDER,
    azure_openai::PROVIDER,
    compatible("cerebras", &["cerebras-ai"], &["api.cerebras.ai"]),
    cohere::PROVIDER,
    compat::PROVIDER,
    compatible("databricks", &[], &["*.cloud.databricks.com", "*.azuredatabricks.net"]),
    compatible("deepseek", &[], &["api.deepseek.com"]),
    compatible("fireworks", &["fireworks-ai"], &["api.fireworks.ai"]),
    compatible("github-copilot", &[], &["api.githubcopilot.com"]),
    google::AI_STUDIO,
    google::VERTEX_AI,
    grok::PROVIDER,
    compatible("groq", &[], &["api.groq.com"]),
    huggingface::PROVIDER,
    compatible("minimax", &[], &["api.minimax.io", "api.minimaxi.com"]),
    compatible("mistral", &["mistralai"], &["api.mistral.ai", "codestral.mistral.ai"]),
    compatible("moonshotai", &["moonshot"], &["api.moonshot.ai", "api.moonshot.cn"]),
    compatible("novita", &["novita-ai"], &["api.novita.ai"]),
    compatible("openai", &[], &["api.openai.com", "*.api.openai.com"]),
    openrouter::PROVIDER,
    perplexity::PROVIDER,
    replicate::PROVIDER,
    compatible("together", &["together-ai", "togetherai"], &["api.together.xyz", "api.together.ai"]),
    compatible("voyage", &["voyageai"], &["api.voyageai.com"]),
    workers_ai::PROVIDER,
    compatible("zai", &["z-ai"], &["api.z.ai"]),
    compatible("zhipuai", &["bigmodel"], &["open.bigmodel.cn"]),
];

/// The provider that a gateway's path leads to by its first segment.
pub(super) fn by_segment(segment: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == segment || provider.also.contains(&segment))
}

/// The provider whose own API a host serves.
pub(super) fn by_host(host: &str) -> Option<&'static Provider> {
    let serves = |known: &str| match known.split_once('*') {
        Some((start, end)) => host.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
        None => host == known,
    };
    PROVIDERS.iter().find(|provider| provider.hosts.iter().any(|known| serves(known)))
}

/// A charge that a provider states as a number of US dollars, as floats print it. Rounded at the 18th decimal, beyond
/// which there is only the noise of the float; less than nothing is no charge.
fn amount(number: &RawValue) -> Option<Usd> {
    Usd::rounded_from_json_number(number.get()).ok().filter(|amount| *amount >= Usd::ZERO)
}

/// A part of a path without its percent signs.
fn percent_decoded(part: &str) -> Cow<'_, str> {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_to_two_providers() {
        let mut names: Vec<_> =
            PROVIDERS.iter().flat_map(|provider| provider.also.iter().chain([&provider.name])).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
