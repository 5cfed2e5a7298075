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
