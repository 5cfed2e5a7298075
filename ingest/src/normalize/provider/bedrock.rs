//! AWS Bedrock: `model/{id}/{operation}`, which gateways have behind `bedrock-runtime/{region}`.
//!
//! An id may be a name, a name with the region that serves it (`us.`, `eu.`, `global.`), or an ARN.

use std::borrow::Cow;

use weir_event::RequestType;

use super::{Call, Provider, by_path, percent_decoded};
use crate::normalize::api::BEDROCK;

pub(super) const PROVIDER: Provider = Provider {
    name: "aws-bedrock",
    also: &["bedrock"],
    hosts: &["bedrock-runtime.*.amazonaws.com", "bedrock-runtime-fips.*.amazonaws.com"],
    call,
};

fn call(path: &str) -> Call<'_> {
    let path = match path.strip_prefix("bedrock-runtime/") {
        Some(rest) => rest.split_once('/').map_or("", |(_region, path)| path),
        None => path,
    };
    let Some((id, operation)) = path.strip_prefix("model/").and_then(|rest| rest.rsplit_once('/')) else {
        return by_path(path);
    };
    let model = model(percent_decoded(id));
    let request_type = match operation {
        "converse" | "converse-stream" => RequestType::Chat,
        "invoke" | "invoke-with-response-stream" => invoked(&model),
        // Counting tokens.
        _ => RequestType::Other,
    };
    Call { model: Some(model), request_type, api: &BEDROCK, ..by_path(path) }
}

fn invoked(model: &str) -> RequestType {
    if model.contains("embed") {
        RequestType::Embedding
    } else if ["stability.", "titan-image", "nova-canvas"].iter().any(|word| model.contains(word)) {
        RequestType::Image
    } else if model.contains("rerank") {
        RequestType::Other
    } else {
        RequestType::Chat
    }
}

/// The name that an ARN has for a model that anybody can call. Of one that is the caller's own the kind stays with it:
/// it may stand for any model.
fn model(id: Cow<'_, str>) -> Cow<'_, str> {
    let Some(resource) = id.strip_prefix("arn:").and_then(|arn| arn.splitn(5, ':').nth(4)) else {
        return id;
    };
    match resource.split_once('/') {
        Some(("foundation-model" | "inference-profile", name)) => name.to_owned().into(),
        _ => resource.to_owned().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::api::CHAT;
    use crate::normalize::testing::check_call;

    #[test]
    fn a_model_has_many_kinds_of_id() {
        let check = |id: &str, model: &str| {
            let expected = (Some(model), RequestType::Chat, &BEDROCK);
            check_call(&PROVIDER, &format!("model/{id}/converse"), expected);
            let path = format!("bedrock-runtime/us-east-1/model/{id}/invoke-with-response-stream");
            check_call(&PROVIDER, &path, expected);
        };
        check("amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0");
        check(
            "us.anthropic.claude-sonnet-4-5-20250929-v1%3A0",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        );
        let arn = "arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3A";
        check(&format!("{arn}inference-profile%2Feu.amazon.nova-lite-v1%3A0"), "eu.amazon.nova-lite-v1:0");
        check("arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0");
        check(
            &format!("{arn}application-inference-profile%2Fabc123"),
            "application-inference-profile/abc123",
        );
    }

    #[test]
    fn what_was_asked_is_told_by_the_operation_and_the_model() {
        let check = |path: &str, model: Option<&str>, request_type, api| {
            check_call(&PROVIDER, path, (model, request_type, api));
        };
        let titan = "amazon.titan-embed-text-v2:0";
        check("model/amazon.titan-embed-text-v2:0/invoke", Some(titan), RequestType::Embedding, &BEDROCK);
        let canvas = "amazon.nova-canvas-v1:0";
        check("model/amazon.nova-canvas-v1:0/invoke", Some(canvas), RequestType::Image, &BEDROCK);
        let haiku = "anthropic.claude-haiku-4-5";
        check("model/anthropic.claude-haiku-4-5/count-tokens", Some(haiku), RequestType::Other, &BEDROCK);
        check("openai/v1/chat/completions", None, RequestType::Chat, &CHAT);
        check("bedrock-runtime/us-east-1", None, RequestType::Other, &CHAT);
    }
}
