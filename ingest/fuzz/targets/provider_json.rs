//! JSON of a provider: an answer, its usage object, a request. The parsers behind the outer JSON see every byte sequence.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_ingest::normalize::fuzzing::{answer, question, usage};

fuzz_target!(|json: &str| {
    usage(json);
    question(json);
    answer(json);
    answer(&format!(r#"{{"model":"m","choices":[],"output":[],"data":[{{}}],"usage":{json}}}"#));
    answer(&format!(r#"{{"usage":{{"prompt_tokens":1,"input_tokens":1}},"output":{json},"data":{json}}}"#));
    answer(&format!("data: {{\"type\":\"response.completed\",\"response\":{json}}}\n\n"));
    question(&format!(r#"{{"metadata":{json},"input":{json},"model":"m"}}"#));
    question(&format!(r#"[{{"provider":"openai","endpoint":"responses","query":{json}}}]"#));
});
