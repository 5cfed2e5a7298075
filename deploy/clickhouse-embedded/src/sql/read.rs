//! Where a reading statement ends and which format it asks for.
//!
//! Results leave the engine through a named pipe: `INTO OUTFILE` is put in front of the statement's `FORMAT`, or at
//! its end. That gives every format exactly as a server streams it; the chunks of the engine's own streaming call
//! are documents of their own, each with its header.

use super::lexer::{Kind, Lexer, Token};

/// The end of a reading statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadTail {
    /// Where `INTO OUTFILE` belongs.
    pub cut: usize,
    /// The end of the statement, without a final `;`.
    pub end: usize,
    /// The format that the statement names.
    pub format: Option<String>,
}

/// Finds the tail. `is_format` says whether a word is the name of an output format: `ORDER BY format DESC` has none.
#[must_use]
pub fn read_tail(text: &[u8], is_format: impl Fn(&str) -> bool) -> ReadTail {
    let tokens: Vec<Token> = without_semicolons(Lexer::new(text).collect());
    let end = tokens.last().map_or(text.len(), |token| token.end);
    let keyword = (0..tokens.len().saturating_sub(1)).rev().find(|&at| {
        let (keyword, name) = (tokens[at], tokens[at + 1]);
        let followed = tokens.get(at + 2).is_none_or(|next| next.is(text, "SETTINGS"));
        keyword.depth == 0 && keyword.is(text, "FORMAT") && name.kind == Kind::Word && followed
    });
    let named = keyword.and_then(|at| {
        let name = String::from_utf8_lossy(&text[tokens[at + 1].start..tokens[at + 1].end]).into_owned();
        is_format(&name).then_some((tokens[at].start, name))
    });
    match named {
        Some((cut, name)) => ReadTail { cut, end, format: Some(name) },
        None => ReadTail { cut: end, end, format: None },
    }
}

/// Whether the statement itself names a file of the server: `INTO OUTFILE` or `FROM INFILE`.
#[must_use]
pub fn names_a_file(text: &[u8]) -> bool {
    let mut previous: Option<Token> = None;
    Lexer::new(text).any(|token| {
        let before = previous.replace(token);
        let after = |word: &str| before.is_some_and(|before| before.is(text, word));
        token.is(text, "OUTFILE") && after("INTO") || token.is(text, "INFILE") && after("FROM")
    })
}

fn without_semicolons(mut tokens: Vec<Token>) -> Vec<Token> {
    while tokens.last().is_some_and(|token| token.kind == Kind::Mark(b';')) {
        tokens.pop();
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, head: &str, rest: &str, format: Option<&str>) {
        let tail = read_tail(text.as_bytes(), |name| ["json", "tsv"].contains(&name.to_lowercase().as_str()));
        assert_eq!(&text[..tail.cut], head, "{text}");
        assert_eq!(&text[tail.cut..tail.end], rest, "{text}");
        assert_eq!(tail.format.as_deref(), format, "{text}");
    }

    #[test]
    fn the_pipe_goes_before_the_format() {
        check("SELECT 1", "SELECT 1", "", None);
        check("SELECT 1 ; -- x", "SELECT 1", "", None);
        check("SELECT 1 FORMAT JSON;", "SELECT 1 ", "FORMAT JSON", Some("JSON"));
        check("SELECT 1 format tsv SETTINGS a=1", "SELECT 1 ", "format tsv SETTINGS a=1", Some("tsv"));
        check("SELECT ';' AS format", "SELECT ';' AS format", "", None);
        check(
            "SELECT format FROM t ORDER BY format DESC",
            "SELECT format FROM t ORDER BY format DESC",
            "",
            None,
        );
        check("SELECT 1 FORMAT Nope", "SELECT 1 FORMAT Nope", "", None);
        check("SELECT (1 FORMAT JSON)", "SELECT (1 FORMAT JSON)", "", None);
        check("", "", "", None);
    }

    #[test]
    fn files_of_the_server_are_noticed() {
        assert!(names_a_file(b"SELECT 1 INTO /* x */ OUTFILE 'a'"));
        assert!(names_a_file(b"insert into t from infile 'a' format TSV"));
        assert!(!names_a_file(b"SELECT 'INTO OUTFILE', outfile FROM infiles"));
    }
}
