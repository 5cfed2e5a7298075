//! What a request says, whole or cut.

use super::*;

fn check(body: &str, expected: &Question) {
    assert_eq!(Question::read(body), *expected, "{body}");
}

#[test]
fn a_cut_body_says_what_stood_before_the_cut() {
    let question = |model: Option<&str>, stream| Question {
        model: model.map(str::to_owned),
        stream,
        ..Question::default()
    };
    for (body, expected) in [
        (r#"{"model":"gpt-4o","stream":true}"#, question(Some("gpt-4o"), Some(true))),
        (r#"{"model":"gpt-4o","messages":[{"role":"us"#, question(Some("gpt-4o"), None)),
        (r#"{"messages":[],"model":"","stream":false}"#, question(None, Some(false))),
        (r#"{"model":null}"#, question(None, None)),
        (r#"{"model":"gpt-4"#, question(None, None)),
        (r#"{"stream":"yes","model":7,"user":["a"]}"#, question(None, None)),
        ("Unauthorized", question(None, None)),
        ("[1,2]", question(None, None)),
        ("", question(None, None)),
    ] {
        check(body, &expected);
    }
}

#[test]
fn what_is_cut_anywhere_is_right_or_unknown() {
    let body = r#"{"user":"ü-7","service_tier":"flex","input":"Straße","metadata":{"team":"größer","n":12},"model":"tts-1","stream":true}"#;
    let whole = Question::read(body);
    for end in 0..body.len() {
        let cut = Question::read(&String::from_utf8_lossy(&body.as_bytes()[..end]));
        assert!(cut.user.is_none() || cut.user == whole.user, "{end}");
        assert!(cut.service_tier.is_none() || cut.service_tier == whole.service_tier, "{end}");
        assert!(cut.input_characters.is_none() || cut.input_characters == Some(6), "{end}");
        assert!(cut.metadata.is_none() || cut.metadata == whole.metadata, "{end}");
        assert!(cut.model.is_none() || cut.model == whole.model, "{end}");
        assert!(cut.stream.is_none() || cut.stream == whole.stream, "{end}");
    }
}

#[test]
fn the_caller_says_for_whom_and_what_for() {
    let user = |body: &str| Question::read(body).user;
    assert_eq!(user(r#"{"user":"u-7"}"#).as_deref(), Some("u-7"));
    assert_eq!(user(r#"{"safety_identifier":"s-1","user":"u-7"}"#).as_deref(), Some("u-7"));
    assert_eq!(user(r#"{"user":"u-7","safety_identifier":"s-1"}"#).as_deref(), Some("u-7"));
    assert_eq!(user(r#"{"safety_identifier":"s-1"}"#).as_deref(), Some("s-1"));
    assert_eq!(user(r#"{"metadata":{"user_id":"m-1"}}"#).as_deref(), Some("m-1"));
    let metadata = |body: &str| Question::read(body).metadata.map(|metadata| metadata.to_json());
    assert_eq!(
        metadata(r#"{"metadata":{"team":"b","n":3,"deep":{"x":1},"none":null,"on":true}}"#).as_deref(),
        Some(r#"{"n":3,"on":true,"team":"b"}"#)
    );
    for none in [r#"{"metadata":{}}"#, r#"{"metadata":null}"#, r#"{"metadata":"x"}"#, r#"{"metadata":[1]}"#] {
        assert_eq!(metadata(none), None, "{none}");
    }
    let many: Vec<_> = (0..1_000).map(|index| format!("\"k{index}\":1")).collect();
    let many = Question::read(&format!(r#"{{"metadata":{{{}}}}}"#, many.join(","))).metadata.unwrap();
    assert_eq!(many.iter().count(), METADATA_MAX);
}

#[test]
fn what_is_billed_of_the_request_is_measured() {
    let read = Question::read;
    assert_eq!(read(r#"{"input":"Grüße, \u4e16界"}"#).input_characters, Some(9));
    assert_eq!(read(r#"{"input":["a"]}"#).input_characters, None);
    assert!(read(r#"{"document_annotation_format":{"type":"json_schema"}}"#).annotated);
    assert!(read(r#"{"bbox_annotation_format":{},"document_annotation_format":null}"#).annotated);
    assert!(!read(r#"{"document_annotation_format":null}"#).annotated);
}

#[test]
fn a_form_names_its_model() {
    let model = |body: &str| Question::read(body).model;
    let form = "--b1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\nID3\u{fffd}\r\n--b1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b1--\r\n";
    assert_eq!(model(form).as_deref(), Some("whisper-1"));
    assert_eq!(model(&form.replace('\r', "")).as_deref(), Some("whisper-1"));
    assert_eq!(model("--b1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisp"), None);
    assert_eq!(model("--b1\r\nname=\"model\""), None);
    assert_eq!(model("- a list of markdown"), None);
}

#[test]
fn steps_that_go_the_same_way_are_one() {
    let step = |provider: &str, model: &str| {
        format!(
            r#"{{"provider":"{provider}","endpoint":"chat/completions","headers":{{}},"query":{{"model":"{model}","user":"u-7"}}}}"#
        )
    };
    let read = |steps: &[String]| Question::read(&format!("[{}]", steps.join(",")));
    let openai = Some(("openai".to_owned(), "chat/completions".to_owned()));
    let one = read(&[step("openai", "gpt-4o")]);
    assert_eq!(
        (one.step, one.model.as_deref(), one.user.as_deref()),
        (openai.clone(), Some("gpt-4o"), Some("u-7"))
    );
    let two = read(&[step("openai", "gpt-4o"), step("openai", "gpt-4o-mini")]);
    assert_eq!((two.step, two.model), (openai, None));
    let other = read(&[step("openai", "gpt-4o"), step("groq", "gpt-4o")]);
    assert_eq!((other.step, other.model), (None, None));
    let cut = format!("[{},{{\"provider\":\"gr", step("openai", "gpt-4o"));
    assert_eq!(Question::read(&cut).step, None);
}
