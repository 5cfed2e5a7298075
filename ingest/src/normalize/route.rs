//! From the URL that the gateway was called with to the provider behind it, and how its answers are read.

use weir_event::RequestType;

use super::api::Api;
use super::provider::{self, ByModel, Call, Charge};

/// What the URL of a request says.
#[derive(Clone, Debug, Default)]
pub(super) struct Route {
    pub(super) provider: Option<String>,
    /// The model, or deployment, where the path names one.
    pub(super) model: Option<String>,
    /// The provider's path, without a leading slash and without the query.
    pub(super) path: Option<String>,
    pub(super) request_type: Option<RequestType>,
    /// How its answers are read.
    pub(super) api: Option<&'static Api>,
    /// What the provider charged, where it states that in its usage object.
    pub(super) charge: Option<Charge>,
    by_model: Option<ByModel>,
}

impl Route {
    /// Reads a URL. One that leads to no known provider, and does not look like a call of a model either, has no route:
    /// it may be a health check or a stray visitor.
    pub(super) fn of(url: &str) -> Self {
        let (host, path) = host_and_path(url);
        let path = without_gateway(host, path);
        // At a provider's own host the first segment may be the name of another (`openai/` at Azure).
        if let Some(provider) = provider::by_host(host) {
            return Self::to(provider.name, (provider.call)(path));
        }
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        if let Some(provider) = provider::by_segment(first) {
            return Self::to(provider.name, (provider.call)(rest));
        }
        match provider::any_provider(path) {
            Some((name, call)) => Self { provider: name, ..Self::to("", call) },
            None => Self::default(),
        }
    }

    /// What a gateway that names the provider and the path itself says.
    pub(super) fn of_call(provider_name: &str, path: &str) -> Self {
        let path = path_of(path);
        let known = provider::by_segment(provider_name);
        let call = known.map_or_else(|| provider::by_path(path), |provider| (provider.call)(path));
        let name = known.map_or(provider_name, |provider| provider.name);
        Self { provider: (!name.is_empty()).then(|| name.to_owned()), ..Self::to("", call) }
    }

    /// Takes the provider out of the name of the requested model, where the route leaves it to that.
    pub(super) fn choose(&mut self, requested: &mut Option<String>) {
        let Some(chosen) = self.by_model.zip(requested.as_deref()).and_then(|(choose, model)| choose(model))
        else {
            return;
        };
        self.provider = Some(chosen.provider.into_owned());
        self.api = chosen.api.or(self.api);
        self.charge = chosen.charge.or(self.charge);
        let model = chosen.model.to_owned();
        *requested = Some(model).filter(|model| !model.is_empty());
    }

    fn to(provider: &str, call: Call<'_>) -> Self {
        Self {
            provider: Some(call.provider.map_or_else(|| provider.to_owned(), Into::into))
                .filter(|name| !name.is_empty()),
            model: call.model.filter(|model| !model.is_empty()).map(Into::into),
            path: (!call.path.is_empty()).then(|| call.path.to_owned()),
            request_type: Some(call.request_type),
            api: Some(call.api),
            charge: call.charge,
            by_model: call.by_model,
        }
    }
}

/// Cloudflare's own gateway has `v1/{account}/{gateway}` before the provider.
fn without_gateway<'u>(host: &str, path: &'u str) -> &'u str {
    const CLOUDFLARE: &str = "gateway.ai.cloudflare.com";
    if host != CLOUDFLARE {
        return path;
    }
    path.splitn(4, '/').nth(3).unwrap_or("")
}

/// The host of a URL without its port, and its path without leading and trailing slash, query and fragment.
fn host_and_path(url: &str) -> (&str, &str) {
    let (host, path) = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/').unwrap_or((rest, "")),
        None => url.split_once('/').unwrap_or(("", "")),
    };
    (host.split(':').next().unwrap_or(host), path_of(path))
}

fn path_of(path: &str) -> &str {
    let end = path.find(['?', '#']).unwrap_or(path.len());
    path[..end].trim_matches('/')
}

#[cfg(test)]
mod tests;
