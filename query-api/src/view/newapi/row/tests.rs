//! Rows as they are shown, to the byte.

use weir_event::{Attributes, EventId, Timestamp};

use super::*;

fn row() -> NewApiRow {
    let created_at = Timestamp::from_millis(1_785_781_512_999).unwrap();
    NewApiRow {
        id: EventId::derive(created_at, &[b"row"]),
        number: 90_417,
        created_at,
        dialect: "new_api_log".to_owned(),
        kind: EventKind::Consume,
        success: true,
        streamed: true,
        user_id: "7".to_owned(),
        user_name: "mina".to_owned(),
        token_id: "31".to_owned(),
        token_name: "search-team".to_owned(),
        group: "default".to_owned(),
        channel_id: "12".to_owned(),
        ip: "10.0.0.1".to_owned(),
        request_id: "20260803182512137000000Ab3dE9xQ".to_owned(),
        model_name: "gpt-4o".to_owned(),
        model: "gpt-4o".to_owned(),
        quota_units: 1_750,
        input_tokens: 1_000,
        output_tokens: 200,
        tokens_cache_read: Some(800),
        duration_ms: Some(3_999),
        time_to_first_token_ms: Some(412),
        status_code: None,
        path: "v1/chat/completions".to_owned(),
        error: String::new(),
        other: r#"{"model_ratio":1.250,"admin_info":{"use_channel":["12"]},"frt":412.0}"#.to_owned(),
        metadata_entries: String::new(),
        attributes: Attributes {
            content: Some("1 + 1".to_owned()),
            channel_name: Some("main".to_owned()),
            upstream_request_id: Some("chatcmpl-1".to_owned()),
            ..Attributes::default()
        },
    }
}

/// A row that Cloudflare's gateway logged.
fn foreign() -> NewApiRow {
    NewApiRow {
        number: 0,
        dialect: "ai_gateway_logpush".to_owned(),
        user_id: "alice@example.com".to_owned(),
        token_id: "07".to_owned(),
        channel_id: String::new(),
        model: "gpt-4o-2024-08-06".to_owned(),
        other: r#"{"prompt_tokens":1000}"#.to_owned(),
        metadata_entries: r#"{"content":"the caller's own"}"#.to_owned(),
        attributes: Attributes::default(),
        ..row()
    }
}

fn shown(row: NewApiRow, audience: Audience) -> RowView {
    RowView::new(row, audience, |kind| kind as u8)
}

const fn user(id: UserId) -> Audience {
    Audience::User { id, names_failed_channels: false }
}

#[test]
fn an_admin_sees_all_of_a_row_to_the_byte() {
    let view = RowView::new(row(), Audience::Admin, |_| 2);
    assert_eq!(
        serde_json::to_string(&view).unwrap(),
        r#"{"id":90417,"user_id":7,"created_at":1785781512,"type":2,"content":"1 + 1","username":"mina","#
            .to_owned()
            + r#""token_name":"search-team","model_name":"gpt-4o","quota":1750,"prompt_tokens":1000,"#
            + r#""completion_tokens":200,"use_time":3,"is_stream":true,"channel":12,"channel_id":12,"#
            + r#""channel_name":"main","token_id":31,"group":"default","ip":"10.0.0.1","#
            + r#""request_id":"20260803182512137000000Ab3dE9xQ","upstream_request_id":"chatcmpl-1","#
            + r#""other":"{\"model_ratio\":1.250,\"admin_info\":{\"use_channel\":[\"12\"]},\"frt\":412.0}"}"#
    );
}

#[test]
fn a_user_sees_no_channels_name_and_another_id() {
    let view = |id| shown(row(), user(id));
    let (by_place, by_remainder) = (view(UserId::Place(21)), view(UserId::Remainder));
    assert_eq!((by_place.id, by_remainder.id), (21, 90_417 % 1_024));
    for view in [by_place, by_remainder] {
        assert_eq!(view.channel_name, "");
        assert_eq!(view.other, r#"{"frt":412,"model_ratio":1.25}"#);
        assert_eq!((view.channel, view.ip.as_str(), view.content.as_str()), (12, "10.0.0.1", "1 + 1"));
        assert_eq!(view.upstream_request_id, "chatcmpl-1");
    }
    let empty = NewApiRow { other: String::new(), ..row() };
    assert_eq!(shown(empty.clone(), Audience::Admin).other, "");
    assert_eq!(shown(empty, user(UserId::Remainder)).other, "null");
}

#[test]
fn a_user_sees_the_channel_of_an_error_by_its_number_or_as_new_api_names_it() {
    let whole = r#"{"channel_id":12,"channel_name":"main","channel_type":1}"#.to_owned();
    let failed = NewApiRow { kind: EventKind::Error, success: false, other: whole.clone(), ..row() };
    assert_eq!(shown(failed.clone(), user(UserId::Remainder)).other, r#"{"channel_id":12}"#);
    let named = Audience::User { id: UserId::Place(1), names_failed_channels: true };
    assert_eq!(shown(failed.clone(), named).other, whole);
    assert_eq!(shown(failed, Audience::Admin).other, whole);
}

#[test]
fn ids_of_requests_are_there_where_they_are_known() {
    let without = NewApiRow { request_id: String::new(), attributes: Attributes::default(), ..row() };
    let text = serde_json::to_string(&shown(without, Audience::Admin)).unwrap();
    assert!(!text.contains("request_id"), "{text}");
    assert!(text.contains(r#""content":"","#) && text.contains(r#""channel_name":"","#), "{text}");
}

#[test]
fn an_error_says_what_went_wrong_in_its_content() {
    let error = "status_code=429, rate limit".to_owned();
    let failed = NewApiRow { kind: EventKind::Error, success: false, error: error.clone(), ..row() };
    assert_eq!(shown(failed, Audience::Admin).content, error);
}

#[test]
fn a_row_of_before_says_in_its_metadata_what_attributes_say_now() {
    let metadata = r#"{"content":"old","channel_name":"first","upstream_request_id":"up-1"}"#.to_owned();
    let view = shown(
        NewApiRow { metadata_entries: metadata, attributes: Attributes::default(), ..row() },
        Audience::Admin,
    );
    assert_eq!(
        (view.content.as_str(), view.channel_name.as_str(), view.upstream_request_id.as_str()),
        ("old", "first", "up-1")
    );
}

#[test]
fn a_row_that_is_not_new_apis_is_shown_as_far_as_it_is_known() {
    let view = shown(foreign(), Audience::Admin);
    assert!((1..1 << 53).contains(&view.id), "{}", view.id);
    assert_eq!(view.id, shown(foreign(), Audience::Admin).id);
    assert_eq!((view.user_id, view.token_id, view.channel), (0, 0, 0));
    assert_eq!((view.content.as_str(), view.channel_name.as_str()), ("", ""));
    assert_eq!(
        view.other,
        r#"{"cache_tokens":800,"frt":412,"is_model_mapped":true,"request_path":"/v1/chat/completions","upstream_model_name":"gpt-4o-2024-08-06"}"#
    );
    let nothing = NewApiRow {
        time_to_first_token_ms: None,
        tokens_cache_read: None,
        path: String::new(),
        model: String::new(),
        success: false,
        status_code: Some(503),
        ..foreign()
    };
    assert_eq!(shown(nothing, Audience::Admin).other, r#"{"cache_tokens":0,"frt":-1000,"status_code":503}"#);
    let topup = NewApiRow { kind: EventKind::Topup, ..foreign() };
    assert_eq!(shown(topup, Audience::Admin).other, "");
}
