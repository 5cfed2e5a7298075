//! Cloudflare Workers AI: the model is the path.

use super::{Call, Provider, by_path};

pub(super) const PROVIDER: Provider = Provider { name: "workers-ai", also: &[], hosts: &[], call };

/// `@cf/{maker}/{model}`; malacca's routes leave the `@` out.
fn call(path: &str) -> Call<'_> {
    let name = path.trim_start_matches('@');
    let model = (!name.is_empty()).then(|| format!("@{name}").into());
    Call { model, ..by_path(path) }
}
