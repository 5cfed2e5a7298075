//! Texts out of JSON: borrowed where they can be, and no longer than a column should hold.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The longest name that is kept of a model, a user, an id: more is no name, and would fill the dictionaries that
/// ClickHouse keeps of such columns. In characters.
pub(crate) const NAME_MAX: usize = 256;
/// The longest path, error or header that is kept, in characters.
pub(crate) const LINE_MAX: usize = 1_024;

/// A JSON string. It is copied only if it has escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// A name, if that is what the value is; `None` for other types and for the empty text.
pub(crate) fn name(value: &RawValue) -> Option<String> {
    let Text(text) = serde_json::from_str(value.get()).ok()?;
    (!text.is_empty()).then(|| shorten(text.into_owned(), NAME_MAX))
}

/// The text, cut after `characters_max` characters.
pub(crate) fn shorten(mut text: String, characters_max: usize) -> String {
    text.truncate(head(&text, characters_max).len());
    text
}

/// The first `characters_max` characters of the text.
pub(crate) fn head(text: &str, characters_max: usize) -> &str {
    text.char_indices().nth(characters_max).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(shorten("añb".to_owned(), 2), "añ");
        assert_eq!(shorten("añb".to_owned(), 3), "añb");
        assert_eq!(shorten(String::new(), 0), "");
    }
}
