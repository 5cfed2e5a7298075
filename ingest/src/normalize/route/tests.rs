//! From a URL to who is behind it.

use super::*;

fn check(
    url: &str,
    provider: Option<&str>,
    model: Option<&str>,
    path: Option<&str>,
    kind: Option<RequestType>,
) {
    let route = Route::of(url);
    assert_eq!(
        (route.provider.as_deref(), route.model.as_deref(), route.path.as_deref(), route.request_type),
        (provider, model, path, kind),
        "{url}"
    );
    assert_eq!(route.api.is_some(), kind.is_some(), "{url}");
}

#[test]
fn malaccas_routes() {
    check(
        "http://malacca.example.com/azure-openai/malacca/deployments/gpt4o/chat/completions?api-version=2024-07-01-preview",
        Some("azure-openai"),
        Some("gpt4o"),
        Some("chat/completions"),
        Some(RequestType::Chat),
    );
    check(
        "https://m.example.com/openai/v1/embeddings",
        Some("openai"),
        None,
        Some("v1/embeddings"),
        Some(RequestType::Embedding),
    );
    check(
        "https://m.example.com/workers-ai/cf/meta/llama-3.1-8b-instruct",
        Some("workers-ai"),
        Some("@cf/meta/llama-3.1-8b-instruct"),
        Some("cf/meta/llama-3.1-8b-instruct"),
        Some(RequestType::Other),
    );
    check(
        "https://m.example.com/deepseek/chat/completions/",
        Some("deepseek"),
        None,
        Some("chat/completions"),
        Some(RequestType::Chat),
    );
}

#[test]
fn cloudflares_gateway_and_the_providers_own_hosts_are_known() {
    let chat = Some(RequestType::Chat);
    check(
        "https://gateway.ai.cloudflare.com/v1/acc/gw/openai/chat/completions",
        Some("openai"),
        None,
        Some("chat/completions"),
        chat,
    );
    check(
        "https://api.openai.com/v1/chat/completions",
        Some("openai"),
        None,
        Some("v1/chat/completions"),
        chat,
    );
    check("https://api.x.ai:443/v1/chat/completions", Some("grok"), None, Some("v1/chat/completions"), chat);
    check(
        "https://m.example.com/xai/v1/chat/completions",
        Some("grok"),
        None,
        Some("v1/chat/completions"),
        chat,
    );
}

#[test]
fn azures_deployments_stand_in_the_path() {
    let (azure, chat) = (Some("azure-openai"), Some(RequestType::Chat));
    for (url, model, path) in [
        (
            "https://r.openai.azure.com/openai/deployments/gpt4o/chat/completions?api-version=2024-10-21",
            Some("gpt4o"),
            "chat/completions",
        ),
        ("https://r.openai.azure.com/openai/v1/chat/completions", None, "v1/chat/completions"),
        ("https://r.services.ai.azure.com/models/chat/completions", None, "chat/completions"),
        (
            "https://gateway.ai.cloudflare.com/v1/acc/gw/azure-openai/r/gpt4o/chat/completions",
            Some("gpt4o"),
            "chat/completions",
        ),
        (
            "https://m.example.com/azure-openai/r/openai/deployments/gpt4o/chat/completions",
            Some("gpt4o"),
            "chat/completions",
        ),
        ("https://m.example.com/azure-openai/r/chat/completions", None, "chat/completions"),
    ] {
        check(url, azure, model, Some(path), chat);
    }
    let response = Some(RequestType::Response);
    check("https://r.openai.azure.com/openai/v1/responses", azure, None, Some("v1/responses"), response);
    check("https://r.openai.azure.com/openai/responses", azure, None, Some("responses"), response);
    let embedding = Some(RequestType::Embedding);
    check(
        "https://r.openai.azure.com/openai/deployments/ada/embeddings",
        azure,
        Some("ada"),
        Some("embeddings"),
        embedding,
    );
}

