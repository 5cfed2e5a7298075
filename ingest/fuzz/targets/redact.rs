//! Texts of every form through the rules: nothing panics, JSON stays JSON, and a second time changes nothing.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use weir_event::Scope;
use weir_ingest::redact::{BuiltIn, Letter, Pattern, Policies, Redactor, Rules, Tally};

static SCOPE: LazyLock<Scope> =
    LazyLock::new(|| Scope { account_id: "acc".parse().unwrap(), gateway_id: "gw".parse().unwrap() });
static BUILT_IN: LazyLock<Redactor> = LazyLock::new(Redactor::default);
static WITH_PATTERNS: LazyLock<Redactor> = LazyLock::new(|| {
    let patterns = ["a=[aeiou]+\\d", "b=\"[^\"]*\"|\\}", "c=(?s)x.*y"].map(|text| Pattern::parse(text).unwrap());
    Redactor::new(Policies::default(), Rules::new(&BuiltIn::ALL, patterns.into()).unwrap(), 10)
});

const SECRETS: [&str; 4] =
    ["alice@example.com", "4111111111111111", "sk-abcdEFGH1234abcdEFGH1234", "AKIAIOSFODNN7EXAMPLE"];

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let planted = SECRETS[bytes.len() % SECRETS.len()];
    let middle = text.floor_char_boundary(text.len() / 2);
    let nested = serde_json::json!({ "a": format!("{} {planted} {}", &text[..middle], &text[middle..]) }).to_string();
    let outer = serde_json::json!([{ "text": &text[..middle] }, { "text": &text[middle..], "b": &nested }]).to_string();
    let stream = format!("data: {nested}\n\ndata: {outer}\n\n");
    for (raw, has_secret) in [(text.as_ref(), false), (&nested, true), (&outer, true), (&stream, true)] {
        let redacted = redact(&BUILT_IN, raw);
        assert!(!has_secret || !redacted.contains(planted), "{redacted}");
        assert_eq!(redact(&BUILT_IN, &redacted), redacted);
        let was_json = serde_json::from_str::<Value>(raw).is_ok_and(|value| value.is_object() || value.is_array());
        for left in [redacted, redact(&WITH_PATTERNS, raw)] {
            let failed = left == "[withheld]";
            assert!(failed || !was_json || serde_json::from_str::<Value>(&left).is_ok(), "{raw}\n{left}");
        }
    }
    let _ = BUILT_IN.letter(letter(bytes), &mut Tally::default());
});

/// A dead letter is put through every rule; the names of headers that it blanks are avoided.
fn redact(redactor: &Redactor, raw: &str) -> String {
    String::from_utf8(redactor.letter(letter(raw.as_bytes()), &mut Tally::default()).record).unwrap()
}

fn letter(record: &[u8]) -> Letter<'_> {
    let (account_id, gateway_id) = (&SCOPE.account_id, Some(&SCOPE.gateway_id));
    Letter { account_id, gateway_id, record, sealed: &[], attributes: None }
}
