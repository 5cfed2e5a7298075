//! Cloudflare Workers AI: the model is the path, unless the path is one of `OpenAI`'s.

use weir_event::RequestType;

use super::{Call, Provider, by_path, percent_decoded};
use crate::normalize::api::WORKERS_AI;

pub(super) const PROVIDER: Provider =
    Provider { name: "workers-ai", also: &[], hosts: &["api.cloudflare.com"], call };

/// `@cf/{maker}/{model}`, which malacca's routes have without the `@`; behind `…/ai/run/` at Cloudflare's own host.
/// Compatible calls are behind `…/ai/`.
fn call(path: &str) -> Call<'_> {
    let path = path.rsplit_once("/ai/").map_or(path, |(_, rest)| rest);
    let name = percent_decoded(path.strip_prefix("run/").unwrap_or(path));
    let name = name.trim_start_matches('@');
    if !name.starts_with("cf/") && !name.starts_with("hf/") {
        return by_path(path);
    }
    let model = Some(format!("@{name}").into());
    Call { model, request_type: request_type(name), api: &WORKERS_AI, ..by_path(path) }
}

/// What a model is for, as far as the names of its kind say it. What a text model was asked stands in the body.
fn request_type(model: &str) -> RequestType {
    let is_any = |words: &[&str]| words.iter().any(|word| model.contains(word));
    if is_any(&["/bge-m3", "/bge-small", "/bge-base", "/bge-large", "embedding"]) {
        RequestType::Embedding
    } else if is_any(&["whisper", "melotts", "/aura-", "/nova-3"]) {
        RequestType::Audio
    } else if is_any(&["stable-diffusion", "/flux-", "dreamshaper", "/lucid-origin", "/phoenix-"]) {
        RequestType::Image
    } else {
        RequestType::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::api::CHAT;
    use crate::normalize::testing::check_call;

    #[test]
    fn the_model_is_the_path() {
        let check = |path: &str, model: Option<&str>, request_type, api| {
            check_call(&PROVIDER, path, (model, request_type, api));
        };
        let llama = Some("@cf/meta/llama-3.1-8b-instruct");
        for path in [
            "cf/meta/llama-3.1-8b-instruct",
            "@cf/meta/llama-3.1-8b-instruct",
            "%40cf/meta/llama-3.1-8b-instruct",
            "run/@cf/meta/llama-3.1-8b-instruct",
            "client/v4/accounts/acc/ai/run/@cf/meta/llama-3.1-8b-instruct",
        ] {
            check(path, llama, RequestType::Other, &WORKERS_AI);
        }
        check("@cf/baai/bge-m3", Some("@cf/baai/bge-m3"), RequestType::Embedding, &WORKERS_AI);
        check("@cf/openai/whisper", Some("@cf/openai/whisper"), RequestType::Audio, &WORKERS_AI);
        let flux = Some("@cf/black-forest-labs/flux-1-schnell");
        check("@cf/black-forest-labs/flux-1-schnell", flux, RequestType::Image, &WORKERS_AI);
        check("client/v4/accounts/acc/ai/v1/chat/completions", None, RequestType::Chat, &CHAT);
        check("v1/embeddings", None, RequestType::Embedding, by_path("v1/embeddings").api);
    }
}