#[test]
fn hugging_faces_router_leads_to_others() {
    let chat = Some(RequestType::Chat);
    for (url, provider, model, path) in [
        (
            "https://router.huggingface.co/together/v1/chat/completions",
            "huggingface-together",
            None,
            "v1/chat/completions",
        ),
        ("https://router.huggingface.co/v1/chat/completions", "huggingface", None, "v1/chat/completions"),
        (
            "https://m.example.com/huggingface/novita/v3/openai/chat/completions",
            "huggingface-novita",
            None,
            "v3/openai/chat/completions",
        ),
        (
            "https://router.huggingface.co/hf-inference/models/meta-llama/Llama-3.1-8B-Instruct/v1/chat/completions",
            "huggingface-hf-inference",
            Some("meta-llama/Llama-3.1-8B-Instruct"),
            "models/meta-llama/Llama-3.1-8B-Instruct/v1/chat/completions",
        ),
    ] {
        check(url, Some(provider), model, Some(path), chat);
    }
    check(
        "https://gateway.ai.cloudflare.com/v1/acc/gw/huggingface/bigcode/starcoder",
        Some("huggingface"),
        Some("bigcode/starcoder"),
        Some("bigcode/starcoder"),
        Some(RequestType::Other),
    );
}

#[test]
fn the_requested_model_may_name_the_provider() {
    let check = |url: &str, requested: Option<&str>, expected: (Option<&str>, Option<&str>, &str)| {
        let (mut route, mut model) = (Route::of(url), requested.map(str::to_owned));
        route.choose(&mut model);
        let api = format!("{:?}", route.api.unwrap());
        assert_eq!(
            (route.provider.as_deref(), model.as_deref(), api.as_str()),
            expected,
            "{url} {requested:?}"
        );
    };
    let compat = "https://gateway.ai.cloudflare.com/v1/acc/gw/compat/chat/completions";
    let chat = "chat completions";
    check(compat, Some("openai/gpt-5-mini"), (Some("openai"), Some("gpt-5-mini"), chat));
    check(
        compat,
        Some("workers-ai/@cf/meta/llama-3.1-8b-instruct"),
        (Some("workers-ai"), Some("@cf/meta/llama-3.1-8b-instruct"), chat),
    );
    check(
        compat,
        Some("google-ai-studio/gemini-2.5-flash"),
        (Some("google-ai-studio"), Some("gemini-2.5-flash"), "Google's chat completions"),
    );
    check(compat, Some("grok/grok-4"), (Some("grok"), Some("grok-4"), "xAI's chat completions"));
    check(compat, Some("dynamic/my-route"), (None, Some("dynamic/my-route"), chat));
    check(compat, Some("gpt-4o"), (None, Some("gpt-4o"), chat));
    check(compat, None, (None, None, chat));
    let router = "https://router.huggingface.co/v1/chat/completions";
    check(
        router,
        Some("openai/gpt-oss-120b:cerebras"),
        (Some("huggingface-cerebras"), Some("openai/gpt-oss-120b"), chat),
    );
    check(
        router,
        Some("openai/gpt-oss-120b:fastest"),
        (Some("huggingface"), Some("openai/gpt-oss-120b"), chat),
    );
    check(router, Some("openai/gpt-oss-120b"), (Some("huggingface"), Some("openai/gpt-oss-120b"), chat));
    let openrouter = "https://openrouter.ai/api/v1/chat/completions";
    check(openrouter, Some("qwen/qwen3:free"), (Some("openrouter"), Some("qwen/qwen3:free"), chat));
    let grok = "https://api.x.ai/v1/chat/completions";
    check(grok, Some("grok-4"), (Some("grok"), Some("grok-4"), "xAI's chat completions"));
}

