//! Batches of records whose bodies have a given size.

use std::fmt::Write;

use harness::traffic::{gzip, now_ms};
use serde_json::{Value, json};

/// What the answers of a batch are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    ChatJson,
    ChatStream,
    AnthropicJson,
    AnthropicStream,
}

/// A batch as Logpush sends it.
pub(crate) struct Batch {
    pub(crate) gzip: Vec<u8>,
    pub(crate) records: usize,
    /// What each answer reports.
    pub(crate) tokens_out: u64,
}

/// Prose with what JSON has to escape now and then, and a letter beyond ASCII.
const PROSE: &str = "The weir holds the river back until the gauge reads \"high\";\nthen the sluice opens, \
     and what the café's owner calls the flood goes by. ";
const TOKENS_OUT: u64 = 200;

impl Batch {
    /// Records of which request and answer share `body_bytes`, as many as make up `batch_bytes`.
    pub(crate) fn make(answer: Answer, body_bytes: usize, batch_bytes: usize) -> Self {
        let records = (batch_bytes / body_bytes).max(1);
        let at = now_ms();
        let (request, response) = (answer.request(body_bytes / 2), answer.response(body_bytes / 2));
        let mut text = String::new();
        for ray in 0..records {
            writeln!(text, "{}", answer.record(ray, at, &request, &response)).unwrap();
        }
        Self { gzip: gzip(&text), records, tokens_out: TOKENS_OUT }
    }
}

impl Answer {
    const fn url(self) -> &'static str {
        match self {
            Self::ChatJson | Self::ChatStream => "https://m.example.com/openai/v1/chat/completions",
            Self::AnthropicJson | Self::AnthropicStream => "https://m.example.com/anthropic/v1/messages",
        }
    }

    const fn model(self) -> &'static str {
        match self {
            Self::ChatJson | Self::ChatStream => "gpt-4o-2024-08-06",
            Self::AnthropicJson | Self::AnthropicStream => "claude-sonnet-4-5-20250929",
        }
    }

    fn request(self, bytes: usize) -> Value {
        json!({ "model": self.model(), "max_tokens": 4096, "messages": [{ "role": "user", "content": prose(bytes) }] })
    }

    fn response(self, bytes: usize) -> String {
        match self {
            Self::ChatJson => json!({
                "id": "chatcmpl-1", "object": "chat.completion", "model": self.model(),
                "choices": [{ "index": 0, "finish_reason": "stop",
                    "message": { "role": "assistant", "content": prose(bytes) } }],
                "usage": { "prompt_tokens": 900, "completion_tokens": TOKENS_OUT, "total_tokens": 900 + TOKENS_OUT,
                    "prompt_tokens_details": { "cached_tokens": 512 } },
            })
            .to_string(),
            Self::ChatStream => chat_stream(bytes),
            Self::AnthropicJson => json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": self.model(),
                "content": [{ "type": "text", "text": prose(bytes) }], "stop_reason": "end_turn",
                "usage": { "input_tokens": 900, "cache_read_input_tokens": 512, "cache_creation_input_tokens": 0,
                    "output_tokens": TOKENS_OUT },
            })
            .to_string(),
            Self::AnthropicStream => anthropic_stream(bytes),
        }
    }

    fn record(self, ray: usize, at: i64, request: &Value, response: &str) -> Value {
        let log = |message: Value, after_ms: i64| json!({ "Level": "log", "Message": [message.to_string()], "TimestampMs": at + after_ms });
        json!({
            "EventTimestampMs": at, "EventType": "fetch",
            "Event": { "RayID": format!("{ray:016x}"), "Request": { "URL": self.url(), "Method": "POST" },
                "Response": { "Status": 200 } },
            "Logs": [log(json!({ "request_body": request }), 2), log(json!({ "response_body": response }), 1_900)],
            "Exceptions": [], "Outcome": "ok", "ScriptName": "malacca", "ScriptTags": [], "WallTimeMs": 1_902,
        })
    }
}

fn prose(bytes: usize) -> String {
    PROSE.repeat(bytes / PROSE.len() + 1)
}

/// Chunks of three words each.
fn deltas(bytes: usize, chunk: impl Fn(&str) -> Value) -> impl Iterator<Item = Value> {
    let overhead = chunk("").to_string().len() + "data: \n\n".len();
    let count = bytes / (overhead + 16) + 1;
    (0..count).map(move |_| chunk("the sluice opens"))
}

fn chat_stream(bytes: usize) -> String {
    let chunk = |choices: Value, usage: Value| {
        json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_727_689_541,
            "model": "gpt-4o-2024-08-06", "system_fingerprint": "fp_0", "choices": choices, "usage": usage })
    };
    let mut stream = String::new();
    let delta = |text: &str| {
        chunk(json!([{ "index": 0, "delta": { "content": text }, "finish_reason": null }]), Value::Null)
    };
    for data in deltas(bytes, delta) {
        write!(stream, "data: {data}\n\n").unwrap();
    }
    let end = chunk(json!([{ "index": 0, "delta": {}, "finish_reason": "stop" }]), Value::Null);
    let usage =
        json!({ "prompt_tokens": 900, "completion_tokens": TOKENS_OUT, "total_tokens": 900 + TOKENS_OUT });
    write!(stream, "data: {end}\n\ndata: {}\n\ndata: [DONE]\n\n", chunk(json!([]), usage)).unwrap();
    stream
}

fn anthropic_stream(bytes: usize) -> String {
    let mut stream = String::new();
    let mut event = |data: &Value| {
        write!(stream, "event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap()).unwrap();
    };
    event(
        &json!({ "type": "message_start", "message": { "id": "msg_1", "type": "message", "role": "assistant",
        "model": "claude-sonnet-4-5-20250929", "content": [], "stop_reason": null,
        "usage": { "input_tokens": 900, "cache_read_input_tokens": 512, "cache_creation_input_tokens": 0, "output_tokens": 1 } } }),
    );
    event(
        &json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
    );
    let delta = |text: &str| json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": text } });
    deltas(bytes, delta).for_each(|data| event(&data));
    event(&json!({ "type": "content_block_stop", "index": 0 }));
    event(
        &json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": { "output_tokens": TOKENS_OUT } }),
    );
    event(&json!({ "type": "message_stop" }));
    stream
}
