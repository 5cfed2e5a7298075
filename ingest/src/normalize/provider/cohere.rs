//! Cohere: chat, embeddings and reranking in its own API. It also answers in `OpenAI`'s form, under that path.

use weir_event::RequestType;

use super::{Call, Provider, by_path};
use crate::normalize::api::COHERE;

pub(super) const PROVIDER: Provider =
    Provider { name: "cohere", also: &[], hosts: &["api.cohere.com", "api.cohere.ai"], call };

fn call(path: &str) -> Call<'_> {
    if path.contains("compatibility/") || path.ends_with("completions") {
        return by_path(path);
    }
    let request_type = match path.rsplit('/').next() {
        Some("chat") => RequestType::Chat,
        Some("generate") => RequestType::Completion,
        Some("embed") => RequestType::Embedding,
        // Reranking, classification, tokens.
        _ => RequestType::Other,
    };
    Call { request_type, api: &COHERE, ..by_path(path) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::api::CHAT;
    use crate::normalize::testing::check_call;

    #[test]
    fn both_versions_and_the_compatible_form() {
        let check = |path: &str, request_type, api| check_call(&PROVIDER, path, (None, request_type, api));
        check("v2/chat", RequestType::Chat, &COHERE);
        check("v1/chat", RequestType::Chat, &COHERE);
        check("v1/generate", RequestType::Completion, &COHERE);
        check("v2/embed", RequestType::Embedding, &COHERE);
        check("v2/rerank", RequestType::Other, &COHERE);
        check("compatibility/v1/chat/completions", RequestType::Chat, &CHAT);
    }
}
