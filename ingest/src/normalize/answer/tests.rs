//! What an answer says, whatever it is made of.

use super::*;
use crate::normalize::api::CHAT;

fn answer(id: &str, model: &str, usage: Option<&str>) -> Answer {
    Answer {
        id: Some(id.to_owned()),
        model: Some(model.to_owned()),
        usage_json: usage.map(str::to_owned),
        settled: true,
        ..Answer::default()
    }
}

#[test]
fn a_whole_answer() {
    let body = r#"{"choices":[{"message":{"content":"hi"}}],"id":"chatcmpl-1","model":"gpt-4o","usage":{"prompt_tokens": 1}}"#;
    assert_eq!(Answer::read(body, &CHAT), answer("chatcmpl-1", "gpt-4o", Some(r#"{"prompt_tokens": 1}"#)));
}

#[test]
fn a_cut_answer_says_what_stood_before_the_cut() {
    let body = r#"{"id":"chatcmpl-1","model":"gpt-4o","choices":[{"message":{"content":"Once"#;
    assert_eq!(Answer::read(body, &CHAT), answer("chatcmpl-1", "gpt-4o", None));
}

#[test]
fn a_stream_has_its_usage_in_the_last_chunk() {
    let body = concat!(
        "data: {\"choices\":[],\"id\":\"\",\"model\":\"\",\"prompt_filter_results\":[]}\n\n",
        "data: {\"id\":\"chatcmpl-1\",\"model\":\"gpt-4o\",\"choices\":[{\"delta\":{\"content\":\"hi\"}}],\"usage\":null}\n\n",
        "data: {\"id\":\"chatcmpl-1\",\"model\":\"gpt-4o\",\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n",
        "data: [DONE]\n\n",
    );
    let expected = Answer { streamed: true, ..answer("chatcmpl-1", "gpt-4o", Some("{\"prompt_tokens\":1}")) };
    assert_eq!(Answer::read(body, &CHAT), expected);
}

#[test]
fn errors_are_told_in_the_providers_words() {
    let error = |body: &str| Answer::read(body, &CHAT).error;
    assert_eq!(
        error(r#"{"error":{"message":"no such model","code":404}}"#).as_deref(),
        Some("no such model")
    );
    assert_eq!(error(r#"{"error":{"code":404}}"#).as_deref(), Some(r#"{"code":404}"#));
    assert_eq!(error(r#"{"error":"gone"}"#).as_deref(), Some("gone"));
    assert_eq!(error(r#"{"error":null}"#), None);
    assert_eq!(error(r#"data: {"error":{"message":"overloaded"}}"#).as_deref(), Some("overloaded"));
    assert_eq!(error("Unauthorized\n"), None);
    assert_eq!(
        error(r#"{"error":{"message":["odd"],"code":1}}"#).as_deref(),
        Some(r#"{"message":["odd"],"code":1}"#)
    );
    let plain = |body: &str| Answer::read(body, &CHAT).plain_text;
    assert_eq!(
        plain(r#"{"object":"error","message":"Invalid model: x","code":1500}"#).as_deref(),
        Some("Invalid model: x")
    );
    assert_eq!(
        plain(r#"{"detail":"Provided API key is invalid."}"#).as_deref(),
        Some("Provided API key is invalid.")
    );
    assert_eq!(plain(r#"{"message":{"role":"assistant","content":"hi"}}"#), None);
    assert_eq!(Answer::read("Unauthorized\n", &CHAT).plain_text.as_deref(), Some("Unauthorized"));
    let long = format!(r#"{{"error":{{"message":"{}"}}}}"#, "x".repeat(2_000));
    assert_eq!(error(&long).unwrap().len(), LINE_MAX);
}

#[test]
fn the_form_of_workers_ai_is_known() {
    assert!(Answer::read("data: {\"response\":\"Once\"}\n\ndata: [DONE]\n\n", &CHAT).by_workers_ai);
    assert!(!Answer::read(r#"{"response":{"id":"x"}}"#, &CHAT).by_workers_ai);
}

#[test]
fn a_usage_object_of_a_megabyte_is_none() {
    let body = format!(r#"{{"usage":{{"prompt_tokens":1,"x":"{}"}}}}"#, "y".repeat(1 << 20));
    assert_eq!(Answer::read(&body, &CHAT).usage_json, None);
}

#[test]
fn a_number_at_the_cut_is_not_believed() {
    let members = Members::read(r#"{"id":12,"model":34"#);
    assert_eq!(
        (members.id.map(RawValue::get), members.model.is_none(), members.complete),
        (Some("12"), true, false)
    );
    let members = Members::read(r#"{"id":12,"model":"m""#);
    assert_eq!(members.model.map(RawValue::get), Some("\"m\""));
    assert!(Members::read(r#"{"id":12} "#).complete);
}
