//! The APIs that providers answer in: one file each, with how its answers report what was used.
//!
//! Reading is split in two. [`Api::read`] takes the members of one JSON text of an answer (the whole of it, or one
//! chunk of a stream) and tells the [`Answer`] what they say. [`Api::usage`] takes the usage object that stood at the
//! end of that apart into disjoint buckets. What all APIs share (framing, ids, errors, cut bodies) is in `answer`.

mod anthropic;
mod audio;
mod bedrock;
mod chat;
mod cohere;
mod embeddings;
mod gemini;
mod google_chat;
mod images;
mod ocr;
mod perplexity;
mod replicate;
mod responses;
mod usage;
mod vertex_predict;
mod workers_ai;
mod xai;

use super::answer::{Answer, Members};
pub(super) use anthropic::ANTHROPIC;
pub(super) use audio::{SPEECH, TRANSCRIPTION};
pub(super) use bedrock::BEDROCK;
pub(super) use chat::CHAT;
pub(super) use cohere::COHERE;
pub(super) use embeddings::EMBEDDINGS;
pub(super) use gemini::GEMINI;
pub(super) use google_chat::GOOGLE_CHAT;
pub(super) use images::IMAGES;
pub(super) use ocr::OCR;
pub(super) use perplexity::PERPLEXITY_CHAT;
pub(super) use replicate::REPLICATE;
pub(super) use responses::RESPONSES;
pub(super) use usage::{Count, Usage, UsageError};
pub(super) use vertex_predict::VERTEX_PREDICT;
pub(super) use workers_ai::WORKERS_AI;
pub(super) use xai::XAI_CHAT;

/// How the answers of an API are read.
pub(super) struct Api {
    /// What it is called, for people.
    pub(super) name: &'static str,
    /// Takes the members of an answer, or of a chunk of it.
    pub(super) read: fn(&Members<'_>, &mut Answer),
    /// Takes a usage object apart.
    pub(super) usage: fn(&str) -> Result<Usage, UsageError>,
}

/// What a service keeps of earlier calls: it has their usage, which was counted when they were made.
pub(super) static KEPT: Api = Api {
    name: "what is kept",
    read: |members, answer| answer.identify(members),
    usage: |_| Ok(Usage::default()),
};

/// Every one of them.
#[cfg(any(test, fuzzing))]
pub(super) const ALL: &[&Api] = &[
    &ANTHROPIC,
    &BEDROCK,
    &CHAT,
    &COHERE,
    &EMBEDDINGS,
    &GEMINI,
    &GOOGLE_CHAT,
    &IMAGES,
    &KEPT,
    &OCR,
    &PERPLEXITY_CHAT,
    &REPLICATE,
    &RESPONSES,
    &SPEECH,
    &TRANSCRIPTION,
    &VERTEX_PREDICT,
    &WORKERS_AI,
    &XAI_CHAT,
];

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// There is one of each.
impl PartialEq for Api {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

#[cfg(test)]
mod tests;
