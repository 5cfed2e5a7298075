//! What a caller attached to a request, by the rules of Cloudflare's `cf-aig-metadata`: five entries are kept, one value
//! that is null or nested makes all of it null, and names that begin with `cf.` are reserved.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use weir_event::{Metadata, MetadataValue};

use crate::text::{LINE_MAX, NAME_MAX, Text, shorten};

const ENTRIES_MAX: usize = 5;
const RESERVED: &str = "cf.";

/// Entries in the order in which they were written, at most as many as are kept; `None` where there is a value that is no
/// scalar.
struct Entries(Option<Vec<(String, MetadataValue)>>);

/// Reads metadata. What is no JSON object of scalars is none; an empty one is one. Long texts are cut.
pub(super) fn read(json: &str) -> Option<Metadata> {
    if !json.trim_ascii_start().starts_with('{') {
        return None;
    }
    let Entries(entries) = serde_json::from_str(json).ok()?;
    Some(entries?.into_iter().collect())
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of scalars")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = Some(Vec::new());
        while let Some(Text(name)) = map.next_key()? {
            if name.starts_with(RESERVED) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = scalar(map.next_value()?);
            entries = entries.zip(value).map(|(mut entries, value)| {
                if entries.len() < ENTRIES_MAX {
                    entries.push((shorten(name.into_owned(), NAME_MAX), value));
                }
                entries
            });
        }
        Ok(Entries(entries))
    }
}

fn scalar(raw: &RawValue) -> Option<MetadataValue> {
    let value = serde_json::from_str(raw.get()).ok()?;
    Some(match value {
        MetadataValue::Text(text) => MetadataValue::Text(shorten(text, LINE_MAX)),
        value @ (MetadataValue::Number(_) | MetadataValue::Bool(_)) => value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Option<&str>) {
        assert_eq!(read(json).map(|metadata| metadata.to_json()).as_deref(), expected, "{json}");
    }

    #[test]
    fn the_gateways_rules_hold() {
        check(r#"{"user":"u-7","team":3,"beta":true}"#, Some(r#"{"beta":true,"team":3,"user":"u-7"}"#));
        check(r#"{"f":1,"e":2,"d":3,"c":4,"b":5,"a":6}"#, Some(r#"{"b":5,"c":4,"d":3,"e":2,"f":1}"#));
        check(r#"{"cf.dlp":{"a":1},"cf.x":null,"user":"u"}"#, Some(r#"{"user":"u"}"#));
        check("{}", Some("{}"));
        // The sixth is not kept, but it is looked at.
        for nothing in [
            r#"{"user":"u","team":null}"#,
            r#"{"user":"u","team":{"id":1}}"#,
            r#"{"user":["u"]}"#,
            r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"f":null}"#,
            r#"[{"user":"u"}]"#,
            r#"{"user":"u""#,
            r#"{"user":"u"} x"#,
            "user",
            "",
        ] {
            check(nothing, None);
        }
    }

    #[test]
    fn long_texts_are_cut() {
        let long = serde_json::json!({ "n".repeat(1_000): "v".repeat(100_000) }).to_string();
        assert_eq!(read(&long).unwrap().to_json().len(), 256 + 1_024 + r#"{"":""}"#.len());
        let kept = serde_json::json!({ "user": "v".repeat(600) }).to_string();
        check(&kept, Some(&kept));
    }
}
