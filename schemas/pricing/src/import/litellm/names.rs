//! Which rows are of providers that requests are routed to, and what their APIs call the models.

/// How a provider's rows are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    /// The source's name of the provider.
    source: &'static str,
    /// Which rows win where several are for one model: the lowest.
    pub(super) precedence: u8,
    /// Ours.
    pub(super) provider: &'static str,
    /// What stands before the model's own name.
    prefix: &'static str,
    /// Whether rows without the prefix name classes of models by size, and not models.
    prefix_required: bool,
    /// Whether a name with a slash is a model in a region, of which the API's own name says nothing.
    slash_is_region: bool,
}

const fn route(source: &'static str, provider: &'static str, prefix: &'static str) -> Route {
    Route { source, precedence: 0, provider, prefix, prefix_required: false, slash_is_region: false }
}

const fn second(route: Route) -> Route {
    Route { precedence: 1, ..route }
}

const fn regional(route: Route) -> Route {
    Route { slash_is_region: true, ..route }
}

const fn prefixed(route: Route) -> Route {
    Route { prefix_required: true, ..route }
}

const ROUTES: &[Route] = &[
    route("anthropic", "anthropic", "anthropic/"),
    regional(route("azure", "azure-openai", "azure/")),
    // Models of others, and some of OpenAI's at another price.
    second(regional(route("azure_ai", "azure-openai", "azure_ai/"))),
    regional(route("azure_text", "azure-openai", "azure/")),
    route("baseten", "baseten", "baseten/"),
    regional(route("bedrock", "aws-bedrock", "bedrock/")),
    regional(route("bedrock_converse", "aws-bedrock", "bedrock/")),
    second(regional(route("bedrock_mantle", "aws-bedrock", "bedrock_mantle/"))),
    route("bigmodel", "zhipuai", "bigmodel/"),
    route("cerebras", "cerebras", "cerebras/"),
    route("cloudflare", "workers-ai", "cloudflare/"),
    route("codestral", "mistral", "codestral/"),
    route("cohere", "cohere", "cohere/"),
    route("cohere_chat", "cohere", "cohere/"),
    route("dashscope", "dashscope", "dashscope/"),
    route("databricks", "databricks", "databricks/"),
    route("deepgram", "deepgram", "deepgram/"),
    route("deepseek", "deepseek", "deepseek/"),
    route("elevenlabs", "elevenlabs", "elevenlabs/"),
    route("fal_ai", "fal", "fal_ai/"),
    prefixed(route("fireworks_ai", "fireworks", "fireworks_ai/")),
    prefixed(route("fireworks_ai-embedding-models", "fireworks", "fireworks_ai/")),
    route("gemini", "google-ai-studio", "gemini/"),
    route("github_copilot", "github-copilot", "github_copilot/"),
    route("groq", "groq", "groq/"),
    route("minimax", "minimax", "minimax/"),
    route("mistral", "mistral", "mistral/"),
    route("moonshot", "moonshotai", "moonshot/"),
    route("novita", "novita", "novita/"),
    route("openai", "openai", "openai/"),
    route("openrouter", "openrouter", "openrouter/"),
    route("perplexity", "perplexity-ai", "perplexity/"),
    route("replicate", "replicate", "replicate/"),
    route("text-completion-codestral", "mistral", "text-completion-codestral/"),
    route("text-completion-openai", "openai", "openai/"),
    prefixed(route("together_ai", "together", "together_ai/")),
    route("volcengine", "volcengine", "volcengine/"),
    route("voyage", "voyage", "voyage/"),
    route("xai", "grok", "xai/"),
    route("zai", "zai", "zai/"),
];

/// Vertex has a name per family of models: `vertex_ai-anthropic_models`.
const VERTEX: Route = route("vertex_ai", "google-vertex-ai", "vertex_ai/");

impl Route {
    pub(super) fn of(source: &str) -> Option<Self> {
        let known = ROUTES.iter().find(|route| route.source == source);
        let vertex =
            source.strip_prefix(VERTEX.source).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        known.copied().or_else(|| vertex.then_some(VERTEX))
    }

    /// Whether a row's key has what stands before the model's own name.
    pub(super) fn is_prefixed(&self, key: &str) -> bool {
        key.starts_with(self.prefix)
    }

    /// The model's name as the provider's API has it, in lower case; or why there is none.
    pub(super) fn model_name(&self, key: &str) -> Result<String, &'static str> {
        let name = match key.strip_prefix(self.prefix) {
            Some(name) => name,
            None if self.prefix_required => return Err("a class of models by size, not a model"),
            None => key,
        };
        let is_size = |part: &str| {
            let parts = part.split_once("-x-");
            part.ends_with("-steps")
                || parts.is_some_and(|(x, y)| [x, y].iter().all(|side| *side == "max" || is_number(side)))
        };
        if name.split('/').any(is_size) {
            return Err("an image's size or quality in the name, which no API's name has");
        }
        if self.slash_is_region && name.contains('/') {
            return Err("a region, deployment type or commitment in the name, which no API's name has");
        }
        Ok(name.to_lowercase())
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_apis() {
        let check = |source: &str, key: &str, expected: Result<&str, &str>| {
            let route = Route::of(source).unwrap();
            let name = route.model_name(key);
            assert_eq!(name.as_deref().map_err(|reason| &reason[..8]), expected, "{source} {key}");
        };
        check("gemini", "gemini/gemini-2.5-pro", Ok("gemini-2.5-pro"));
        check("vertex_ai-llama_models", "vertex_ai/meta/llama3-8b", Ok("meta/llama3-8b"));
        check("cloudflare", "cloudflare/@cf/meta/llama-2", Ok("@cf/meta/llama-2"));
        check("openai", "gpt-4o", Ok("gpt-4o"));
        check("together_ai", "together_ai/Qwen/Qwen3", Ok("qwen/qwen3"));
        check("together_ai", "together-ai-4.1b-8b", Err("a class "));
        check("bedrock", "us.anthropic.claude-v2:1", Ok("us.anthropic.claude-v2:1"));
        check("bedrock", "bedrock/us-east-1/anthropic.claude-v2:1", Err("a region"));
        check("azure", "azure/eu/gpt-4o", Err("a region"));
        check("azure", "azure/gpt-4o", Ok("gpt-4o"));
        check("openai", "low/1024-x-1024/gpt-image-1", Err("an image"));
        check("bedrock", "512-x-512/max-steps/stability.sd-v0", Err("an image"));
        assert!(Route::of("vertex_ai_beta").is_none());
        assert!(Route::of("aihubmix").is_none());
    }
}
