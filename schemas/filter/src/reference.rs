//! The reference of filters, made from the catalogue.

use std::fmt::Write;

use crate::{Field, Filter, Kind, NEEDLE_BYTES_MAX};

const KINDS: [Kind; 4] = [Kind::Text, Kind::Number, Kind::Time, Kind::Flag];

/// The page, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = format!("{HEAD}\n| kind | operators | values |\n|---|---|---|\n");
    for kind in KINDS {
        let operators: Vec<_> = kind.operators().iter().map(|operator| format!("`{operator}`")).collect();
        let _ = writeln!(page, "| {kind} | {} | {} |", operators.join(" "), values(kind));
    }
    page.push_str("\n## Fields\n\n| field | kind | what it is |\n|---|---|---|\n");
    for field in Field::all() {
        let _ = writeln!(page, "| `{field}` | {} | {} |", field.kind(), field.about());
    }
    let _ = writeln!(
        page,
        "| `metadata[\"name\"]` | text | the value of the metadata's entry of this name, as text |\n\n## Bounds\n\n\
         At most {} conditions, nested at most {} deep, with at most {} values, whose texts have at most {} bytes in all;\n\
         `contains`, `starts_with` and `like` take 1 to {NEEDLE_BYTES_MAX} bytes. A filter that asks for more is an error.",
        Filter::CONDITIONS_MAX,
        Filter::DEPTH_MAX,
        Filter::VALUES_MAX,
        Filter::BYTES_MAX,
    );
    page
}

const HEAD: &str = r#"# Filters

Made from the catalogue in `schemas/filter`; a test holds the two equal.

A filter says which rows are asked for. As text:

    model contains "gpt" and cost > 0.01 and metadata["team"] = "search"
    not (provider in ("openai", "anthropic") or cached = true) and status_code >= 500
    created_at >= "2026-11-01T00:00:00Z" and error exists

`and` binds closer than `or`; `not` is for what comes next to it; parentheses group. Texts stand in double quotes with the
escapes of JSON. The text of no condition is every row.

A row meets a condition or it does not. A text that the source did not give is the empty text. A number that is not known is
equal to none, different from all, and neither below nor above any; `exists` asks whether it is known. Metadata values are
compared as texts, numbers among them as the APIs print them; `metadata.key` and `metadata.value` each ask whether any entry
has it, and need not be met by the same one. Feedback, score and metadata that were set after a row was stored stand for the
row's own. `=`, `!=`, `in` and `like` take texts to the letter; `contains` and `starts_with` find
letters of any alphabet in either case. `like` is met by a whole text, in which `%` is any characters or none, `_` any one, and
`\%`, `\_` and `\\` (in a text in quotes each `\` twice) are themselves.

## Operators
"#;

const fn values(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "a text in double quotes",
        Kind::Number => "a decimal number of up to 28 digits, compared exactly: `0.01`, `1e-7`",
        Kind::Time => "a time as in RFC 3339, with an offset, in double quotes",
        Kind::Flag => "`true` or `false`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_repository_is_of_this_catalogue() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/FILTERS.md");
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(path, reference()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(page == reference(), "FILTERS.md is of another catalogue: run this with UPDATE_REFERENCE=1");
    }
}
