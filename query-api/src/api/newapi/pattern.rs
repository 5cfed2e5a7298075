//! Names that stand for several.

use weir_filter::TextTest;
use weir_filter::like::literally;

/// How a name is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patterns {
    /// Always a pattern, in which `%` and `_` stand for others.
    Always,
    /// A pattern where it has a `%`, in which `_` is itself.
    Explicit,
}

/// A pattern that would match too much. Clients see the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatternError {
    /// Two `%` side by side.
    #[error("搜索模式中不允许包含连续的 % 通配符")]
    Adjacent,
    /// More than two `%`.
    #[error("搜索模式中最多允许包含 2 个 % 通配符")]
    Many,
    /// Less than two bytes beside them.
    #[error("使用模糊搜索时，关键词长度至少为 2 个字符")]
    Short,
}

/// What a name has to be.
pub(super) fn pattern(patterns: Patterns, text: &str) -> Result<TextTest, PatternError> {
    match patterns {
        Patterns::Always if text.contains(['%', '_', '\\']) => Ok(TextTest::Like(text.to_owned())),
        Patterns::Explicit if text.contains('%') => explicit(text).map(TextTest::Like),
        Patterns::Always | Patterns::Explicit => Ok(TextTest::Eq(text.to_owned())),
    }
}

fn explicit(text: &str) -> Result<String, PatternError> {
    // new-api looks at the pattern when it has escaped it: each of these counts twice.
    let escaped = |byte: &u8| matches!(byte, b'_' | b'!');
    let others = text.bytes().filter(|byte| *byte != b'%');
    let length: usize = others.map(|byte| if escaped(&byte) { 2 } else { 1 }).sum();
    match text.matches('%').count() {
        _ if text.contains("%%") => Err(PatternError::Adjacent),
        3.. => Err(PatternError::Many),
        _ if length < 2 => Err(PatternError::Short),
        _ => {
            let pieces: Vec<_> = text.split('%').map(literally).collect();
            Ok(pieces.join("%"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(patterns: Patterns, text: &str, expected: &str) {
        let found = match pattern(patterns, text) {
            Ok(TextTest::Eq(text)) => format!("= {text}"),
            Ok(TextTest::Like(text)) => format!("like {text}"),
            Ok(other) => panic!("{other:?}"),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn where_names_are_always_patterns_nothing_is_added() {
        check(Patterns::Always, "gpt-4o", "= gpt-4o");
        check(Patterns::Always, "gpt%", "like gpt%");
        check(Patterns::Always, "gpt_4o", "like gpt_4o");
        check(Patterns::Always, "%%%", "like %%%");
        check(Patterns::Always, r"a\%", r"like a\%");
    }

    #[test]
    fn where_patterns_are_explicit_they_are_bounded_and_only_the_sign_is_one() {
        check(Patterns::Explicit, "gpt_4o", "= gpt_4o");
        check(Patterns::Explicit, r"gpt\", r"= gpt\");
        check(Patterns::Explicit, "gpt_4%", r"like gpt\_4%");
        check(Patterns::Explicit, r"%a\b%", r"like %a\\b%");
        check(Patterns::Explicit, "a%b", "like a%b");
        check(Patterns::Explicit, "a%%b", "Adjacent");
        check(Patterns::Explicit, "%%%", "Adjacent");
        check(Patterns::Explicit, "a%b%c%", "Many");
        check(Patterns::Explicit, "%", "Short");
        check(Patterns::Explicit, "a%", "Short");
        check(Patterns::Explicit, "_%", r"like \_%");
        check(Patterns::Explicit, "中%", "like 中%");
    }
}
