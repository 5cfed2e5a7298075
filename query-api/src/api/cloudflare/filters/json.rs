//! One JSON text: an array of filters, or one filter; or several of these.

use serde::Deserialize;
use serde::de::{self, Deserializer};
use serde_json::value::RawValue as JsonText;
use weir_filter::{Filter, FilterError};

use super::{ISSUES_MAX, Json, Raw, RawValue};
use crate::api::cloudflare::envelope::Issue;

const EXPECTED: &str = "Expected object with key, operator and value";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonFilter {
    key: String,
    operator: String,
    value: Vec<Json>,
}

/// The filters of all texts, in order.
pub(super) fn read<'v>(texts: impl Iterator<Item = &'v str>) -> Result<Vec<Raw>, Vec<Issue>> {
    let (mut filters, mut issues) = (Vec::new(), Vec::new());
    for text in texts {
        match elements(text) {
            Ok(elements) => {
                for element in elements {
                    let index = filters.len() + issues.len();
                    if index >= Filter::CONDITIONS_MAX {
                        issues.push(Issue::of_query("filters", FilterError::ManyConditions.to_string()));
                        break;
                    }
                    match filter(element.get(), index) {
                        Ok(filter) => filters.push(filter),
                        Err(issue) => issues.push(issue),
                    }
                }
            }
            Err(message) => issues.push(Issue::of_query("filters", message)),
        }
    }
    issues.truncate(ISSUES_MAX);
    if issues.is_empty() { Ok(filters) } else { Err(issues) }
}

fn elements(text: &str) -> Result<Vec<Box<JsonText>>, String> {
    let text = text.trim();
    let elements = if text.starts_with('[') {
        serde_json::from_str(text)
    } else {
        serde_json::from_str(text).map(|element| vec![element])
    };
    elements.map_err(|error| format!("Expected a JSON array of filters: {error}"))
}

fn filter(text: &str, index: usize) -> Result<Raw, Issue> {
    // An array would be read as the parts of one.
    if !text.starts_with('{') {
        return Err(Issue::of_filter(index, None, EXPECTED));
    }
    let filter: JsonFilter = serde_json::from_str(text).map_err(|error| why(text, index, &error))?;
    let values = filter.value.into_iter().map(RawValue::Json).collect();
    Ok(Raw { index: None, key: filter.key, operator: filter.operator, values })
}

/// Says which part is wrong, in the service's words where it is known to have some.
fn why(text: &str, index: usize, error: &serde_json::Error) -> Issue {
    let Ok(parts) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) else {
        return Issue::of_filter(index, None, EXPECTED);
    };
    for part in ["key", "operator", "value"] {
        let expected = if part == "value" { "array" } else { "string" };
        let received = match parts.get(part) {
            None => return Issue::of_filter(index, Some(part), "Required"),
            Some(value) => kind(value),
        };
        if received != expected {
            let message = format!("Expected {expected}, received {received}");
            return Issue::of_filter(index, Some(part), message);
        }
    }
    Issue::of_filter(index, None, error.to_string())
}

const fn kind(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "boolean",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Array(_) => "array",
        serde_json::Value::Object(_) => "object",
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<JsonText>::deserialize(deserializer)?;
        let text = text.get();
        match text.as_bytes().first() {
            Some(b'n') => Ok(Self::Null),
            Some(b't' | b'f') => Ok(Self::Flag(text == "true")),
            Some(b'"') => serde_json::from_str(text).map(Self::Text).map_err(de::Error::custom),
            Some(b'[' | b'{') | None => Err(de::Error::custom("expected string, number, boolean or null")),
            Some(_) => Ok(Self::Number(text.to_owned())),
        }
    }
}
