//! Which model names an entry of the price book is for.

use regex::bytes::Regex;

/// One rule about a model's name. Names are compared in lower case.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    /// The name of this very spelling.
    Exact(Box<str>),
    /// Every name that begins so.
    Prefix(Box<str>),
    /// Every name that ends so.
    Suffix(Box<str>),
    /// Every name that has this in it.
    Contains(Box<str>),
    /// Every name that the expression finds something in; `^` and `$` tie it down.
    Regex(Regex),
}

impl Pattern {
    /// Whether the rule holds for a name in lower case.
    pub(crate) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *name,
            Self::Prefix(prefix) => name.starts_with(&**prefix),
            Self::Suffix(suffix) => name.ends_with(&**suffix),
            Self::Contains(part) => name.contains(&**part),
            Self::Regex(regex) => regex.is_match(name.as_bytes()),
        }
    }
}

/// A name whose last date is written compact, with the date dashed: `gpt-5.2-20251211` as `gpt-5.2-2025-12-11`.
pub(crate) fn with_dashed_date(name: &str) -> Option<String> {
    let mut digits = 0;
    // From the end: the last run of exactly eight digits, since a date stands behind the name.
    for (end, is_digit) in name.bytes().map(|byte| byte.is_ascii_digit()).enumerate().rev() {
        digits = if is_digit { digits + 1 } else { 0 };
        let is_run = digits == 8 && (end == 0 || !name.as_bytes()[end - 1].is_ascii_digit());
        if is_run && plausible_date(&name[end..end + 8]) {
            let (year, month, day) = (&name[end..end + 4], &name[end + 4..end + 6], &name[end + 6..end + 8]);
            return Some(format!("{}{year}-{month}-{day}{}", &name[..end], &name[end + 8..]));
        }
    }
    None
}

fn plausible_date(digits: &str) -> bool {
    digits.starts_with("20")
        && ("01"..="12").contains(&&digits[4..6])
        && ("01"..="31").contains(&&digits[6..8])
}

/// Whether a name is a dated or numbered form of another: that name, then `-`, `@` or `:`, then only digits and dashes.
pub(crate) fn is_version_of(name: &str, of: &str) -> bool {
    let bytes = name.as_bytes();
    let Some((head, tail)) = bytes.split_at_checked(of.len()) else { return false };
    let [b'-' | b'@' | b':', version @ ..] = tail else { return false };
    !of.is_empty()
        && head.eq_ignore_ascii_case(of.as_bytes())
        && version.iter().any(u8::is_ascii_digit)
        && version.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compact_date_is_dashed() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(with_dashed_date(name).as_deref(), expected, "{name}");
        };
        check("gpt-5.2-20251211", Some("gpt-5.2-2025-12-11"));
        check("gpt-5.2-20251211-preview", Some("gpt-5.2-2025-12-11-preview"));
        check("20251211", Some("2025-12-11"));
        check("m-20240101-20251211", Some("m-20240101-2025-12-11"));
        check("gpt-5.2-2025-12-11", None);
        check("m-120251211", None);
        check("m-202512110", None);
        check("m-20251311", None);
        check("m-20251232", None);
        check("m-19991211", None);
        check("", None);
        check("é20251211é", Some("é2025-12-11é"));
    }

    #[test]
    fn a_version_is_the_name_and_a_number() {
        for version in ["gpt-5.2-2027-01-01", "gpt-5.2@20270101", "gpt-5.2-001", "GPT-5.2:1"] {
            assert!(is_version_of(version, "gpt-5.2"), "{version}");
        }
        let others = [
            "gpt-5.2",
            "gpt-5.2-",
            "gpt-5.2--",
            "gpt-5.2-mini",
            "gpt-5.2-2027-mini",
            "gpt-5.21",
            "gpt-5",
            "é",
        ];
        for other in others {
            assert!(!is_version_of(other, "gpt-5.2"), "{other}");
        }
        assert!(!is_version_of("-1", ""));
        assert!(!is_version_of("aé-1", "aéé"));
    }
}
