//! Records of a plausible size: a prompt of some hundred words and an answer of about a hundred, each different.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use harness::traffic::{gzip, now_ms};
use serde_json::json;

const WORDS: &[&str] = &[
    "anchor",
    "bay",
    "cargo",
    "delta",
    "ebb",
    "ferry",
    "gale",
    "harbour",
    "inlet",
    "jetty",
    "keel",
    "lagoon",
    "mast",
    "narrows",
    "oar",
    "pier",
    "quay",
    "reef",
    "sail",
    "tide",
    "upstream",
    "vessel",
    "weir",
    "yard",
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "what",
    "how",
    "when",
    "why",
    "please",
    "explain",
    "list",
    "compare",
    "summarise",
    "translate",
];

/// What one round pushes.
pub(crate) struct Round {
    /// NDJSON, per batch.
    pub(crate) batches: Vec<String>,
    /// The same, as Logpush sends it.
    pub(crate) gzip: Vec<Vec<u8>>,
}

/// A generator of numbers that looks random enough and is the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).unwrap()
    }

    fn text(&mut self, words_min: usize, words_max: usize) -> String {
        let count = words_min + self.next(words_max - words_min);
        let words: Vec<_> = (0..count).map(|_| WORDS[self.next(WORDS.len())]).collect();
        words.join(" ")
    }
}

impl Round {
    pub(crate) fn make(number: u64, batches: usize, records: usize) -> Self {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ (number + 1));
        let at = now_ms();
        let mut ray = number << 32;
        let mut batch = || {
            let mut text = String::new();
            for _ in 0..records {
                ray += 1;
                text.push_str(&record(&mut numbers, ray, at));
                text.push('\n');
            }
            text
        };
        let batches: Vec<_> = (0..batches).map(|_| batch()).collect();
        let gzip = batches.iter().map(|batch| gzip(batch)).collect();
        Self { batches, gzip }
    }
}

/// The size of a text under `gzip -6`.
pub(crate) fn gzip_best(text: &str) -> usize {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap().len()
}

fn record(numbers: &mut Numbers, ray: u64, at: i64) -> String {
    let request = json!({ "request_body": {
        "model": "gpt-4o", "temperature": 0.7,
        "messages": [
            { "role": "system", "content": numbers.text(20, 60) },
            { "role": "user", "content": numbers.text(40, 400) },
        ],
    } });
    let (prompt, completion) = (50 + numbers.next(2_000), 10 + numbers.next(400));
    let answer = json!({
        "id": format!("chatcmpl-{ray:024x}"), "object": "chat.completion", "model": "gpt-4o-2024-08-06",
        "choices": [{ "index": 0, "finish_reason": "stop",
            "message": { "role": "assistant", "content": numbers.text(40, 200) } }],
        "usage": { "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
            "prompt_tokens_details": { "cached_tokens": 0 } },
    });
    let response = json!({ "response_body": answer.to_string() });
    let started_at = at - i64::try_from(numbers.next(60_000)).unwrap();
    json!({
        "EventTimestampMs": started_at, "EventType": "fetch",
        "Event": { "RayID": format!("{ray:016x}"),
            "Request": { "URL": "https://m.example.com/openai/v1/chat/completions", "Method": "POST" },
            "Response": { "Status": 200 } },
        "Logs": [
            { "Level": "log", "Message": [request.to_string()], "TimestampMs": started_at + 2 },
            { "Level": "log", "Message": [response.to_string()], "TimestampMs": started_at + 1_900 },
        ],
        "Exceptions": [], "Outcome": "ok", "ScriptName": "malacca", "ScriptTags": [], "WallTimeMs": 1_902,
    })
    .to_string()
}
