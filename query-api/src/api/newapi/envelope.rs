//! The envelope: what is around a result, or in place of one. Its names are in the order of the alphabet, and of what HTML
//! would read nothing stands as it is, for clients that compare texts.

use serde::Serialize;
use warp::http::StatusCode;
use warp::http::header::{CONTENT_TYPE, HeaderValue};
use warp::reply::Response;

use crate::api::reply::json_text;

#[derive(Serialize)]
struct Granted<'d, D> {
    data: &'d D,
    message: &'static str,
    success: bool,
}

#[derive(Serialize)]
struct Refused<'m> {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    message: &'m str,
    success: bool,
}

/// What an OpenAI client reads a failure from.
#[derive(Serialize)]
struct OpenAiFailure<'m> {
    error: OpenAiError<'m>,
}

#[derive(Serialize)]
struct OpenAiError<'m> {
    message: &'m str,
    r#type: &'static str,
    param: &'static str,
    code: &'static str,
}

/// What is around rows that are written one by one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Around {
    /// To the beginning of the list.
    pub(super) before: String,
    /// From its end.
    pub(super) after: String,
}

impl Around {
    /// `data` as what was asked for, with one list in it, which is empty.
    pub(super) fn new(data: &impl Serialize) -> Self {
        let text = written(&Granted { data, message: "", success: true });
        let (before, after) = text.split_once("[]").expect("there is an empty list in it");
        Self { before: format!("{before}["), after: format!("]{after}") }
    }
}

/// `data`, as what was asked for.
pub(super) fn success(data: &impl Serialize) -> Response {
    body(StatusCode::OK, &Granted { data, message: "", success: true })
}

/// The same, with something to be said of it.
pub(super) fn success_saying(data: &impl Serialize, message: &'static str) -> Response {
    body(StatusCode::OK, &Granted { data, message, success: true })
}

/// A failure, in words, and where there is one with a code.
pub(super) fn failure(status: StatusCode, code: Option<&'static str>, message: &str) -> Response {
    body(status, &Refused { code, message, success: false })
}

/// A failure as OpenAI's clients read it.
pub(super) fn openai_failure(status: StatusCode, r#type: &'static str, message: &str) -> Response {
    body(status, &OpenAiFailure { error: OpenAiError { message, r#type, param: "", code: "" } })
}

/// `value` alone.
pub(super) fn body(status: StatusCode, value: &impl Serialize) -> Response {
    with_charset(json_text(status, written(value)))
}

/// `value` as JSON.
pub(super) fn written(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("views have names for keys and no value that JSON lacks");
    escaped(&text)
}

/// The same response, which says that it is JSON and in which letters.
pub(super) fn with_charset(mut response: Response) -> Response {
    let with_charset = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, with_charset);
    response
}

/// JSON in which what could be markup, or the end of a line of a script, is written by its number. Such characters are in texts
/// alone.
fn escaped(json: &str) -> String {
    const MARKS: [char; 5] = ['<', '>', '&', '\u{2028}', '\u{2029}'];
    let mut text = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find(MARKS) {
        let mark = rest[at..].chars().next().expect("one was found there");
        text.push_str(&rest[..at]);
        text.push_str(match mark {
            '<' => "\\u003c",
            '>' => "\\u003e",
            '&' => "\\u0026",
            '\u{2028}' => "\\u2028",
            _ => "\\u2029",
        });
        rest = &rest[at + mark.len_utf8()..];
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_markup_is_written_by_its_number_and_means_the_same() {
        let check = |json: &str, expected: &str| {
            assert_eq!(escaped(json), expected);
            let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            assert_eq!(read(json), read(expected));
        };
        check(r#"{"a":"<b> & 名"}"#, r#"{"a":"\u003cb\u003e \u0026 名"}"#);
        check("[\"\u{2028}x\u{2029}\"]", r#"["\u2028x\u2029"]"#);
        check(r#""\"\\<""#, r#""\"\\\u003c""#);
        check("[]", "[]");
    }

    #[test]
    fn rows_that_are_written_one_by_one_stand_where_the_list_does() {
        #[derive(Serialize)]
        struct Page {
            page: u8,
            items: Vec<u8>,
        }
        let Around { before, after } = Around::new(&Page { page: 7, items: Vec::new() });
        let whole =
            written(&Granted { data: &Page { page: 7, items: vec![1, 2] }, message: "", success: true });
        assert_eq!(format!("{before}1,2{after}"), whole);
    }
}
