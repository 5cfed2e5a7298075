//! Entries as JSON text, to the character.

use weir_event::Attributes;

use super::*;

fn record() -> LogEntry {
    LogEntry {
        id: "01J9154B8N555TAWY8E5RWHFRS".parse().unwrap(),
        created_at: "2024-09-30T09:45:41.328Z".parse().unwrap(),
        event_id: "e-1".to_owned(),
        duration_ms: Some(6_587),
        provider: "azure-openai".to_owned(),
        model: "gpt-4o-2024-05-13".to_owned(),
        model_type: String::new(),
        request_type: "chat".to_owned(),
        path: "chat/completions".to_owned(),
        step: Some(0),
        status_code: Some(200),
        success: true,
        cached: false,
        truncated: false,
        user_agent: String::new(),
        tokens_in: Some(15),
        tokens_out: Some(354),
        tokens_cache_read: None,
        tokens_reasoning: None,
        cost: Some("0.005385".parse().unwrap()),
        cost_source: "computed".to_owned(),
        metadata: r#"{"team":"search"}"#.to_owned(),
        attributes: Attributes::default(),
        request_content_type: "application/json".to_owned(),
        response_content_type: String::new(),
        request_size: None,
        response_size: Some(3),
    }
}

fn unknown() -> LogEntry {
    LogEntry {
        duration_ms: None,
        model: String::new(),
        request_type: String::new(),
        step: None,
        status_code: None,
        tokens_in: None,
        tokens_out: None,
        cost: None,
        cost_source: "unpriced".to_owned(),
        metadata: String::new(),
        request_content_type: String::new(),
        ..record()
    }
}

fn json(view: &impl Serialize) -> String {
    serde_json::to_string(view).unwrap()
}

#[test]
fn an_entry_has_its_cost_to_the_last_digit() {
    assert_eq!(
        json(&EntryView::from_record(record(), MetadataForm::String)),
        r#"{"id":"01J9154B8N555TAWY8E5RWHFRS","created_at":"2024-09-30T09:45:41.328Z","#.to_owned()
            + r#""provider":"azure-openai","model":"gpt-4o-2024-05-13","path":"chat/completions","#
            + r#""duration":6587,"success":true,"cached":false,"tokens_in":15,"tokens_out":354,"#
            + r#""cost":0.005385,"custom_cost":false,"metadata":"{\"team\":\"search\"}","#
            + r#""request_type":"chat","request_content_type":"application/json","status_code":200,"step":0,"#
            + r#""event_id":"e-1","usage_metadata":{"input_tokens":15,"output_tokens":354,"total_tokens":369}}"#
    );
}

#[test]
fn unknown_tokens_and_costs_are_null_and_not_zero() {
    assert_eq!(
        json(&EntryView::from_record(unknown(), MetadataForm::String)),
        r#"{"id":"01J9154B8N555TAWY8E5RWHFRS","created_at":"2024-09-30T09:45:41.328Z","#.to_owned()
            + r#""provider":"azure-openai","model":"","path":"chat/completions","#
            + r#""duration":0,"success":true,"cached":false,"tokens_in":null,"tokens_out":null,"#
            + r#""cost":null,"custom_cost":false,"metadata":null,"event_id":"e-1"}"#
    );
}

#[test]
fn metadata_can_be_an_object() {
    let text = json(&EntryView::from_record(record(), MetadataForm::Object));
    assert!(text.contains(r#""metadata":{"team":"search"}"#), "{text}");
    let broken = LogEntry { metadata: "{".to_owned(), ..record() };
    let text = json(&EntryView::from_record(broken, MetadataForm::Object));
    assert!(text.contains(r#""metadata":"{""#), "{text}");
}

#[test]
fn only_prices_of_the_caller_are_custom() {
    let custom = LogEntry { cost_source: "custom".to_owned(), ..record() };
    assert!(EntryView::from_record(custom, MetadataForm::String).custom_cost);
    let provided = LogEntry { cost_source: "provided".to_owned(), ..record() };
    assert!(!EntryView::from_record(provided, MetadataForm::String).custom_cost);
}

#[test]
fn what_few_sources_tell_is_there_where_it_is_told() {
    let all = r#"{"authentication":false,"wholesale":true,"dlp_action":"FLAG","feedback":-1,"score":99.50,
        "prompt_id":"p-1","prompt_version_id":"v-2"}"#;
    let shown = |attributes| {
        let text = json(&EntryView::from_record(LogEntry { attributes, ..record() }, MetadataForm::String));
        text.split_once(r#""total_tokens":369}"#).unwrap().1.to_owned()
    };
    assert_eq!(
        shown(serde_json::from_str(all).unwrap()),
        r#","feedback":-1,"score":99.5,"authentication":false,"wholesale":true,"dlp_action":"FLAG","#
            .to_owned()
            + r#""prompts":{"prompt_id":"p-1","version_id":"v-2"}}"#
    );
    let version = Attributes { prompt_version_id: Some("v-2".to_owned()), ..Attributes::default() };
    assert_eq!(shown(version), r#","prompts":{"version_id":"v-2"}}"#);
}

#[test]
fn details_come_with_heads_and_sizes() {
    let heads = BodyHeads {
        request_head: Some("é{}".to_owned()),
        request_bytes: Some(4),
        response_head: Some("abc".to_owned()),
        response_bytes: Some(3),
    };
    let text = json(&EntryDetailView::from_record(record(), heads, MetadataForm::String));
    let details = r#""request_size":4,"response_size":3,"request_head":"é{}","request_head_complete":true,"#
        .to_owned()
        + r#""response_head":"abc","response_head_complete":true}"#;
    assert!(text.starts_with(r#"{"id":"#) && text.ends_with(&details), "{text}");
    let text = json(&EntryDetailView::from_record(unknown(), BodyHeads::default(), MetadataForm::String));
    assert!(text.ends_with(r#""event_id":"e-1","response_size":3}"#), "{text}");
}

#[test]
fn a_head_is_complete_only_where_nothing_speaks_against_it() {
    let check = |stored, logged, truncated, complete| {
        let head = Head::new(Some("abc".to_owned()), Some(stored), logged, truncated);
        assert_eq!(head.complete, Some(complete), "{stored} {logged:?} {truncated}");
    };
    check(3, None, false, true);
    check(3, Some(3), false, true);
    check(4, None, false, false);
    check(3, Some(900), false, false);
    check(3, None, true, false);
    assert_eq!(Head::new(None, None, Some(9), false).complete, None);
}
