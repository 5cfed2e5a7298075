//! `filters`, in every form in which clients send it.
//!
//! A form only says which texts belong to which filter; what they mean is read here. What cannot be told apart without
//! guessing is an error: a filter that was lost would list, or delete, what nobody asked for.

mod brackets;
mod dotted;
mod json;

use weir_filter::{
    ConditionError, EntrySide, Field, FlagField, NEEDLE_BYTES_MAX, Node, NumberField, Operator, TextField,
    Texts, TimeField, Value, number,
};

use super::envelope::Issue;
use super::instant::instant;
use crate::api::query_string::QueryString;

/// Unknown names are repeated to the client up to this length.
pub(super) const NAME_CHARS_MAX: usize = 64;

/// So many problems are told at once.
const ISSUES_MAX: usize = 20;

/// One filter, before anything of it is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Raw {
    /// The number that the client gave it; without one, its place.
    index: Option<usize>,
    key: String,
    operator: String,
    values: Vec<RawValue>,
}

/// A value as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RawValue {
    /// In JSON.
    Json(Json),
    /// As plain text, of which the field says what it is.
    Plain(String),
    /// The same by an SDK, of which two send null as the empty text.
    Dotted(String),
}

/// A scalar of JSON. Numbers are kept as they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Json {
    Null,
    Flag(bool),
    Number(String),
    Text(String),
}

/// The form of a parameter's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `filters`: JSON.
    Json,
    /// `filters.key`: the SDKs'.
    Dotted,
    /// `filters[0][key]`.
    Brackets,
}

/// What hangs on a filter that is not read as it was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caution {
    /// What is shown: others see what they asked for.
    Lists,
    /// What is gone. A filter that may have lost a value on its way is refused where the lost one would have kept logs.
    Deletes,
}

/// Whether a parameter is a part of `filters`.
pub(super) fn is_part(name: &str) -> bool {
    form(name).is_some()
}

/// The conditions that the parameters ask for, all of which have to hold.
pub(super) fn read(parameters: &QueryString, caution: Caution) -> Result<Vec<Node>, Vec<Issue>> {
    let parts: Vec<_> =
        parameters.iter().filter_map(|(name, value)| Some((form(name)?, name, value))).collect();
    let Some((first, _, _)) = parts.first() else { return Ok(Vec::new()) };
    if parts.iter().any(|(form, _, _)| form != first) {
        let message = "Filters are given in several forms; send one JSON array";
        return Err(vec![Issue::of_query("filters", message)]);
    }
    let parts = parts.iter().map(|(_, name, value)| (*name, *value));
    let filters = match first {
        Form::Json => json::read(parts.map(|(_, value)| value)),
        Form::Dotted => dotted::read(parts, caution),
        Form::Brackets => brackets::read(parts),
    };
    let (mut nodes, mut issues) = (Vec::new(), Vec::new());
    for (index, filter) in filters?.into_iter().enumerate() {
        match filter.node(index) {
            Ok(node) => nodes.push(node),
            Err(issue) => issues.push(issue),
        }
    }
    issues.truncate(ISSUES_MAX);
    if issues.is_empty() { Ok(nodes) } else { Err(issues) }
}

fn form(name: &str) -> Option<Form> {
    match name.strip_prefix("filters")?.chars().next() {
        None => Some(Form::Json),
        Some('.') => Some(Form::Dotted),
        Some('[') => Some(Form::Brackets),
        Some(_) => None,
    }
}

/// The keys that Cloudflare's clients know, and the fields that they are.
static KEYS: [(&str, Field); 26] = [
    ("id", text(TextField::Id)),
    ("created_at", Field::Time(TimeField::CreatedAt)),
    ("request_content_type", text(TextField::RequestContentType)),
    ("response_content_type", text(TextField::ResponseContentType)),
    ("request_type", text(TextField::RequestType)),
    ("success", Field::Flag(FlagField::Success)),
    ("cached", Field::Flag(FlagField::Cached)),
    ("provider", text(TextField::Provider)),
    ("model", text(TextField::Model)),
    ("model_type", text(TextField::ModelType)),
    ("cost", Field::Number(NumberField::Cost)),
    ("tokens", Field::Number(NumberField::Tokens)),
    ("tokens_in", Field::Number(NumberField::TokensIn)),
    ("tokens_out", Field::Number(NumberField::TokensOut)),
    ("duration", Field::Number(NumberField::DurationMs)),
    ("feedback", Field::Number(NumberField::Feedback)),
    ("event_id", text(TextField::EventId)),
    ("metadata.key", Field::Text(Texts::AnyEntry(EntrySide::Key))),
    ("metadata.value", Field::Text(Texts::AnyEntry(EntrySide::Value))),
    ("authentication", Field::Flag(FlagField::Authentication)),
    ("wholesale", Field::Flag(FlagField::Wholesale)),
    ("compatibilityMode", Field::Flag(FlagField::CompatibilityMode)),
    ("dlp_action", text(TextField::DlpAction)),
    ("user_agent", text(TextField::UserAgent)),
    ("prompts.prompt_id", text(TextField::PromptId)),
    ("prompts.version_id", text(TextField::PromptVersionId)),
];

