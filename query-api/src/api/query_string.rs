//! A query string as it was sent: in order, and with repeats. A map would lose what dialects depend on.

use percent_encoding::percent_decode;

/// The parameters of a request, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct QueryString {
    pairs: Vec<(String, String)>,
}

/// A name or a value is not UTF-8. It is refused, since a replacement character would ask for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("query string is not utf-8")]
pub(super) struct NotUtf8;

impl QueryString {
    /// Decodes `name=value` pairs: percent escapes in either case, and `+` as a space. An escape that is none stands
    /// for itself, as in browsers. A name without `=` has the value `""`.
    pub(super) fn parse(raw: &str) -> Result<Self, NotUtf8> {
        let pairs = raw.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        });
        Ok(Self { pairs: pairs.collect::<Result<_, NotUtf8>>()? })
    }

    /// The parameters, as sent.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Decodes one segment of a path, in which `+` is a plus.
pub(super) fn decode_segment(raw: &str) -> Result<String, NotUtf8> {
    percent_decode(raw.as_bytes()).decode_utf8().map(Into::into).map_err(|_| NotUtf8)
}

fn decode(raw: &str) -> Result<String, NotUtf8> {
    // Before the escapes, so that %2B stays a plus.
    decode_segment(&raw.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, expected: &[(&str, &str)]) {
        let parsed = QueryString::parse(raw).unwrap();
        assert_eq!(parsed.iter().collect::<Vec<_>>(), expected, "{raw}");
    }

    #[test]
    fn order_and_repeats_are_kept() {
        check("b=1&a=2&b=3&a=", &[("b", "1"), ("a", "2"), ("b", "3"), ("a", "")]);
        check("", &[]);
        check("&&x&=y&", &[("x", ""), ("", "y")]);
    }

    #[test]
    fn escapes_of_every_client_are_understood() {
        check("filters=%5b%7B%22a%22%7d%5D&q=a+b%20c%2Bd", &[("filters", r#"[{"a"}]"#), ("q", "a b c+d")]);
        check("filters[0][key]=x&p={x|y}", &[("filters[0][key]", "x"), ("p", "{x|y}")]);
        check("a=b=c&p=%zz%4&n=%00%F0%9F%A6%80", &[("a", "b=c"), ("p", "%zz%4"), ("n", "\0🦀")]);
        check("start=2024-09-30T09:00:00%2B00:00", &[("start", "2024-09-30T09:00:00+00:00")]);
    }

    #[test]
    fn what_is_not_utf_8_is_refused() {
        assert_eq!(QueryString::parse("a=%ff"), Err(NotUtf8));
        assert_eq!(QueryString::parse("%c3=a"), Err(NotUtf8));
    }
}
