//! The body of an answer, in the API of every provider: the first byte says whom was asked, all else is the body.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_event::{Scope, Source};
use weir_ingest::accept::{Form, RawRecord};
use weir_ingest::decode::{Decoded, decode};
use weir_ingest::normalize::normalize;

/// One path for each API.
const PATHS: [&str; 17] = [
    "anthropic/v1/messages",
    "aws-bedrock/bedrock-runtime/us-east-1/model/amazon.titan-text-express-v1/invoke",
    "cohere/v2/chat",
    "google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent",
    "google-vertex-ai/v1/projects/p/locations/l/publishers/google/models/text-embedding-005:predict",
    "grok/v1/chat/completions",
    "mistral/v1/ocr",
    "openai/v1/audio/speech",
    "openai/v1/audio/transcriptions",
    "openai/v1/chat/completions",
    "openai/v1/embeddings",
    "openai/v1/images/generations",
    "openai/v1/responses",
    "openrouter/v1/chat/completions",
    "perplexity-ai/chat/completions",
    "replicate/v1/predictions",
    "workers-ai/cf/meta/llama-3.1-8b-instruct",
];

fuzz_target!(|input: (u8, &str)| {
    let (choice, body) = input;
    let path = PATHS[usize::from(choice) % PATHS.len()];
    let scope = Scope { account_id: "acc".parse().unwrap(), gateway_id: "gw".parse().unwrap() };
    let record = format!(
        r#"{{"EventTimestampMs":1790000000000,"Event":{{"Request":{{"URL":"https://m/{path}"}},"Response":{{"Status":200}}}},"Logs":[{{"Message":["Response:",{{"body":{}}}]}}]}}"#,
        json(body)
    );
    let raw = RawRecord::whole(1, record.as_bytes());
    if let Ok(Decoded::Trace(trace)) = decode(&raw, Form::Logpush) {
        let event = normalize(*trace, &scope, Source::Logpush);
        if event.usage_json.is_none() {
            assert!(event.tokens.is_empty(), "tokens come from usage");
        }
    }
});

/// A JSON string.
fn json(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            c if u32::from(c) < 0x20 => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
