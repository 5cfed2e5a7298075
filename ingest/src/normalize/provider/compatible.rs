//! Calls as most services have them: what is asked, and in which API it is answered, is told by the end of the path.

use weir_event::RequestType;

use super::Call;
use crate::normalize::api::{self, Api};

/// Ends of paths, the longer before the shorter.
const ENDS: &[(&str, RequestType, &Api)] = &[
    ("chat/completions", RequestType::Chat, &api::CHAT),
    ("agents/completions", RequestType::Chat, &api::CHAT),
    ("completions", RequestType::Completion, &api::CHAT),
    ("responses", RequestType::Response, &api::RESPONSES),
    ("responses/compact", RequestType::Response, &api::RESPONSES),
    ("v1/messages", RequestType::Chat, &api::ANTHROPIC),
    ("embeddings", RequestType::Embedding, &api::EMBEDDINGS),
    ("multimodalembeddings", RequestType::Embedding, &api::EMBEDDINGS),
    ("contextualizedembeddings", RequestType::Embedding, &api::EMBEDDINGS),
    ("images/generations", RequestType::Image, &api::IMAGES),
    ("images/edits", RequestType::Image, &api::IMAGES),
    ("images/variations", RequestType::Image, &api::IMAGES),
    ("audio/transcriptions", RequestType::Audio, &api::TRANSCRIPTION),
    ("audio/translations", RequestType::Audio, &api::TRANSCRIPTION),
    ("audio/speech", RequestType::Audio, &api::SPEECH),
    ("rerank", RequestType::Other, &api::EMBEDDINGS),
    ("ocr", RequestType::Other, &api::OCR),
];
/// What a service keeps of earlier calls, usage and all: reading it again must not count it again.
const KEPT: [&str; 4] = ["responses", "completions", "threads", "batches"];

/// What the end of a path says; [`RequestType::Other`] where it says nothing.
pub(in crate::normalize) fn by_path(path: &str) -> Call<'_> {
    let (request_type, api) = match known_end(path) {
        Some(known) => (known.request_type, known.api),
        None if is_kept(path) => (RequestType::Other, &api::KEPT),
        None => (other(path), &api::CHAT),
    };
    Call { provider: None, model: None, path, request_type, api, by_model: None, charge: None }
}

/// A service that nobody registered, but that is called as others are: its name is the route's, if the path has one.
pub(in crate::normalize) fn any_provider(path: &str) -> Option<(Option<String>, Call<'_>)> {
    // Words that say little do not make a stranger's path a call.
    let calls = |path: &str| known_end(path).is_some_and(|known| known.request_type != RequestType::Other);
    if !calls(path) {
        return None;
    }
    let (first, rest) = path.split_once('/')?;
    let is_name = !is_version(first) && calls(rest) && first != "api";
    Some(if is_name { (Some(first.to_owned()), by_path(rest)) } else { (None, by_path(path)) })
}

/// Whether a segment of a path is a version: `v1`, `v1beta`.
pub(super) fn is_version(segment: &str) -> bool {
    let number = segment.strip_prefix('v');
    number.is_some_and(|number| number.starts_with(|digit: char| digit.is_ascii_digit()))
}

/// What stands before the known end of a path, without the slash between; `None` where the end is not known.
pub(super) fn before_end(path: &str) -> Option<&str> {
    known_end(path).map(|known| known.before)
}

struct KnownEnd<'p> {
    before: &'p str,
    request_type: RequestType,
    api: &'static Api,
}

fn known_end(path: &str) -> Option<KnownEnd<'_>> {
    ENDS.iter().find_map(|(end, request_type, api)| {
        let before = path.strip_suffix(end)?;
        let before = if before.is_empty() { before } else { before.strip_suffix('/')? };
        Some(KnownEnd { before, request_type: *request_type, api })
    })
}

fn is_kept(path: &str) -> bool {
    path.rsplit('/').skip(1).any(|segment| KEPT.contains(&segment))
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
