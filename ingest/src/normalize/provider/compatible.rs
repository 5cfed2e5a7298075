//! Calls as most services have them: what is asked, and in which API it is answered, is told by the end of the path.

use weir_event::RequestType;

use super::Call;
use crate::normalize::api::{self, Api};

/// Ends of paths, the longer before the shorter.
const ENDS: &[(&str, RequestType, &Api)] = &[
    ("chat/completions", RequestType::Chat, &api::CHAT),
    ("completions", RequestType::Completion, &api::CHAT),
    ("responses", RequestType::Response, &api::CHAT),
    ("embeddings", RequestType::Embedding, &api::CHAT),
];

/// What the end of a path says; [`RequestType::Other`] where it says nothing.
pub(in crate::normalize) fn by_path(path: &str) -> Call<'_> {
    let (request_type, api) = known_end(path).unwrap_or((other(path), &api::CHAT));
    Call { provider: None, model: None, path, request_type, api }
}

/// A service that nobody registered, but that is called as others are: its name is the route's, if the path has one.
pub(in crate::normalize) fn any_provider(path: &str) -> Option<(Option<String>, Call<'_>)> {
    known_end(path)?;
    let (first, rest) = path.split_once('/')?;
    let is_version = |segment: &str| {
        segment
            .strip_prefix('v')
            .is_some_and(|number| number.starts_with(|digit: char| digit.is_ascii_digit()))
    };
    let is_name = !is_version(first) && known_end(rest).is_some() && first != "api";
    Some(if is_name { (Some(first.to_owned()), by_path(rest)) } else { (None, by_path(path)) })
}

fn known_end(path: &str) -> Option<(RequestType, &'static Api)> {
    let ends = |end: &str| path.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
    ENDS.iter().find(|(end, _, _)| ends(end)).map(|(_, request_type, api)| (*request_type, *api))
}

fn other(path: &str) -> RequestType {
    if path.contains("images/") {
        RequestType::Image
    } else if path.contains("audio/") {
        RequestType::Audio
    } else {
        RequestType::Other
    }
}
