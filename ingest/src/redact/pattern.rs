//! An operator's own rules: regular expressions, held to limits when they are read and when they are applied.

use std::ops::Range;

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::RedactError;

/// The longest expression, in bytes, and how much memory a compiled one takes.
const EXPRESSION_MAX: usize = 1_000;
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// The longest name.
const NAME_MAX: usize = 32;
/// How many places one expression may match in one text.
const MATCHES_MAX: usize = 10_000;
/// How far one search looks, and how much of that the next one looks at again. A match is at most `OVERLAP` long, or it
/// may be missed where two searches meet; one that is as long as `WINDOW` is an error.
const WINDOW: usize = 64 << 10;
const OVERLAP: usize = 16 << 10;

/// A named regular expression.
#[derive(Clone, Debug)]
pub struct Pattern {
    name: String,
    expression: Regex,
}

/// Why an operator's pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// Not `name=expression`.
    #[error("is not name=expression with a name of up to 32 lower-case letters, digits and '_'")]
    Form,
    /// Too long an expression.
    #[error("is longer than 1000 bytes")]
    TooLong,
    /// One that takes too much memory, or none at all.
    #[error("is no regular expression that can be used: {0}")]
    Expression(String),
    /// It matches where nothing is.
    #[error("matches the empty text")]
    Empty,
}

/// All patterns of an operator.
#[derive(Clone, Debug)]
pub(super) struct Patterns {
    set: RegexSet,
    patterns: Vec<Pattern>,
}

impl Pattern {
    /// Reads `name=expression`.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let (name, expression) = text.split_once('=').ok_or(InvalidPattern::Form)?;
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !(1..=NAME_MAX).contains(&name.len()) || !name.bytes().all(is_word) || expression.is_empty() {
            return Err(InvalidPattern::Form);
        }
        if expression.len() > EXPRESSION_MAX {
            return Err(InvalidPattern::TooLong);
        }
        let expression = RegexBuilder::new(expression)
            .size_limit(COMPILED_BYTES_MAX)
            .build()
            .map_err(|error| InvalidPattern::Expression(last_line(&error)))?;
        let matches_nothing = |text: &str| expression.find_iter(text).any(|found| found.is_empty());
        if ["", " ", "a a", "0-0"].into_iter().any(matches_nothing) {
            return Err(InvalidPattern::Empty);
        }
        Ok(Self { name: name.to_owned(), expression })
    }

    /// Its name, as it stands in what replaces a match.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Each search looks at a bounded stretch, so the work is linear in the text and the number of matches, which is
    /// bounded too. Without that, some expressions (`a.*z|a`) would look through the rest of the text for each match.
    fn find(&self, text: &str, mut found: impl FnMut(Range<usize>)) -> Result<(), RedactError> {
        let (mut at, mut matches) = (0, 0);
        loop {
            let end = text.floor_char_boundary(at + WINDOW);
            let window = text.get(..end).unwrap_or(text);
            let Some(one) = self.expression.find_at(window, at) else {
                if end == text.len() {
                    return Ok(());
                }
                at = text.floor_char_boundary(end - OVERLAP);
                continue;
            };
            if one.end() == end && end < text.len() {
                // It may go on behind the window.
                if one.start() == at {
                    return Err(RedactError::MatchTooLong { limit: WINDOW });
                }
                at = one.start();
                continue;
            }
            matches += 1;
            if matches > MATCHES_MAX {
                return Err(RedactError::TooManyMatches { limit: MATCHES_MAX });
            }
            found(one.range());
            at = if one.is_empty() { text.ceil_char_boundary(one.end() + 1) } else { one.end() };
            if at > text.len() || (one.is_empty() && one.end() == text.len()) {
                return Ok(());
            }
        }
    }
}

impl Patterns {
    /// Fails if all of them together take too much memory.
    pub(super) fn new(patterns: Vec<Pattern>) -> Result<Self, InvalidPattern> {
        let set = RegexSetBuilder::new(patterns.iter().map(|pattern| pattern.expression.as_str()))
            .size_limit(COMPILED_BYTES_MAX * patterns.len().max(1))
            .build()
            .map_err(|error| InvalidPattern::Expression(last_line(&error)))?;
        Ok(Self { set, patterns })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().map(Pattern::name)
    }

    /// Gives every match with the number of its pattern.
    pub(super) fn find(
        &self,
        text: &str,
        mut found: impl FnMut(Range<usize>, usize),
    ) -> Result<(), RedactError> {
        for number in self.set.matches(text) {
            self.patterns[number].find(text, |range| found(range, number))?;
        }
        Ok(())
    }
}

/// A syntax error draws the expression over several lines; the last one says what is wrong.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pattern: &str, text: &str) -> Result<Vec<Range<usize>>, RedactError> {
        let mut found = Vec::new();
        let patterns = Patterns::new(vec![Pattern::parse(pattern).unwrap()]).unwrap();
        patterns.find(text, |range, _| found.push(range)).map(|()| found)
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Pattern::parse(text).unwrap_err().to_string(), expected, "{text}");
        };
        let form = "is not name=expression with a name of up to 32 lower-case letters, digits and '_'";
        for text in ["", "x", "=x", "x=", "X=y", "a b=c", &format!("{}=x", "n".repeat(33))] {
            check(text, form);
        }
        check("x=(", "is no regular expression that can be used: unclosed group");
        check(
            "x=(?<=a)b",
            "is no regular expression that can be used: look-around, including look-ahead and look-behind, is not supported",
        );
        check(
            r"x=(\w{1000}){1000}",
            "is no regular expression that can be used: Compiled regex exceeds size limit of 1048576 bytes.",
        );
        check(&format!("x={}", "a".repeat(1_001)), "is longer than 1000 bytes");
        for text in ["x=a*", r"x=\b", "x=|a", "x=^"] {
            check(text, "matches the empty text");
        }
        assert_eq!(Pattern::parse("a_1=b=c").unwrap().name(), "a_1");
    }

    #[test]
    fn matches_are_found_where_two_searches_meet() {
        for before in
            [0, 1, WINDOW - OVERLAP - 1, WINDOW - OVERLAP, WINDOW - 5, WINDOW - 1, WINDOW, 3 * WINDOW + 7]
        {
            let text = format!("{}EMP-123456 EMP-1", "\u{e9}".repeat(before / 2) + &".".repeat(before % 2));
            assert_eq!(
                find(r"employee=EMP-\d+", &text).unwrap(),
                [before..before + 10, before + 11..before + 16]
            );
        }
    }

    #[test]
    fn beyond_the_limits_is_an_error_and_not_a_part_of_the_matches() {
        assert_eq!(find("x=a", &"a".repeat(MATCHES_MAX)).unwrap().len(), MATCHES_MAX);
        let too_many = RedactError::TooManyMatches { limit: MATCHES_MAX };
        assert_eq!(find("x=a", &"a".repeat(MATCHES_MAX + 1)), Err(too_many));
        assert_eq!(find("x=a+", &"a".repeat(WINDOW)).unwrap().pop(), Some(0..WINDOW));
        let too_long = RedactError::MatchTooLong { limit: WINDOW };
        assert_eq!(find("x=a+", &format!("b{}", "a".repeat(WINDOW + 1))), Err(too_long));
    }

    #[test]
    fn an_expression_that_looks_far_ahead_takes_no_quadratic_time() {
        // 5,000 matches, each after a search for a z that never comes; the rest of the text is long.
        let text = format!("{}{}", "a".repeat(5_000), "b".repeat(8 << 20));
        assert_eq!(find("x=a.*z|a", &text).unwrap().len(), 5_000);
    }
}
