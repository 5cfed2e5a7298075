//! What is an envelope, what only looks like one, and what is wrong with one.

use proptest::prelude::*;

use super::*;

fn read(json: &str) -> Option<Field> {
    Field::read(&RawValue::from_string(json.to_owned()).unwrap(), json.as_bytes())
}

/// The field as an object, and as JSON text in a string.
fn read_both(json: &str) -> [Option<Field>; 2] {
    [read(json), read(&serde_json::to_string(json).unwrap())]
}

fn envelope(field: Option<Field>) -> Result<Envelope, DecryptError> {
    match field {
        Some(Field::Sealed(sealed)) => sealed.envelope,
        other => panic!("{other:?} is not sealed"),
    }
}

#[test]
fn an_envelope_is_one_as_an_object_and_as_text() {
    let expected = Envelope { key: vec![0], iv: vec![1, 2], data: vec![3, 4, 5] };
    for json in [
        r#"{"type":"encrypted","key":"AA==","iv":"AQI=","data":"AwQF"}"#,
        r#"{"data":"AwQF","iv":"AQI","more":[1],"key":"AA","type":"encrypted"}"#,
        // Without the word, but with all that makes one.
        r#"{"key":"AA==","iv":"AQI=","data":"AwQF"}"#,
        r#" { "type" : "encrypted", "key":"\u0041A==","iv":"AQI=","data":"AwQF"}"#,
    ] {
        for field in read_both(json.trim_start()) {
            assert_eq!(envelope(field), Ok(expected.clone()), "{json}");
        }
    }
}

#[test]
fn what_only_looks_like_an_envelope_is_the_callers_own() {
    for json in [
        r#"{"key":"a value of the caller's"}"#,
        r#"{"key":"AA==","iv":"AQI="}"#,
        r#"{"key":"not base64!","iv":"AQI=","data":"AwQF"}"#,
        r#"{"type":"message","key":"AA==","iv":"AQI=","data":"AwQF"}"#,
        r#"{"type":"encrypted"}"#,
        r#"["encrypted","AA==","AQI=","AwQF"]"#,
        r#"{"messages":[{"type":"encrypted","key":"AA=="}]}"#,
        "7",
    ] {
        for field in read_both(json) {
            assert_eq!(field, Some(Field::Plain(json.to_owned())), "{json}");
        }
    }
}

#[test]
fn a_damaged_envelope_says_what_is_wrong_with_it() {
    let long = "A".repeat(5_000);
    for (json, expected) in [
        (r#"{"type":"encrypted","iv":"AQI=","data":"AwQF"}"#.to_owned(), "key is missing"),
        (r#"{"type":"encrypted","key":null,"iv":"AQI=","data":"AwQF"}"#.to_owned(), "key is missing"),
        (r#"{"type":"encrypted","key":"AA==","data":"AwQF"}"#.to_owned(), "iv is missing"),
        (r#"{"type":"encrypted","key":"AA==","iv":"AQI="}"#.to_owned(), "data is missing"),
        (r#"{"type":"encrypted","key":7,"iv":"AQI=","data":"AwQF"}"#.to_owned(), "key is not a text"),
        (r#"{"type":"encrypted","key":"AA==","iv":"*","data":"AwQF"}"#.to_owned(), "iv is not base64"),
        (r#"{"type":"encrypted","key":"AA==","iv":"AQI=","data":"A"}"#.to_owned(), "data is not base64"),
        (format!(r#"{{"type":"encrypted","key":"{long}","iv":"","data":""}}"#), "key is too long"),
        (format!(r#"{{"type":"encrypted","key":"","iv":"{long}","data":""}}"#), "iv is too long"),
    ] {
        for field in read_both(&json) {
            assert_eq!(envelope(field).unwrap_err().to_string(), expected, "{json}");
        }
    }
}

#[test]
fn an_envelope_as_text_that_was_cut_is_not_taken_for_a_body() {
    let whole = r#"{"type":"encrypted","key":"AA==","iv":"AQI=","data":"AwQF"}"#;
    for cut in r#"{"type":"encrypted","#.len()..whole.len() {
        let text = serde_json::to_string(&whole[..cut]).unwrap();
        assert_eq!(envelope(read(&text)), Err(DecryptError::Cut), "{text}");
    }
}

#[test]
fn texts_are_unwrapped_once_and_nothing_is_nothing() {
    for (json, expected) in [
        (r#""data: {}\n\n""#, Some("data: {}\n\n")),
        (r#"{"a":1}"#, Some(r#"{"a":1}"#)),
        (r#""{\"a\":1}""#, Some(r#"{"a":1}"#)),
        (r#""\"{}\"""#, Some("{}")),
        ("null", None),
        (r#""""#, None),
        (r#""null""#, None),
        (r#""\"\"""#, None),
    ] {
        assert_eq!(read(json), expected.map(|text| Field::Plain(text.to_owned())), "{json}");
    }
}

#[test]
fn it_is_known_where_the_field_is() {
    let record = r#"{"a":1,"b": {"type":"encrypted","key":"AA=="} }"#;
    let raw: std::collections::HashMap<String, &RawValue> = serde_json::from_str(record).unwrap();
    let Some(Field::Sealed(sealed)) = Field::read(raw["b"], record.as_bytes()) else { panic!() };
    assert_eq!(&record[sealed.place], r#"{"type":"encrypted","key":"AA=="}"#);
}

proptest! {
    #[test]
    fn no_text_panics(text: String, members in proptest::collection::vec("\"?[A-Za-z0-9+/={}:,]{0,40}\"?", 3)) {
        let quoted = serde_json::to_string(&text).unwrap();
        read(&quoted);
        let [key, iv, data] = &members[..] else { unreachable!() };
        let built = format!(r#"{{"type":"encrypted","key":{key},"iv":{iv},"data":{data}}}"#);
        read(&serde_json::to_string(&built).unwrap());
        if serde_json::from_str::<&RawValue>(&built).is_ok() {
            read(&built);
        }
    }
}
