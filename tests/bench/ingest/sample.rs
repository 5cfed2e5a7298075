//! Records like those of real traffic: some applications, each with a system prompt of its own that comes with every
//! request, and conversations that are sent anew with every turn. Words are as unevenly distributed as in a language, so
//! that a text packs about as well as prose does.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use harness::traffic::{gzip, now_ms};
use serde_json::{Value, json};

const WORDS: usize = 8_192;
const APPLICATIONS: usize = 40;
/// Conversations that go on at the same time.
const CONVERSATIONS: usize = 200;
const TURNS_MAX: usize = 6;
const SYLLABLES: [&str; 40] = [
    "an", "chor", "bay", "car", "go", "del", "ta", "ebb", "fer", "ry", "gale", "har", "bour", "in", "let",
    "jet", "ty", "keel", "la", "goon", "mast", "nar", "row", "oar", "pier", "quay", "reef", "sail", "ti",
    "de", "up", "stream", "ves", "sel", "weir", "yard", "o", "e", "ing", "ed",
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

/// What the texts are made of.
struct Language {
    words: Vec<String>,
}

struct Conversation {
    application: usize,
    messages: Vec<Value>,
}

struct Traffic {
    numbers: Numbers,
    language: Language,
    /// System prompts.
    applications: Vec<String>,
    conversations: Vec<Conversation>,
}

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).unwrap()
    }

    /// Small numbers often and large ones seldom: evenly distributed over the orders of magnitude, as ranks of words are.
    fn rank(&mut self, below: usize) -> usize {
        let bits = below.ilog2() as usize;
        let magnitude = self.next(bits + 1);
        self.next(1 << magnitude) % below
    }
}

impl Language {
    fn make(numbers: &mut Numbers) -> Self {
        let mut word = |rank: usize| {
            let syllables = 1 + rank.checked_ilog2().unwrap_or(0) as usize / 4 + numbers.next(2);
            (0..syllables).map(|_| SYLLABLES[numbers.next(SYLLABLES.len())]).collect::<String>()
        };
        Self { words: (0..WORDS).map(&mut word).collect() }
    }

    fn text(&self, numbers: &mut Numbers, words_min: usize, words_max: usize) -> String {
        let count = words_min + numbers.next(words_max - words_min);
        let mut text = String::new();
        for _ in 0..count {
            text.push_str(&self.words[numbers.rank(WORDS)]);
            text.push_str(if numbers.next(12) == 0 { ".\n" } else { " " });
        }
        text
    }
}

impl Traffic {
    fn new(seed: u64) -> Self {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ seed);
        // The same in every round: applications do not change their prompts every minute.
        let mut settled = Numbers(0x2545_f491_4f6c_dd1d);
        let language = Language::make(&mut settled);
        let applications = (0..APPLICATIONS).map(|_| language.text(&mut settled, 40, 400)).collect();
        let conversations = (0..CONVERSATIONS).map(|_| Conversation::begin(&mut numbers)).collect();
        Self { numbers, language, applications, conversations }
    }

    /// The next request of some conversation, and its answer.
    fn exchange(&mut self) -> (Value, String) {
        let Self { numbers, language, applications, conversations } = self;
        let conversation = &mut conversations[numbers.next(CONVERSATIONS)];
        if conversation.messages.len() >= 2 * TURNS_MAX || numbers.next(4) == 0 {
            *conversation = Conversation::begin(numbers);
        }
        let question = language.text(numbers, 10, 160);
        conversation.messages.push(json!({ "role": "user", "content": question }));
        let system = json!({ "role": "system", "content": applications[conversation.application] });
        let messages: Vec<_> = std::iter::once(system).chain(conversation.messages.iter().cloned()).collect();
        let answer = language.text(numbers, 30, 240);
        conversation.messages.push(json!({ "role": "assistant", "content": answer }));
        (json!({ "model": "gpt-4o", "temperature": 0.7, "messages": messages }), answer)
    }

    fn record(&mut self, ray: u64, at: i64) -> String {
        let (request, content) = self.exchange();
        let request = json!({ "request_body": request });
        let (prompt, completion) = (50 + self.numbers.next(2_000), 10 + self.numbers.next(400));
        let answer = json!({
            "id": format!("chatcmpl-{ray:024x}"), "object": "chat.completion", "model": "gpt-4o-2024-08-06",
            "choices": [{ "index": 0, "finish_reason": "stop",
                "message": { "role": "assistant", "content": content } }],
            "usage": { "prompt_tokens": prompt, "completion_tokens": completion,
                "total_tokens": prompt + completion, "prompt_tokens_details": { "cached_tokens": 0 } },
        });
        let response = json!({ "response_body": answer.to_string() });
        let started_at = at - i64::try_from(self.numbers.next(60_000)).unwrap();
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
}

impl Conversation {
    /// Some applications have most of the traffic.
    fn begin(numbers: &mut Numbers) -> Self {
        Self { application: numbers.rank(APPLICATIONS), messages: Vec::new() }
    }
}

impl Round {
    pub(crate) fn make(number: u64, batches: usize, records: usize) -> Self {
        let mut traffic = Traffic::new(number + 1);
        let at = now_ms();
        let mut ray = number << 32;
        let mut batch = || {
            let mut text = String::new();
            for _ in 0..records {
                ray += 1;
                text.push_str(&traffic.record(ray, at));
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
