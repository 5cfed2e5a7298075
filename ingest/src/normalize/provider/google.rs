//! Google, through AI Studio and through Vertex AI: the path ends in `{model}:{method}`.
//!
//! Vertex AI also serves the models of others (`publishers/{publisher}`), who answer in their own APIs; both have
//! endpoints that speak `OpenAI`'s.

use std::borrow::Cow;

use weir_event::RequestType;

use super::{Call, Provider, by_path, percent_decoded};
use crate::normalize::api::{ANTHROPIC, Api, CHAT, GEMINI, GOOGLE_CHAT, VERTEX_PREDICT};

pub(super) const AI_STUDIO: Provider = Provider {
    name: "google-ai-studio",
    also: &["gemini"],
    hosts: &["generativelanguage.googleapis.com"],
    call,
};

pub(super) const VERTEX_AI: Provider = Provider {
    name: "google-vertex-ai",
    also: &["vertex-ai"],
    hosts: &["aiplatform.googleapis.com", "*-aiplatform.googleapis.com", "aiplatform.*.rep.googleapis.com"],
    call,
};

fn call(path: &str) -> Call<'_> {
    let (resource, last) = path.rsplit_once('/').unwrap_or(("", path));
    let (model, method) = match percent_decoded(last) {
        Cow::Borrowed(last) => {
            last.split_once(':').map(|(model, method)| (Cow::Borrowed(model), Cow::Borrowed(method)))
        }
        Cow::Owned(last) => {
            last.split_once(':').map(|(model, method)| (model.to_owned().into(), method.to_owned().into()))
        }
    }
    .unwrap_or_default();
    if method.is_empty() {
        let call = by_path(path);
        let api = if *call.api == CHAT { &GOOGLE_CHAT } else { call.api };
        return Call { api, ..call };
    }
    let (request_type, api) =
        match resource.split_once("publishers/").and_then(|(_, rest)| rest.split('/').next()) {
            Some("anthropic") if model == "count-tokens" => (RequestType::Other, &ANTHROPIC),
            Some("anthropic") => (RequestType::Chat, &ANTHROPIC),
            None | Some("google") => by_method(&method, &model),
            Some(_) => (RequestType::Chat, &CHAT),
        };
    Call { model: Some(model), request_type, api, ..by_path(path) }
}

fn by_method(method: &str, model: &str) -> (RequestType, &'static Api) {
    match method {
        "generateContent" | "streamGenerateContent" => (RequestType::Chat, &GEMINI),
        "embedContent" | "batchEmbedContents" => (RequestType::Embedding, &GEMINI),
        "predict" if model.contains("embedding") => (RequestType::Embedding, &VERTEX_PREDICT),
        "predict" if model.starts_with("image") => (RequestType::Image, &VERTEX_PREDICT),
        "predict" => (RequestType::Other, &VERTEX_PREDICT),
        // Counting tokens, long-running operations, caches.
        _ => (RequestType::Other, &GEMINI),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::testing::check_call;

    #[test]
    fn ai_studio_names_model_and_method() {
        let check = |path: &str, model: Option<&str>, request_type, api| {
            check_call(&AI_STUDIO, path, (model, request_type, api));
        };
        let flash = Some("gemini-3-flash-preview");
        check("v1beta/models/gemini-3-flash-preview:generateContent", flash, RequestType::Chat, &GEMINI);
        check("v1/models/gemini-3-flash-preview%3AstreamGenerateContent", flash, RequestType::Chat, &GEMINI);
        check("v1beta/models/gemini-3-flash-preview:countTokens", flash, RequestType::Other, &GEMINI);
        let embedding = Some("gemini-embedding-001");
        check(
            "v1beta/models/gemini-embedding-001:batchEmbedContents",
            embedding,
            RequestType::Embedding,
            &GEMINI,
        );
        let imagen = Some("imagen-4.0-generate-001");
        check("v1beta/models/imagen-4.0-generate-001:predict", imagen, RequestType::Image, &VERTEX_PREDICT);
        check("v1beta/openai/chat/completions", None, RequestType::Chat, &GOOGLE_CHAT);
        check("v1beta/models", None, RequestType::Other, &GOOGLE_CHAT);
    }

    #[test]
    fn vertex_ai_serves_the_models_of_others_in_their_own_apis() {
        let check = |rest: &str, model: Option<&str>, request_type, api| {
            let path = format!("v1/projects/p-1/locations/europe-west4/{rest}");
            check_call(&VERTEX_AI, &path, (model, request_type, api));
        };
        let flash = Some("gemini-2.5-flash");
        check(
            "publishers/google/models/gemini-2.5-flash:streamGenerateContent",
            flash,
            RequestType::Chat,
            &GEMINI,
        );
        check("endpoints/1234:generateContent", Some("1234"), RequestType::Chat, &GEMINI);
        let sonnet = Some("claude-sonnet-4-5@20250929");
        for path in [
            "publishers/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict",
            "publishers/anthropic/models/claude-sonnet-4-5%4020250929:rawPredict",
        ] {
            check(path, sonnet, RequestType::Chat, &ANTHROPIC);
        }
        let count = Some("count-tokens");
        check("publishers/anthropic/models/count-tokens:rawPredict", count, RequestType::Other, &ANTHROPIC);
        let mistral = Some("mistral-medium-3");
        check(
            "publishers/mistralai/models/mistral-medium-3:streamRawPredict",
            mistral,
            RequestType::Chat,
            &CHAT,
        );
        let text = Some("text-embedding-005");
        check(
            "publishers/google/models/text-embedding-005:predict",
            text,
            RequestType::Embedding,
            &VERTEX_PREDICT,
        );
        check("endpoints/openapi/chat/completions", None, RequestType::Chat, &GOOGLE_CHAT);
    }
}