const OPERATORS: [(&str, Operator); 5] = [
    ("eq", Operator::Eq),
    ("neq", Operator::Neq),
    ("contains", Operator::Contains),
    ("lt", Operator::Lt),
    ("gt", Operator::Gt),
];

const fn text(field: TextField) -> Field {
    Field::Text(Texts::Of(field))
}

impl Raw {
    fn node(&self, place: usize) -> Result<Node, Issue> {
        let index = self.index.unwrap_or(place);
        let of = |part: &str, message: String| Issue::of_filter(index, Some(part), message);
        let field = field(&self.key).map_err(|message| of("key", message))?;
        let operator = OPERATORS.iter().find(|(name, _)| *name == self.operator);
        let operator =
            operator.ok_or_else(|| of("operator", expected(OPERATORS.iter().map(|(name, _)| name))))?.1;
        if self.values.is_empty() {
            return Err(of("value", "Array must contain at least 1 element(s)".to_owned()));
        }
        let values = self.values.iter().map(|value| value.of(&field));
        let values: Vec<_> = values.collect::<Result<_, _>>().map_err(|message| of("value", message))?;
        Node::condition(&field, operator, &values).map_err(|error| match error {
            ConditionError::Operator { .. } => {
                let admitted = OPERATORS.iter().filter(|(_, one)| field.kind().operators().contains(one));
                let message = format!("{} for '{}'", expected(admitted.map(|(name, _)| name)), self.key);
                of("operator", message)
            }
            ConditionError::ManyValues { .. } => of("value", format!("'{}' takes one value", self.operator)),
            ConditionError::EmptyNeedle { .. } => of("value", format!("'{}' takes a text", self.operator)),
            ConditionError::LongNeedle { .. } => {
                of("value", format!("'{}' takes at most {NEEDLE_BYTES_MAX} bytes", self.operator))
            }
            ConditionError::Type { .. } | ConditionError::NoValue { .. } => of("value", mismatch(&field)),
        })
    }
}

impl RawValue {
    /// The value as one of `field`. Numbers and flags may stand in quotes: the SDKs have nothing else.
    fn of(&self, field: &Field) -> Result<Value, String> {
        let plain = match self {
            Self::Json(Json::Null) => return Ok(Value::Null),
            Self::Json(Json::Flag(flag)) if matches!(field, Field::Flag(_)) => return Ok(Value::Flag(*flag)),
            Self::Json(Json::Number(text)) if matches!(field, Field::Number(_)) => text,
            Self::Json(Json::Flag(_) | Json::Number(_)) => return Err(mismatch(field)),
            Self::Dotted(text) if text.is_empty() => {
                return match field {
                    // To a field of its own, what is not there is the empty text.
                    Field::Text(Texts::Of(_)) => Ok(Value::Text(text.clone())),
                    Field::Text(_) => {
                        Err("It cannot be told whether null or \"\" is meant; send filters as one JSON array"
                            .to_owned())
                    }
                    Field::Number(_) | Field::Time(_) | Field::Flag(_) => Ok(Value::Null),
                };
            }
            Self::Json(Json::Text(text)) | Self::Plain(text) | Self::Dotted(text) => text,
        };
        match field {
            Field::Text(_) => Ok(Value::Text(plain.clone())),
            Field::Number(_) => number(plain).map(Value::Number).ok_or_else(|| mismatch(field)),
            Field::Time(_) => instant(plain).map(Value::Time).map_err(str::to_owned),
            Field::Flag(_) => plain.parse().map(Value::Flag).map_err(|_| mismatch(field)),
        }
    }
}

fn mismatch(field: &Field) -> String {
    match field {
        Field::Text(Texts::AnyEntry(_) | Texts::Entry(_)) => {
            "Expected string: metadata is compared as text".to_owned()
        }
        Field::Text(_) => "Expected string".to_owned(),
        Field::Number(_) => "Expected number of up to 28 digits".to_owned(),
        Field::Time(_) => "Expected a date and time as in RFC 3339".to_owned(),
        Field::Flag(_) => "Expected boolean".to_owned(),
    }
}

/// The field of a key.
fn field(key: &str) -> Result<Field, String> {
    let known = KEYS.iter().find(|(name, _)| *name == key);
    known.map(|(_, field)| field.clone()).ok_or_else(|| expected(KEYS.iter().map(|(name, _)| name)))
}

fn expected<'n>(names: impl Iterator<Item = &'n &'n str>) -> String {
    let names: Vec<_> = names.map(|name| format!("'{name}'")).collect();
    format!("Invalid enum value. Expected {}", names.join(" | "))
}

pub(super) fn shortened(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
