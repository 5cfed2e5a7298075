//! The text form, read. Everything that is wrong with it is said at once, with its place.
//!
//! ```text
//! filter    = [ any ]
//! any       = all { "or" all }
//! all       = one { "and" one }
//! one       = "not" one | "(" any ")" | condition
//! condition = field ( operator value | "in" "(" value { "," value } ")" | "exists" )
//! field     = name | "metadata" "[" text "]"
//! operator  = "=" | "!=" | "<" | "<=" | ">" | ">=" | "contains" | "starts_with" | "like"
//! value     = text | number | "true" | "false"
//! ```

use std::str::FromStr;

use crate::filter::single;
use crate::token::{Token, tokens};
use crate::{Field, Filter, FilterError, Node, Operator, Texts, Value};

/// Why a text is not a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Parts of it are not understood.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Problems(Vec<Problem>),
    /// It asks for too much.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// It is longer than [`Filter::TEXT_BYTES_MAX`].
    #[error("a filter of more than {} bytes", Filter::TEXT_BYTES_MAX)]
    Long,
}

/// One thing that is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {what}")]
pub struct Problem {
    /// Where, in bytes from 0.
    pub at: usize,
    /// What.
    pub what: String,
}

/// So many problems are told at once.
pub(crate) const PROBLEMS_MAX: usize = 20;

/// Reads tokens from left to right.
struct Parser<'t> {
    tokens: Vec<(usize, Token<'t>)>,
    next: usize,
    end: usize,
    depth: usize,
    problems: Vec<Problem>,
}

/// A problem is noted, and what belongs to it is left.
struct Noted;

type Read<T> = Result<T, Noted>;

impl Filter {
    /// How long the text form may be, in bytes: what the bounds admit, escaped.
    pub const TEXT_BYTES_MAX: usize = 256 * 1_024;
}

impl FromStr for Filter {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.len() > Self::TEXT_BYTES_MAX {
            return Err(ParseError::Long);
        }
        let mut problems = Vec::new();
        let tokens = tokens(text, &mut problems);
        if tokens.is_empty() && problems.is_empty() {
            return Ok(Self::default());
        }
        let mut parser = Parser { tokens, next: 0, end: text.len(), depth: 0, problems };
        let node = parser.all_of_it();
        parser.problems.sort_by_key(|problem| problem.at);
        match node {
            Ok(node) if parser.problems.is_empty() => Ok(Self::new(node)?),
            _ => Err(ParseError::Problems(parser.problems)),
        }
    }
}

impl<'t> Parser<'t> {
    fn all_of_it(&mut self) -> Read<Node> {
        let mut node = self.any();
        while self.peek().is_some() {
            node = node.and(Err(self.unexpected("expected 'and', 'or' or the end")));
            // What follows is read for its own mistakes.
            self.next += 1;
            self.pass_over_condition();
            if self.take_word("and") || self.take_word("or") {
                node = self.any().and(node);
            }
        }
        node
    }

    fn any(&mut self) -> Read<Node> {
        self.joined("or", Self::all).map(|nodes| single(nodes).unwrap_or_else(Node::Or))
    }

    fn all(&mut self) -> Read<Node> {
        self.joined("and", Self::one).map(|nodes| single(nodes).unwrap_or_else(Node::And))
    }

    /// What `part` reads, once or more with `word` between. After a problem it goes on behind the next `word`.
    fn joined(&mut self, word: &str, part: fn(&mut Self) -> Read<Node>) -> Read<Vec<Node>> {
        let mut nodes = vec![part(self)];
        while self.take_word(word) {
            nodes.push(part(self));
        }
        nodes.into_iter().collect()
    }

    fn one(&mut self) -> Read<Node> {
        if self.depth > Filter::DEPTH_MAX {
            self.next = self.tokens.len();
            return Err(self.problem(FilterError::Deep.to_string()));
        }
        self.depth += 1;
        let node = if self.take_word("not") {
            self.one().map(|node| Node::Not(Box::new(node)))
        } else if self.take_sign("(") {
            let node = self.any();
            self.expect_sign(")").and(node)
        } else {
            let node = self.condition();
            if node.is_err() {
                self.pass_over_condition();
            }
            node
        };
        self.depth -= 1;
        node
    }

