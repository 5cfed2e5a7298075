//! Records as Logpush delivers them, with known figures.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use weir_service::clock::{Clock, SystemClock};

/// The example events of the repository.
#[must_use]
pub fn example(name: &str) -> String {
    let path = format!("{}/../schemas/json/examples/trace/{name}.ndjson", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// The repository's examples of AI Gateway logs.
#[must_use]
pub fn ai_gateway_example(name: &str) -> String {
    let path = format!("{}/../schemas/json/examples/ai_gateway/{name}.ndjson", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// The repository's examples of CloudEvents.
#[must_use]
pub fn cloud_event_example(name: &str) -> String {
    let path = format!("{}/../schemas/json/examples/cloud_events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// The file of a private key that these are encrypted for.
#[must_use]
pub fn ai_gateway_key(name: &str) -> String {
    format!("{}/../schemas/json/examples/ai_gateway/keys/{name}.pem", env!("CARGO_MANIFEST_DIR"))
}

/// Gzips text.
#[must_use]
pub fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The machine's time.
#[must_use]
pub fn now_ms() -> i64 {
    SystemClock.now_ms()
}

/// A request that ended at `ended_at` (epoch milliseconds), told apart by its number: 100 tokens in and 10 out of
/// `gpt-4o-2024-05-13` on Azure, which is 0.00065 USD.
#[must_use]
pub fn record(number: u64, ended_at: i64) -> String {
    let request = json!({ "request_body": { "messages": [], "model": "" } });
    let answer = json!({
        "id": format!("chatcmpl-{number}"),
        "model": "gpt-4o-2024-05-13",
        "usage": { "prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110 },
    });
    let response = json!({ "response_body": answer.to_string() });
    json!({
        "EventTimestampMs": ended_at - 250,
        "EventType": "fetch",
        "Event": {
            "RayID": format!("{number:016x}"),
            "Request": {
                "URL": "https://m.example.com/azure-openai/res/deployments/gpt4o/chat/completions",
                "Method": "POST",
            },
            "Response": { "Status": 200 },
        },
        "Logs": [
            { "Level": "log", "Message": [request.to_string()], "TimestampMs": ended_at - 249 },
            { "Level": "log", "Message": [response.to_string()], "TimestampMs": ended_at },
        ],
        "Outcome": "ok",
        "ScriptName": "malacca",
    })
    .to_string()
}

/// What `count` [`record`]s cost, in units of 1e-18 USD: exact, and printable by ClickHouse.
#[must_use]
pub const fn cost_units(count: u64) -> u128 {
    count as u128 * 650_000_000_000_000
}
