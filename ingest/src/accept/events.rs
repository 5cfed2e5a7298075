//! What a request with events says of its body: in which form the records are written and how they are put together.
//!
//! CloudEvents come as their HTTP binding has it (version 1.0.2): one as JSON, a batch of them, or in binary mode, where
//! the body is the data of one event and its attributes are headers.

use std::borrow::Cow;

use percent_encoding::percent_decode;
use warp::http::header::CONTENT_TYPE;
use warp::http::{HeaderMap, HeaderValue};

use super::{Attributes, Form, Framing};

/// The media types that are taken, as `Accept` says it.
pub(super) const MEDIA_TYPES: &str = "application/json, application/x-ndjson, application/cloudevents+json, \
    application/cloudevents-batch+json";
/// What an attribute's name begins with as a header.
const ATTRIBUTE_PREFIX: &str = "ce-";

/// What is wrong with what a request says.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EventsError {
    #[error("the content type is not one of {MEDIA_TYPES}")]
    ContentType,
    #[error("form is not one of canonical, cloudevents, cloudflare_log, new_api_log")]
    Form,
    #[error("the only parameter is form")]
    Parameter,
    #[error("the headers say that it is a CloudEvent, and form that it is none")]
    Conflict,
    #[error("the value of the header {0} is not UTF-8")]
    Attribute(String),
}

/// Reads the query's parameters and the headers.
pub(super) fn told(
    parameters: &[(String, String)],
    headers: &HeaderMap,
) -> Result<(Form, Framing), EventsError> {
    let form = form(parameters)?;
    let media_type = media_type(headers);
    let framing = match media_type.as_str() {
        "application/cloudevents+json" | "application/cloudevents-batch+json" => Framing::Documents,
        _ if headers.contains_key("ce-specversion") => Framing::Message(attributes(headers)?),
        "" | "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
            return Ok((form.unwrap_or(Form::Events), Framing::Lines));
        }
        "application/json" => return Ok((form.unwrap_or(Form::Events), Framing::Documents)),
        _ => return Err(EventsError::ContentType),
    };
    match form {
        None | Some(Form::CloudEvents) => Ok((Form::CloudEvents, framing)),
        Some(_) => Err(EventsError::Conflict),
    }
}

fn form(parameters: &[(String, String)]) -> Result<Option<Form>, EventsError> {
    match parameters {
        [] => Ok(None),
        [(name, value)] if name == "form" => {
            let form = value.parse().ok().filter(|form| may_be_asked_for(*form));
            form.map(Some).ok_or(EventsError::Form)
        }
        [..] => Err(EventsError::Parameter),
    }
}

/// Events are what is taken where nothing is asked for, and Logpush has a path of its own.
const fn may_be_asked_for(form: Form) -> bool {
    match form {
        Form::Canonical | Form::CloudEvents | Form::CloudflareLog | Form::NewApiLog => true,
        Form::Events | Form::Logpush => false,
    }
}

/// The media type without its parameters, in small letters; empty where there is none.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let name = value.split(|byte| *byte == b';').next().unwrap_or_default();
    String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase()
}

/// The attributes of a CloudEvent in binary mode. The content type is that of its data.
fn attributes(headers: &HeaderMap) -> Result<Attributes, EventsError> {
    let mut attributes = Vec::new();
    for (header, value) in headers {
        let name = match header.as_str().strip_prefix(ATTRIBUTE_PREFIX) {
            Some("datacontenttype") => continue,
            Some(name) => name,
            None if header == CONTENT_TYPE => "datacontenttype",
            None => continue,
        };
        let value = attribute_value(value.as_bytes());
        let value = value.ok_or_else(|| EventsError::Attribute(header.to_string()))?;
        attributes.push((name.to_owned(), value));
    }
    Ok(attributes.into_iter().collect())
}

/// An attribute's value: its header's without quotes, then percent-decoded once (section 3.1.3.2).
fn attribute_value(value: &[u8]) -> Option<String> {
    let value = unquoted(value.trim_ascii());
    percent_decode(&value).decode_utf8().ok().map(Cow::into_owned)
}

/// What a quoted string (RFC 9110 section 5.6.4) stands for; anything else is itself.
fn unquoted(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(inner) = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
        return value.into();
    };
    let mut plain = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        let escaped = if *byte == b'\\' { bytes.next() } else { None };
        plain.push(*escaped.unwrap_or(byte));
    }
    plain.into()
}

