//! The envelopes: what is around a result, or in place of one.

use serde::Serialize;

use crate::view::{EntryDetailView, EntryView, ResultInfo};

/// A page of entries.
#[derive(Debug, Serialize)]
pub(super) struct ListEnvelope {
    pub(super) success: bool,
    pub(super) result: Vec<EntryView>,
    pub(super) result_info: ResultInfo,
}

/// One entry.
#[derive(Debug, Serialize)]
pub(super) struct EntryEnvelope {
    pub(super) success: bool,
    pub(super) result: EntryDetailView,
}

/// What was asked for is done, and there is nothing to show.
#[derive(Debug, Serialize)]
pub(super) struct PatchedEnvelope {
    pub(super) success: bool,
    pub(super) result: EmptyResult,
}

/// The same, where there is no place for anything either.
#[derive(Debug, Serialize)]
pub(super) struct DoneEnvelope {
    pub(super) success: bool,
}

/// A failure. `result` is `{}` on 400, absent on 404 and null elsewhere; `messages` goes with the null.
#[derive(Debug, Serialize)]
pub(super) struct ErrorEnvelope {
    success: bool,
    errors: Vec<Issue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<[(); 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<EmptyResult>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Issue {
    pub(super) code: u32,
    pub(super) message: String,
    /// Where in the request: `["query", "filters", 0, "value"]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) path: Vec<Step>,
}

/// A step of the way to a place in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Step {
    /// What is there by name.
    Name(String),
    /// What is there by number, from 0.
    Number(usize),
}

impl From<&str> for Step {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

/// No result, in the two forms that there are of it.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum EmptyResult {
    Object {},
    Null,
}

impl ErrorEnvelope {
    /// For 400.
    pub(super) fn invalid(errors: Vec<Issue>) -> Self {
        Self { success: false, errors, messages: None, result: Some(EmptyResult::Object {}) }
    }

    /// For 404 of something that an API has.
    pub(super) fn not_found(error: Issue) -> Self {
        Self { success: false, errors: vec![error], messages: None, result: None }
    }

    /// For what the layer in front of Cloudflare's APIs answers: 401, 405, 5xx, and 404 of unknown paths.
    pub(super) fn refused(error: Issue) -> Self {
        Self { success: false, errors: vec![error], messages: Some([]), result: Some(EmptyResult::Null) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_shape() {
        let issue = |path: &[&str]| Issue {
            code: 1,
            message: "m".to_owned(),
            path: path.iter().map(|name| Step::from(*name)).collect(),
        };
        let check = |envelope: ErrorEnvelope, expected: &str| {
            assert_eq!(serde_json::to_string(&envelope).unwrap(), expected);
        };
        check(
            ErrorEnvelope::invalid(vec![issue(&["query", "page"])]),
            r#"{"success":false,"errors":[{"code":1,"message":"m","path":["query","page"]}],"result":{}}"#,
        );
        check(
            ErrorEnvelope::not_found(issue(&[])),
            r#"{"success":false,"errors":[{"code":1,"message":"m"}]}"#,
        );
        check(
            ErrorEnvelope::refused(issue(&[])),
            r#"{"success":false,"errors":[{"code":1,"message":"m"}],"messages":[],"result":null}"#,
        );
    }
}
