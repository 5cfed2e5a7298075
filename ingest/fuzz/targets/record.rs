//! A body inside a well-formed record, whole and cut: the parsers behind the outer JSON see every byte sequence.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_event::{Scope, Source};
use weir_ingest::accept::{Form, RawRecord};
use weir_ingest::decode::{Decoded, decode};
use weir_ingest::normalize::normalize;

const CUT: &str = "<<<Logpush: messages truncated>>>";

fuzz_target!(|text: &str| {
    let scope = Scope { account_id: "acc".parse().unwrap(), gateway_id: "gw".parse().unwrap() };
    let (request, response) = text.split_at(text.floor_char_boundary(text.len() / 2));
    for message in [
        format!(r#"[{}]"#, json(&format!(r#"{{"response_body":{}}}"#, json(response)))),
        format!(r#"["Response:",{}]"#, json(&format!(r#"{{"body":{}{CUT}"#, json(response)))),
        format!(r#"[{}]"#, json(text)),
        text.to_owned(),
    ] {
        let record = format!(
            r#"{{"EventTimestampMs":1790000000000,"Event":{{"Request":{{"URL":{}}}}},"Logs":[{{"Message":{message}}}]}}"#,
            json(request)
        );
        let raw = RawRecord::whole(1, record.as_bytes());
        if let Ok(Decoded::Trace(trace)) = decode(&raw, Form::Logpush) {
            let event = normalize(*trace, &scope, Source::Logpush);
            assert!(event.created_at >= event.started_at);
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
