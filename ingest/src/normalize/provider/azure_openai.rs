//! Azure `OpenAI`: the deployment stands in the path, and may have any name.

use super::compatible::{before_end, is_version};
use super::{Call, Provider, by_path};

pub(super) const PROVIDER: Provider = Provider {
    name: "azure-openai",
    also: &["azure"],
    hosts: &["*.openai.azure.com", "*.cognitiveservices.azure.com", "*.services.ai.azure.com"],
    call,
};

/// `openai/deployments/{deployment}/{path}` or `openai/{path}` at its own hosts. Gateways have `{resource}/` before it
/// and may leave out `openai/`; Cloudflare's leaves out `deployments/` too.
fn call(path: &str) -> Call<'_> {
    let resource_s = || path.split_once('/').map(|(_resource, rest)| rest);
    let Some(rest) = path.strip_prefix("openai/").or_else(resource_s) else {
        return by_path(path);
    };
    let rest = rest.strip_prefix("openai/").unwrap_or(rest);
    if let Some(deployed) = rest.strip_prefix("deployments/") {
        let (deployment, path) = deployed.split_once('/').unwrap_or((deployed, ""));
        return Call { model: Some(deployment.into()), ..by_path(path) };
    }
    match before_end(rest) {
        Some("") => by_path(rest),
        Some(version) if is_version(version) => by_path(rest),
        Some(deployment) if !deployment.contains('/') => {
            Call { model: Some(deployment.into()), ..by_path(&rest[deployment.len() + 1..]) }
        }
        // Another of Azure's paths.
        _ => by_path(path),
    }
}
