//! Azure `OpenAI`: the deployment stands in the path, and may have any name.

use super::{Call, Provider, by_path};

pub(super) const PROVIDER: Provider = Provider { name: "azure-openai", also: &["azure"], hosts: &[], call };

/// `{resource}/deployments/{deployment}/{path}`, as gateways have it.
fn call(path: &str) -> Call<'_> {
    let mut parts = path.splitn(4, '/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(_resource), Some("deployments"), Some(deployment), path) => {
            Call { model: Some(deployment.into()), ..by_path(path.unwrap_or("")) }
        }
        // Another of Azure's paths.
        _ => by_path(path),
    }
}
