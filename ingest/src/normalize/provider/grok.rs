//! xAI: adds reasoning to the completion in chats, and states what it charged.

use super::{Call, Provider, by_path};
use crate::normalize::api::{self, Api};

pub(super) const PROVIDER: Provider =
    Provider { name: "grok", also: &["xai", "x-ai"], hosts: &["api.x.ai", ".api.x.ai"], call };
/// How its chats are read.
pub(super) use api::XAI_CHAT as API;

fn call(path: &str) -> Call<'_> {
    let call = by_path(path);
    Call { api: api_of(call.api), ..call }
}

fn api_of(api: &'static Api) -> &'static Api {
    if *api == api::CHAT { &API } else { api }
}
