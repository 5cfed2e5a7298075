//! The text form, taken apart into words, values and signs.

use std::fmt;

use rust_decimal::Decimal;

use crate::number::number;
use crate::parse::{PROBLEMS_MAX, Problem};

/// A piece of the text form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token<'t> {
    /// A name, or a word of the language: letters, digits and `_`, joined by `.`.
    Word(&'t str),
    /// What stood in double quotes.
    Text(String),
    /// A number.
    Number(Decimal),
    /// `(`, `)`, `[`, `]`, `,` or an operator.
    Sign(&'static str),
}

/// The longest first, so that `<=` is not `<`.
const SIGNS: [&str; 11] = ["<=", ">=", "!=", "=", "<", ">", "(", ")", "[", "]", ","];

/// The tokens of `text`, each with the byte that it begins at; what is none is a problem.
pub(crate) fn tokens<'t>(text: &'t str, problems: &mut Vec<Problem>) -> Vec<(usize, Token<'t>)> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (length, token) = match first {
            _ if first.is_whitespace() => (first.len_utf8(), Ok(None)),
            '"' => quoted(rest),
            '0'..='9' | '-' | '+' | '.' => {
                let length = length_of(rest, |letter| is_of_word(letter) || "+-.".contains(letter));
                let token = number(&rest[..length]).map(Token::Number);
                (length, token.map(Some).ok_or("not a number of up to 28 digits"))
            }
            _ if is_of_word(first) => {
                let length = length_of(rest, |letter| is_of_word(letter) || letter == '.');
                (length, Ok(Some(Token::Word(&rest[..length]))))
            }
            _ => match SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
                Some(sign) => (sign.len(), Ok(Some(Token::Sign(sign)))),
                None => (first.len_utf8(), Err("not a part of a filter")),
            },
        };
        match token {
            Ok(token) => tokens.extend(token.map(|token| (at, token))),
            Err(what) if problems.len() < PROBLEMS_MAX => {
                problems.push(Problem { at, what: what.to_owned() });
            }
            Err(_) => {}
        }
        at += length;
    }
    tokens
}

/// A text in double quotes, with the escapes of JSON, and how long it is with its quotes.
fn quoted(rest: &str) -> (usize, Result<Option<Token<'_>>, &'static str>) {
    let mut is_escaped = false;
    let end = rest.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    let Some(end) = end else { return (rest.len(), Err("a text without its closing quote")) };
    let length = end + 2;
    let text =
        serde_json::from_str(&rest[..length]).map_err(|_| "a text with an escape that JSON does not have");
    (length, text.map(|text| Some(Token::Text(text))))
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn length_of(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    text.find(|letter| !is_part(letter)).unwrap_or(text.len())
}

/// As a problem names it.
impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "'{}'", word.chars().take(64).collect::<String>()),
            Self::Text(_) => f.write_str("a text"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Sign(sign) => write!(f, "'{sign}'"),
        }
    }
}