#[cfg(test)]
mod tests {
    use warp::http::HeaderName;

    use super::*;

    fn headers(headers: &[(&str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&str, &str)| {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            (name.parse::<HeaderName>().unwrap(), value)
        };
        headers.iter().map(header).collect()
    }

    fn told_of(query: &[(&str, &str)], with: &[(&str, &str)]) -> Result<(Form, Framing), EventsError> {
        let query: Vec<_> = query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        told(&query, &headers(with))
    }

    #[test]
    fn the_content_type_says_how_records_are_put_together() {
        let check = |media_type: &str, expected| {
            assert_eq!(told_of(&[], &[("content-type", media_type)]), expected, "{media_type}");
        };
        check("application/json", Ok((Form::Events, Framing::Documents)));
        check("Application/JSON; charset=utf-8", Ok((Form::Events, Framing::Documents)));
        check("application/x-ndjson", Ok((Form::Events, Framing::Lines)));
        check("application/cloudevents+json", Ok((Form::CloudEvents, Framing::Documents)));
        check(
            "application/cloudevents-batch+json;charset=utf-8",
            Ok((Form::CloudEvents, Framing::Documents)),
        );
        check("application/x-www-form-urlencoded", Err(EventsError::ContentType));
        check("application/cloudevents+avro", Err(EventsError::ContentType));
        assert_eq!(told_of(&[], &[]), Ok((Form::Events, Framing::Lines)));
    }

    #[test]
    fn a_form_may_be_fixed_and_an_unknown_one_is_refused() {
        let check = |query: &[(&str, &str)], expected| {
            assert_eq!(told_of(query, &[]).map(|(form, _)| form), expected, "{query:?}");
        };
        check(&[("form", "canonical")], Ok(Form::Canonical));
        check(&[("form", "cloudevents")], Ok(Form::CloudEvents));
        check(&[("form", "cloudflare_log")], Ok(Form::CloudflareLog));
        check(&[("form", "new_api_log")], Ok(Form::NewApiLog));
        check(&[("form", "")], Err(EventsError::Form));
        check(&[("form", "logpush")], Err(EventsError::Form));
        check(&[("form", "events")], Err(EventsError::Form));
        check(&[("from", "canonical")], Err(EventsError::Parameter));
        check(&[("form", "canonical"), ("form", "canonical")], Err(EventsError::Parameter));
        let cloud_event = [("content-type", "application/cloudevents+json")];
        assert_eq!(told_of(&[("form", "canonical")], &cloud_event), Err(EventsError::Conflict));
        let named = told_of(&[("form", "cloudevents")], &cloud_event);
        assert_eq!(named, Ok((Form::CloudEvents, Framing::Documents)));
        let listed = EventsError::Form.to_string();
        for form in Form::ALL {
            let name = form.as_str();
            let is_listed = listed.split([' ', ',']).any(|word| word == name);
            assert_eq!(is_listed, told_of(&[("form", name)], &[]).is_ok(), "{name}: {listed}");
        }
    }

    #[test]
    fn in_binary_mode_headers_are_attributes() {
        let with = [
            ("content-type", "application/json; charset=utf-8"),
            ("ce-specversion", "1.0"),
            ("CE-Type", "weir.usage"),
            ("ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80 100%25"),
            ("ce-source", r#""/a \"b\"%2Fc""#),
            ("ce-datacontenttype", "text/plain"),
            ("authorization", "Bearer secret"),
        ];
        let Ok((Form::CloudEvents, Framing::Message(attributes))) = told_of(&[], &with) else {
            panic!("is no message");
        };
        assert_eq!(
            attributes.iter().collect::<Vec<_>>(),
            [
                ("datacontenttype", "application/json; charset=utf-8"),
                ("source", "/a \"b\"/c"),
                ("specversion", "1.0"),
                ("subject", "Euro € 😀 100%"),
                ("type", "weir.usage"),
            ]
        );
        let structured = [("content-type", "application/cloudevents+json"), ("ce-specversion", "1.0")];
        assert_eq!(told_of(&[], &structured), Ok((Form::CloudEvents, Framing::Documents)));
        let broken = told_of(&[], &[("ce-specversion", "1.0"), ("ce-id", "%ff")]);
        assert_eq!(broken, Err(EventsError::Attribute("ce-id".to_owned())));
    }
}
