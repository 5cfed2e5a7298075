//! From the URL that the gateway was called with to the provider behind it.

use weir_event::RequestType;

/// What the URL of a request says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) provider: Option<&'static str>,
    /// The model, or deployment, where the path names one.
    pub(super) model: Option<String>,
    /// The provider's path, without a leading slash and without the query.
    pub(super) path: Option<String>,
    pub(super) request_type: Option<RequestType>,
}

/// The providers that gateways route to by the first segment of the path, under Cloudflare's names.
const PROVIDERS: &[&str] = &[
    "anthropic",
    "aws-bedrock",
    "azure-openai",
    "cerebras",
    "cohere",
    "deepseek",
    "google-ai-studio",
    "google-vertex-ai",
    "grok",
    "groq",
    "huggingface",
    "mistral",
    "openai",
    "openrouter",
    "perplexity-ai",
    "replicate",
    "workers-ai",
];

impl Route {
    /// Reads a URL. One that leads to no known provider has no route: it may be a health check or a stray visitor.
    pub(super) fn of(url: &str) -> Self {
        let path = path_of(url);
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let Some(provider) = PROVIDERS.iter().copied().find(|provider| *provider == first) else {
            return Self::default();
        };
        let (model, path) = match provider {
            "azure-openai" => azure_deployment(rest),
            "workers-ai" => (Some(format!("@{}", rest.trim_start_matches('@'))), rest),
            // Every other provider names the model in the body.
            _ => (None, rest),
        };
        Self {
            provider: Some(provider),
            model: model.filter(|model| !model.is_empty() && model != "@"),
            path: (!path.is_empty()).then(|| path.to_owned()),
            request_type: Some(request_type(path)),
        }
    }
}

/// `{resource}/deployments/{deployment}/{path}`.
fn azure_deployment(rest: &str) -> (Option<String>, &str) {
    let mut parts = rest.splitn(4, '/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(_resource), Some("deployments"), Some(deployment), path) => {
            (Some(deployment.to_owned()), path.unwrap_or(""))
        }
        // Another of Azure's paths.
        _ => (None, rest),
    }
}

/// The path of a URL without its leading and trailing slash, query and fragment.
fn path_of(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = after_scheme.split_once('/').map_or("", |(_host, path)| path);
    let end = path.find(['?', '#']).unwrap_or(path.len());
    path[..end].trim_matches('/')
}

fn request_type(path: &str) -> RequestType {
    let ends = |suffix: &str| path == suffix || path.ends_with(&format!("/{suffix}"));
    if ends("chat/completions") {
        RequestType::Chat
    } else if ends("completions") {
        RequestType::Completion
    } else if ends("responses") {
        RequestType::Response
    } else if ends("embeddings") {
        RequestType::Embedding
    } else if path.contains("images/") {
        RequestType::Image
    } else if path.contains("audio/") {
        RequestType::Audio
    } else {
        RequestType::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        url: &str,
        provider: Option<&'static str>,
        model: Option<&str>,
        path: Option<&str>,
        kind: Option<RequestType>,
    ) {
        let expected = Route {
            provider,
            model: model.map(str::to_owned),
            path: path.map(str::to_owned),
            request_type: kind,
        };
        assert_eq!(Route::of(url), expected, "{url}");
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
    fn what_leads_nowhere_has_no_route() {
        for url in [
            "",
            "https://m.example.com",
            "https://m.example.com/",
            "/favicon.ico",
            "https://m.example.com/openaix/v1",
            "not a url",
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
}
