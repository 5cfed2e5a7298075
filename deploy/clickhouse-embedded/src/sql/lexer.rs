//! Tokens of ClickHouse SQL, over bytes: statements may hold any.
//!
//! Never panics and never allocates; an unterminated string or comment runs to the end of the text.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A keyword or bare identifier.
    Word,
    /// A number, loosely: whatever starts with a digit.
    Number,
    /// A string literal or heredoc.
    Text,
    /// A quoted identifier.
    Name,
    /// One byte of punctuation.
    Mark(u8),
}

/// A token's place in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// How many brackets are open around it. A bracket itself counts as outside.
    pub depth: usize,
}

impl Token {
    /// Whether this is the keyword `word`, in any case of letters.
    #[must_use]
    pub fn is(&self, text: &[u8], word: &str) -> bool {
        self.kind == Kind::Word && text[self.start..self.end].eq_ignore_ascii_case(word.as_bytes())
    }
}

/// Iterates over the tokens of a text; comments and white space are skipped.
pub struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Lexer<'a> {
    /// Starts at the beginning.
    #[must_use]
    pub fn new(text: &'a [u8]) -> Self {
        Self::starting_at(text, 0)
    }

    /// Starts inside the text, outside any bracket.
    #[must_use]
    pub fn starting_at(text: &'a [u8], at: usize) -> Self {
        Self { text, at, depth: 0 }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn skip_blanks(&mut self) {
        while self.at < self.text.len() {
            match (self.peek(0), self.peek(1)) {
                (byte, _) if byte.is_ascii_whitespace() || byte == 0x0b => self.at += 1,
                (b'-', b'-') | (b'#', b' ' | b'!') => self.skip_past(b"\n"),
                (b'/', b'*') => {
                    self.at += 2;
                    self.skip_past(b"*/");
                }
                _ => return,
            }
        }
    }

    fn skip_past(&mut self, what: &[u8]) {
        let rest = &self.text[self.at.min(self.text.len())..];
        let found = rest.windows(what.len()).position(|window| window == what);
        self.at = found.map_or(self.text.len(), |found| self.at + found + what.len());
    }

    /// Skips a quoted token: a backslash or a doubled quote keeps it open.
    fn skip_quoted(&mut self, quote: u8) {
        self.at += 1;
        while self.at < self.text.len() {
            match self.peek(0) {
                b'\\' => self.at += 2,
                byte if byte == quote && self.peek(1) == quote => self.at += 2,
                byte if byte == quote => {
                    self.at += 1;
                    return;
                }
                _ => self.at += 1,
            }
        }
        self.at = self.text.len();
    }

    fn skip_word(&mut self) {
        while is_word(self.peek(0)) && self.at < self.text.len() {
            self.at += 1;
        }
    }

    /// `$tag$ .. $tag$`; false if this dollar sign starts no heredoc.
    fn skip_heredoc(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let Some(close) = rest[1..].iter().position(|byte| !is_word(*byte) || *byte == b'$') else {
            return false;
        };
        if rest[1 + close] != b'$' {
            return false;
        }
        let tag = &rest[..close + 2];
        self.at += tag.len();
        self.skip_past(tag);
        true
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.skip_blanks();
        if self.at >= self.text.len() {
            return None;
        }
        let start = self.at;
        let mut depth = self.depth;
        let kind = match self.peek(0) {
            b'\'' => {
                self.skip_quoted(b'\'');
                Kind::Text
            }
            quote @ (b'"' | b'`') => {
                self.skip_quoted(quote);
                Kind::Name
            }
            b'$' if self.skip_heredoc() => Kind::Text,
            byte if byte.is_ascii_digit() => {
                self.skip_word();
                Kind::Number
            }
            byte if is_word(byte) => {
                self.skip_word();
                Kind::Word
            }
            mark => {
                self.at += 1;
                match mark {
                    b'(' | b'[' | b'{' => self.depth += 1,
                    b')' | b']' | b'}' => {
                        self.depth = self.depth.saturating_sub(1);
                        depth = self.depth;
                    }
                    _ => {}
                }
                Kind::Mark(mark)
            }
        };
        Some(Token { kind, start, end: self.at, depth })
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> =
            Lexer::new(text.as_bytes()).map(|token| &text[token.start..token.end]).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn strings_and_comments_hide_what_they_hold() {
        check("SELECT 'a;\\'b''c' -- ;\n, `x``y`", &["SELECT", "'a;\\'b''c'", ",", "`x``y`"]);
        check("/* FORMAT */ f($$ ; $$, $t$ ' $t$)", &["f", "(", "$$ ; $$", ",", "$t$ ' $t$", ")"]);
        check("# x\n#! y\n1e5.2", &["1e5", ".", "2"]);
        check("'open", &["'open"]);
        check("/* open", &[]);
        check("a-- open", &["a"]);
    }

    proptest! {
        #[test]
        fn any_bytes_lex_to_tokens_in_order(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut last = 0;
            for token in Lexer::new(&text) {
                prop_assert!(token.start >= last && token.end > token.start && token.end <= text.len());
                last = token.end;
            }
        }

        #[test]
        fn any_quotes_lex_to_tokens_in_order(text in "[ '\"`\\\\$;a(){}\\-/*#\n]{0,60}") {
            let mut last = 0;
            for token in Lexer::new(text.as_bytes()) {
                prop_assert!(token.start >= last && token.end > token.start && token.end <= text.len());
                last = token.end;
            }
        }
    }
}
