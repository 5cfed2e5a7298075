//! What a client is to do, and what is to come of it.

use serde::Serialize;
use serde_json::value::{RawValue, Value};

/// What a client cannot help doing, so that some calls come out otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// It leaves null out of a query string. Others send the empty text.
    DropsNull,
    /// It leaves the empty text out of a query string.
    DropsEmpty,
    /// It sends all keys, all operators, then all values.
    GroupsColumns,
    /// What was null is zero, as Go's types have it.
    NullIsZero,
}

/// One call, as the programs in `tests/conformance/cloudflare` read it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Call {
    pub(super) operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    /// A JSON object. Its text is kept: the order of its members is the order in which SDKs send them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parameters: Option<Box<RawValue>>,
    /// In place of the token that may do everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) auth: Option<Value>,
}

/// What is to come of a call.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// These members, among others.
    Done(Value),
    /// A status and a code of an error.
    Refused(u16, i64),
}

/// A call and what is to come of it.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) call: Call,
    outcome: Outcome,
    /// With one of these habits the call is a 400 instead.
    refused_with: Vec<Habit>,
}

impl Call {
    pub(super) fn new(operation: &'static str) -> Self {
        Self { operation, id: None, parameters: None, auth: None }
    }

    pub(super) fn of(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    pub(super) fn with(mut self, parameters: impl Into<String>) -> Self {
        self.parameters = Some(RawValue::from_string(parameters.into()).expect("cases are written as JSON"));
        self
    }

    pub(super) fn authorized(mut self, auth: Value) -> Self {
        self.auth = Some(auth);
        self
    }

    pub(super) fn gives(self, members: Value) -> Case {
        Case { call: self, outcome: Outcome::Done(members), refused_with: Vec::new() }
    }

    pub(super) fn refused(self, status: u16, code: i64) -> Case {
        Case { call: self, outcome: Outcome::Refused(status, code), refused_with: Vec::new() }
    }
}

impl Case {
    /// The same, but a 400 where the client has one of these habits.
    pub(super) fn refused_with(mut self, habits: &[Habit]) -> Self {
        self.refused_with = habits.to_vec();
        self
    }

    /// What came of it that was not to come of it, to a client of these habits.
    pub(super) fn objection(&self, habits: &[Habit], found: &Value) -> Option<String> {
        let habitually = self.refused_with.iter().any(|habit| habits.contains(habit));
        let expected = if habitually { &Outcome::Refused(400, 7001) } else { &self.outcome };
        let good = match expected {
            Outcome::Done(_) if found.get("error").is_some() => false,
            Outcome::Done(members) => meets(members, found, habits.contains(&Habit::NullIsZero)),
            Outcome::Refused(status, code) => is_refusal(*status, *code, &found["error"]),
        };
        (!good).then(|| {
            format!("{}\n  gave {found}\n  not  {expected:?}", serde_json::to_string(&self.call).unwrap())
        })
    }
}

/// Whether all members of `expected` are in `found`. Numbers and times are compared by what they mean.
fn meets(expected: &Value, found: &Value, null_is_zero: bool) -> bool {
    match (expected, found) {
        (Value::Object(members), Value::Object(_)) => {
            members.iter().all(|(name, value)| meets(value, &found[name], null_is_zero))
        }
        (Value::Number(expected), Value::Number(found)) => expected.as_f64() == found.as_f64(),
        (Value::Null, Value::String(found)) if null_is_zero => found.is_empty(),
        (Value::Null, Value::Number(found)) if null_is_zero => found.as_f64() == Some(0.0),
        (Value::Null, Value::Bool(found)) if null_is_zero => !found,
        (Value::String(text), Value::String(other)) if text != other => {
            let instant = |text: &str| text.parse::<weir_event::Timestamp>().ok();
            instant(text).is_some_and(|instant_of| instant(other) == Some(instant_of))
        }
        (expected, found) => expected == found,
    }
}

/// An error of the SDKs' class for the status, where they have classes, and with the code.
fn is_refusal(status: u16, code: i64, found: &Value) -> bool {
    let class = match status {
        400 => "BadRequestError",
        401 => "AuthenticationError",
        403 => "PermissionDeniedError",
        404 => "NotFoundError",
        // No other is expected of anything.
        _ => return false,
    };
    let codes = found["codes"]
        .as_array()
        .is_some_and(|codes| !codes.is_empty() && codes.iter().all(|one| *one == code));
    found["status"] == status && codes && found.get("class").is_none_or(|name| name == class)
}
