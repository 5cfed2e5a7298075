//! Anthropic: messages, and the completions before them. It also answers in `OpenAI`'s form, under that path.

use weir_event::RequestType;

use super::{Call, Provider, by_path};
use crate::normalize::api::ANTHROPIC;

pub(super) const PROVIDER: Provider =
    Provider { name: "anthropic", also: &[], hosts: &["api.anthropic.com"], call };

fn call(path: &str) -> Call<'_> {
    let request_type = match path.rsplit('/').next() {
        Some("messages") => RequestType::Chat,
        Some("complete") => RequestType::Completion,
        Some("count_tokens") => RequestType::Other,
        // In another's form, or about what was answered before.
        _ => return by_path(path),
    };
    Call { request_type, api: &ANTHROPIC, ..by_path(path) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::api::{CHAT, KEPT};
    use crate::normalize::testing::check_call;

    #[test]
    fn messages_are_told_from_what_is_about_them() {
        let check = |path: &str, request_type, api| check_call(&PROVIDER, path, (None, request_type, api));
        check("v1/messages", RequestType::Chat, &ANTHROPIC);
        check("v1/complete", RequestType::Completion, &ANTHROPIC);
        check("v1/messages/count_tokens", RequestType::Other, &ANTHROPIC);
        check("v1/messages/batches/msgbatch_1/results", RequestType::Other, &KEPT);
        check("v1/chat/completions", RequestType::Chat, &CHAT);
    }
}
