//! Perplexity: bills reasoning, citations and searches on top of the completion, and states what it charged.

use super::{Call, Provider, by_path};
use crate::normalize::api;

pub(super) const PROVIDER: Provider =
    Provider { name: "perplexity-ai", also: &["perplexity"], hosts: &["api.perplexity.ai"], call };
/// How its chats are read.
pub(super) use api::PERPLEXITY_CHAT as API;

fn call(path: &str) -> Call<'_> {
    let call = by_path(path);
    let api = if *call.api == api::CHAT { &API } else { call.api };
    Call { api, ..call }
}
