//! What the rules make of whole bodies: JSON, streams and plain text, with secrets planted in them.

use proptest::prelude::*;
use serde_json::Value as Json;
use weir_service::config::Value as _;

use super::*;

const KEY: &str = "sk-proj-Ab_c-1234567890abcdefghijABCDEFGHIJ";

fn rules(patterns: &[&str]) -> Rules {
    let patterns = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
    Rules::new(&BuiltIn::ALL, patterns).unwrap()
}

fn plain(raw: &str) -> Text<'_> {
    Text { raw, form: Form::Plain, reach: Reach::All, sealed: &[] }
}

fn redact(rules: &Rules, raw: &str) -> String {
    let redacted = rules.redact(&Text { form: Form::of_body(raw), ..plain(raw) }, |_| {}).unwrap();
    redacted.unwrap_or_else(|| raw.to_owned())
}

fn check(raw: &str, expected: &str) {
    let rules = rules(&[]);
    let redacted = redact(&rules, raw);
    assert_eq!(redacted, expected);
    assert_eq!(redact(&rules, &redacted), redacted, "a second time changes nothing");
    if serde_json::from_str::<Json>(raw).is_ok() {
        serde_json::from_str::<Json>(&redacted).unwrap();
    }
}

#[test]
fn a_body_in_json_keeps_its_form() {
    check(
        r#"{"messages":[{"content":"mail alice@example.com\nsk-abcdEFGH1234abcdEFGH1234"}],"card":4111111111111111}"#,
        r#"{"messages":[{"content":"mail [redacted:email]\n[redacted:api_key]"}],"card":"[redacted:card]"}"#,
    );
    check(r#"{"alice@example.com":[4111111111111111,-1]}"#, r#"{"[redacted:email]":["[redacted:card]",-1]}"#);
    check("4111111111111111", r#""[redacted:card]""#);
    check(r#""alice@example.com""#, r#""[redacted:email]""#);
}

#[test]
fn escapes_hide_nothing() {
    check(r#"{"a":"alice\u0040example.com"}"#, r#"{"a":"[redacted:email]"}"#);
    check(r#"{"a":"\u0061lice\u0040example\u002ecom"}"#, r#"{"a":"[redacted:email]"}"#);
    check(r#"{"a":"x\nsk\u002dabcdEFGH1234abcdEFGH1234\n"}"#, r#"{"a":"x\n[redacted:api_key]\n"}"#);
    check(r#"{"a":"4111\u00201111\u00201111\u00201111"}"#, r#"{"a":"[redacted:card]"}"#);
    check(
        r#"{"a":"{\"b\":\"c\\nalice\\u0040example.com\\n\"}"}"#,
        r#"{"a":"{\"b\":\"c\\n[redacted:email]\\n\"}"}"#,
    );
    check(r#"{"a":"Bearer\ta1b2c3d4\"","b":"\\"}"#, r#"{"a":"Bearer\t[redacted:bearer]\"","b":"\\"}"#);
    check(r#"{"path":"C:\\nora@example.com"}"#, r#"{"path":"C:\\n[redacted:email]"}"#);
}

#[test]
fn a_body_that_is_cut_or_no_json_is_redacted_as_well() {
    check(r#"{"a":"alice@example.com"#, r#"{"a":"[redacted:email]"#);
    check(r#"{"a":41111111111111"#, r#"{"a":41111111111111"#);
    check(&format!(r#"{{"a":"{}"#, &KEY[..30]), r#"{"a":"[redacted:api_key]"#);
    check("alice@example.com 4111 1111 1111 1111", "[redacted:email] [redacted:card]");
    check("Authorization: Bearer sk-abcdEFGH1234abcdEFGH1234", "Authorization: Bearer [redacted:api_key]");
    check("", "");
}

#[test]
fn a_secret_in_pieces_of_a_stream_is_put_together() {
    let chunk = |text: &str| {
        format!("data: {{\"id\":\"c\",\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
    };
    let stream =
        |texts: &[&str]| texts.iter().map(|text| chunk(text)).collect::<String>() + "data: [DONE]\n\n";
    check(
        &stream(&["Write to al", "ice", "@", "example", ".com", ", please"]),
        &stream(&["Write to [redacted:email]", "", "", "", "", ", please"]),
    );
    check(
        &stream(&["s", "k-proj-Ab_c", "-1234567890abcdefghijABCDEFGHIJ\\n"]),
        &stream(&["[redacted:api_key]", "", "\\n"]),
    );
    check(&stream(&["4111 1111", " 1111 1111"]), &stream(&["[redacted:card]", ""]));
    check(
        &stream(&["bob@example.org is", " al", "ice@example.com"]),
        &stream(&["[redacted:email] is", " [redacted:email]", ""]),
    );
    check(r#"[{"text":"alice@exam"},{"text":"ple.com"}]"#, r#"[{"text":"[redacted:email]"},{"text":""}]"#);
}

#[test]
fn a_streams_frame_stays() {
    check(
        "event: delta\ndata: {\"a\":\"alice@example.com\"}\n\ndata: to bob@example.com\n\n: ping\n\ndata: {\"n\":4111111111111111",
        "event: delta\ndata: {\"a\":\"[redacted:email]\"}\n\ndata: to [redacted:email]\n\n: ping\n\ndata: {\"n\":\"[redacted:card]\"",
    );
}

#[test]
fn an_operators_pattern_is_applied_to_what_is_meant() {
    let rules = rules(&[r"employee=EMP-\d+", r#"ssn="ssn":\s*"[^"]*""#, "word=(?i)caf\u{e9}"]);
    let check = |raw: &str, expected: &str| assert_eq!(redact(&rules, raw), expected);
    check(r#"{"a":"EMP\u002d17 and\nEMP-18"}"#, r#"{"a":"[redacted:employee] and\n[redacted:employee]"}"#);
    // Over the bounds of strings: each of them, and the structure stays.
    check(r#"{"ssn": "123", "b":1}"#, r#"{"[redacted:ssn]": "[redacted:ssn]", "b":1}"#);
    check("CAF\u{c9}", "[redacted:word]");
    check(r#"{"a":"caf\u00e9"}"#, r#"{"a":"[redacted:word]"}"#);
    check("nothing", "nothing");
}

#[test]
fn where_a_pattern_cannot_be_applied_there_is_no_text() {
    let rules = rules(&["digit=[0-9]"]);
    let text = "1".repeat(10_001);
    let result = rules.redact(&plain(&text), |_| {});
    assert_eq!(result, Err(RedactError::TooManyMatches { limit: 10_000 }));
}

#[test]
fn only_the_rules_that_are_on_are_applied() {
    let text = format!("{KEY} alice@example.com 4111111111111111 Bearer a1b2c3d4");
    for (on, expected) in [
        (BuiltIn::ApiKey, "[redacted:api_key] alice@example.com 4111111111111111 Bearer a1b2c3d4".to_owned()),
        (BuiltIn::Email, format!("{KEY} [redacted:email] 4111111111111111 Bearer a1b2c3d4")),
        (BuiltIn::Card, format!("{KEY} alice@example.com [redacted:card] Bearer a1b2c3d4")),
        (BuiltIn::Bearer, format!("{KEY} alice@example.com 4111111111111111 Bearer [redacted:bearer]")),
        (BuiltIn::Jwt, text.clone()),
    ] {
        assert_eq!(redact(&Rules::new(&[on], Vec::new()).unwrap(), &text), expected);
    }
    let names = Rules::new(&BuiltIn::ALL, Vec::new()).unwrap();
    let name = names.redact(&Text { reach: Reach::Credentials, ..plain(&text) }, |_| {}).unwrap().unwrap();
    assert_eq!(name, "[redacted:api_key] alice@example.com 4111111111111111 Bearer [redacted:bearer]");
}

#[test]
fn each_place_is_counted_for_its_rule() {
    let rules = rules(&["employee=EMP-\\d+"]);
    let mut counted = Vec::new();
    let text = "a@b.com, c@d.com, EMP-1, Bearer a1b2c3d4";
    rules.redact(&plain(text), |rule| counted.push(rules.name(rule))).unwrap();
    assert_eq!(counted, ["email", "email", "employee", "bearer"]);
}

#[test]
fn rules_have_names() {
    for rule in BuiltIn::ALL {
        assert_eq!(BuiltIn::from_text(rule.name()), Ok(rule));
        assert_eq!(BuiltIn::ALL[rule as usize], rule, "a rule's number is its place");
    }
    assert!(BuiltIn::from_text("password").is_err());
}

/// A secret of any kind that must not be left.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "sk-[A-Za-z0-9]{20,40}1",
        "sk-ant-api03-[A-Za-z0-9_-]{60}1AA",
        "AIza[A-Za-z0-9_-]{35}",
        "(AKIA|ASIA)[A-Z0-9]{16}",
        "ghp_[A-Za-z0-9]{36}",
        "github_pat_[A-Za-z0-9_]{40}",
        "xoxb-[0-9]{12}-[a-zA-Z0-9]{12}",
        "hf_[A-Za-z]{34}",
        "gsk_[A-Za-z0-9]{52}",
        "eyJ[A-Za-z0-9_-]{20}\\.eyJ[A-Za-z0-9_-]{20}\\.[A-Za-z0-9_-]{20}",
        "[a-z]{3,10}(\\.[a-z]{2,8})?@[a-z]{3,10}\\.(com|de|co\\.uk)",
        "[0-9]{14}".prop_map(|digits| card_of(&format!("4{digits}"))),
    ]
}

/// The number with its check digit.
fn card_of(digits: &str) -> String {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0') << ((place + 1) % 2);
            value / 10 + value % 10
        })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

fn words() -> impl Strategy<Value = String> {
    r#"([a-zA-Z0-9 ,.:;@"\\/\n\t{}\[\]é-]|\n|sk-|\u{1f600}){0,40}"#
}

proptest! {
    #[test]
    fn no_text_panics_and_json_stays_json(text: String, other in words(), number: u64, secret in secret()) {
        let rules = rules(&[r"odd=[aeiou]{2}\W*", "quote=\"[^\"]*\"|\\}"]);
        for raw in [&text, &other] {
            redact(&rules, raw);
        }
        let json = serde_json::json!({ &text: [&other, number, null, {"a": &secret, &secret: 1.5}], "b": format!("{other}{secret}") });
        for body in [json.to_string(), serde_json::to_string_pretty(&json).unwrap(), serde_json::json!(json.to_string()).to_string()] {
            let redacted = redact(&rules, &body);
            prop_assert!(serde_json::from_str::<Json>(&redacted).is_ok(), "{redacted}");
        }
    }

    #[test]
    fn a_planted_secret_is_never_left(before in words(), after in words(), secret in secret()) {
        let rules = rules(&[]);
        let plain = format!("{before} {secret} {after}");
        let json = serde_json::json!({ "a": &plain, "b": [&before], "c": { &plain: 1 } }).to_string();
        let nested = serde_json::json!({ "arguments": &json }).to_string();
        let stream = format!("data: {json}\n\ndata: {nested}\n\n");
        let escaped: Vec<_> = secret.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
        let escaped = format!(r#"{{"a":"{}"}}"#, escaped.concat());
        for raw in [plain, json, nested, stream, escaped] {
            let redacted = redact(&rules, &raw);
            prop_assert!(!View::whole(&redacted).text().contains(&secret), "{redacted}");
            prop_assert_eq!(redact(&rules, &redacted), redacted.clone(), "a second time changes nothing");
        }
    }

    #[test]
    fn a_secret_cut_into_pieces_is_never_left(secret in secret(), cuts in proptest::collection::vec(1_usize..9, 1..5), before in "[a-z ]{0,9}") {
        let text = format!("{before} {secret} ");
        let (mut pieces, mut rest) = (Vec::new(), text.as_str());
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        let chunk = |piece| format!("data: {}\n\n", serde_json::json!({ "delta": { "content": piece } }));
        let stream = pieces.into_iter().map(chunk).collect::<String>();
        let redacted = redact(&rules(&[]), &stream);
        let told: String = stream_text(&redacted);
        prop_assert!(!told.contains(&secret), "{told}");
        prop_assert_eq!(told.matches("[redacted:").count(), 1, "{}", told);
    }
}

/// What a client would put together from a stream.
fn stream_text(stream: &str) -> String {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|json| {
        serde_json::from_str::<Json>(json).unwrap()["delta"]["content"].as_str().unwrap().to_owned()
    })
    .collect()
}