    fn condition(&mut self) -> Read<Node> {
        let at = self.at();
        let field = self.field()?;
        let operator = self.operator()?;
        let values = match operator {
            Operator::Exists => Vec::new(),
            Operator::In => self.values()?,
            _ => vec![self.value()?],
        };
        Node::condition(&field, operator, &values).map_err(|error| self.note(at, error.to_string()))
    }

    fn field(&mut self) -> Read<Field> {
        let (at, word) = (self.at(), self.word("expected a field")?);
        if word == "metadata" && self.take_sign("[") {
            let Some(Token::Text(name)) = self.peek().cloned() else {
                return Err(self.unexpected("expected the name of an entry in double quotes"));
            };
            self.next += 1;
            return self.expect_sign("]").map(|()| Field::Text(Texts::Entry(name)));
        }
        Field::named(word).ok_or_else(|| {
            let word = Token::Word(word);
            self.note(at, format!("there is no field {word}"))
        })
    }

    fn operator(&mut self) -> Read<Operator> {
        let symbol = match self.peek() {
            Some(Token::Word(word)) => *word,
            Some(Token::Sign(sign)) => *sign,
            _ => "",
        };
        let operator = Operator::ALL.into_iter().find(|operator| operator.symbol() == symbol);
        let operator = operator.ok_or_else(|| self.unexpected("expected an operator"))?;
        self.next += 1;
        Ok(operator)
    }

    fn values(&mut self) -> Read<Vec<Value>> {
        self.expect_sign("(")?;
        let mut values = vec![self.value()?];
        while self.take_sign(",") {
            values.push(self.value()?);
        }
        self.expect_sign(")").map(|()| values)
    }

    fn value(&mut self) -> Read<Value> {
        let value = match self.peek() {
            Some(Token::Text(text)) => Value::Text(text.clone()),
            Some(Token::Number(number)) => Value::Number(*number),
            Some(Token::Word("true")) => Value::Flag(true),
            Some(Token::Word("false")) => Value::Flag(false),
            _ => return Err(self.unexpected("expected a text in double quotes, a number, true or false")),
        };
        self.next += 1;
        Ok(value)
    }

    /// Goes to what may follow a condition, on this level of parentheses.
    fn pass_over_condition(&mut self) {
        let mut open = 0_usize;
        while let Some(token) = self.peek() {
            match token {
                Token::Sign("(") => open += 1,
                Token::Sign(")") | Token::Word("and" | "or") if open == 0 => return,
                Token::Sign(")") => open -= 1,
                _ => {}
            }
            self.next += 1;
        }
    }

    fn peek(&self) -> Option<&Token<'t>> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(at, _)| *at)
    }

    fn word(&mut self, expected: &str) -> Read<&'t str> {
        match self.peek() {
            Some(Token::Word(word)) if !matches!(*word, "and" | "or") => {
                let word = *word;
                self.next += 1;
                Ok(word)
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_next = matches!(self.peek(), Some(Token::Word(next)) if *next == word);
        self.next += usize::from(is_next);
        is_next
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let is_next = matches!(self.peek(), Some(Token::Sign(next)) if *next == sign);
        self.next += usize::from(is_next);
        is_next
    }

    fn expect_sign(&mut self, sign: &str) -> Read<()> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.unexpected(&format!("expected '{sign}'"))) }
    }

    fn unexpected(&mut self, expected: &str) -> Noted {
        let found = self.peek().map_or_else(|| "the end".to_owned(), ToString::to_string);
        self.problem(format!("{expected}, found {found}"))
    }

    fn problem(&mut self, what: String) -> Noted {
        self.note(self.at(), what)
    }

    fn note(&mut self, at: usize, what: String) -> Noted {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { at, what });
        }
        Noted
    }
}

#[cfg(test)]
mod tests;