#[test]
fn the_end_of_a_path_tells_the_api() {
    for (path, kind, api) in [
        ("v1/chat/completions", RequestType::Chat, "chat completions"),
        ("v1/fim/completions", RequestType::Completion, "chat completions"),
        ("v1/agents/completions", RequestType::Chat, "chat completions"),
        ("v1/completions", RequestType::Completion, "chat completions"),
        ("v1/responses", RequestType::Response, "responses"),
        ("v1/responses/compact", RequestType::Response, "responses"),
        ("v1/embeddings", RequestType::Embedding, "embeddings"),
        ("v1/multimodalembeddings", RequestType::Embedding, "embeddings"),
        ("v1/rerank", RequestType::Other, "embeddings"),
        ("v1/images/generations", RequestType::Image, "images"),
        ("v1/images/edits", RequestType::Image, "images"),
        ("v1/audio/transcriptions", RequestType::Audio, "transcription"),
        ("v1/audio/translations", RequestType::Audio, "transcription"),
        ("v1/audio/speech", RequestType::Audio, "speech"),
        ("v1/ocr", RequestType::Other, "document reading"),
        ("v1/moderations", RequestType::Other, "chat completions"),
        // What is kept of earlier calls is not counted again.
        ("v1/responses/resp_1", RequestType::Other, "what is kept"),
        ("v1/responses/resp_1/input_items", RequestType::Other, "what is kept"),
        ("v1/chat/completions/chatcmpl-1", RequestType::Other, "what is kept"),
        ("v1/threads/t_1/runs/run_1", RequestType::Other, "what is kept"),
    ] {
        let route = Route::of_call("openai", path);
        assert_eq!(
            (route.request_type, format!("{:?}", route.api.unwrap()).as_str()),
            (Some(kind), api),
            "{path}"
        );
    }
}

#[test]
fn hosts_that_name_a_region_are_known() {
    let provider = |url: &str| Route::of(url).provider;
    for (url, expected) in [
        (
            "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/google/models/m:generateContent",
            "google-vertex-ai",
        ),
        (
            "https://aiplatform.googleapis.com/v1/publishers/google/models/m:generateContent",
            "google-vertex-ai",
        ),
        (
            "https://aiplatform.eu.rep.googleapis.com/v1/publishers/google/models/m:generateContent",
            "google-vertex-ai",
        ),
        ("https://bedrock-runtime.eu-west-1.amazonaws.com/model/m/converse", "aws-bedrock"),
        ("https://m.example.com/aws-bedrock/bedrock-runtime/us-east-1/model/m/converse", "aws-bedrock"),
        ("https://api.cloudflare.com/client/v4/accounts/a/ai/run/@cf/meta/m", "workers-ai"),
    ] {
        assert_eq!(provider(url).as_deref(), Some(expected), "{url}");
    }
    assert_eq!(provider("https://s3.eu-west-1.amazonaws.com/model/m/converse"), None);
}

#[test]
fn any_service_that_speaks_openais_api_has_the_routes_name() {
    let chat = Some(RequestType::Chat);
    check(
        "https://m.example.com/my-vllm/v1/chat/completions",
        Some("my-vllm"),
        None,
        Some("v1/chat/completions"),
        chat,
    );
    check("https://llm.example.com/v1/chat/completions", None, None, Some("v1/chat/completions"), chat);
}

#[test]
fn what_leads_nowhere_has_no_route() {
    for url in [
        "",
        "https://m.example.com",
        "https://m.example.com/",
        "/favicon.ico",
        "https://m.example.com/openaix/v1",
        "not a url",
        "https://gateway.ai.cloudflare.com/v1/acc",
    ] {
        check(url, None, None, None, None);
    }
}

#[test]
fn a_route_without_a_path_is_still_the_providers() {
    check("https://m.example.com/openai", Some("openai"), None, None, Some(RequestType::Other));
    check(
        "https://m.example.com/azure-openai/x/y?z",
        Some("azure-openai"),
        None,
        Some("x/y"),
        Some(RequestType::Other),
    );
}

#[test]
fn a_gateway_may_name_provider_and_path_itself() {
    let route = Route::of_call("openai", "/v1/chat/completions?x=1");
    assert_eq!(
        (route.provider.as_deref(), route.path.as_deref()),
        (Some("openai"), Some("v1/chat/completions"))
    );
    let route = Route::of_call("custom-thing", "chat/completions");
    assert_eq!(
        (route.provider.as_deref(), route.request_type),
        (Some("custom-thing"), Some(RequestType::Chat))
    );
    assert_eq!(Route::of_call("", "").provider, None);
}
