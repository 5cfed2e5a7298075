//! Where an `INSERT` ends and its data begins.
//!
//! The engine takes the two apart: a statement without `FORMAT`, the format's name, and the data as a stream of
//! bytes. Data that stays in the statement's text is cut at its first `;` byte, silently.

use super::lexer::{Kind, Lexer, Token};

/// The head of an insert with data: `INSERT INTO t (a, b) SETTINGS x = 1 FORMAT Name <data>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsertHead {
    /// The statement without format and data.
    pub statement: Vec<u8>,
    /// The format of the data.
    pub format: String,
    /// Where the data begins in the text.
    pub data_start: usize,
    /// The statement reads a file of the server (`FROM INFILE`): it must be refused.
    pub from_file: bool,
}

/// Whether the text starts with the keyword `INSERT`.
#[must_use]
pub fn is_insert(text: &[u8]) -> bool {
    Lexer::new(text).next().is_some_and(|token| token.is(text, "INSERT"))
}

/// Finds the head of an insert with data. `None` for every other statement, `INSERT .. SELECT` included.
#[must_use]
pub fn insert_head(text: &[u8]) -> Option<InsertHead> {
    let mut lexer = Lexer::new(text);
    if !lexer.next()?.is(text, "INSERT") {
        return None;
    }
    let mut tokens = after_target(text, lexer)?;
    let mut from_file = false;
    loop {
        let token = tokens.next()?;
        if token.depth > 0 {
            continue;
        }
        if token.is(text, "SELECT") || token.is(text, "WITH") || token.is(text, "WATCH") {
            return None;
        }
        if token.is(text, "INFILE") {
            from_file = true;
        }
        if token.is(text, "VALUES") {
            let statement = text[..token.start].to_vec();
            return Some(InsertHead {
                statement,
                format: "Values".to_owned(),
                data_start: token.end,
                from_file,
            });
        }
        if token.is(text, "FORMAT") {
            let name = tokens.next()?;
            return head_with_format(text, token, name, from_file);
        }
    }
}

/// Skips `[INTO] [TABLE] [FUNCTION] name[.name]`, whose names may be spelled like keywords.
fn after_target<'a>(text: &'a [u8], mut lexer: Lexer<'a>) -> Option<Lexer<'a>> {
    let mut token = lexer.next()?;
    for word in ["INTO", "TABLE", "FUNCTION"] {
        if token.is(text, word) {
            token = lexer.next()?;
        }
    }
    while matches!(token.kind, Kind::Word | Kind::Name) {
        let after_name = token.end;
        let mut ahead = Lexer::starting_at(text, after_name);
        if ahead.next()?.kind != Kind::Mark(b'.') {
            return Some(Lexer::starting_at(text, after_name));
        }
        token = ahead.next()?;
        lexer = ahead;
    }
    Some(lexer)
}

fn head_with_format(text: &[u8], keyword: Token, name: Token, from_file: bool) -> Option<InsertHead> {
    if name.kind != Kind::Word {
        return None;
    }
    let mut statement = text[..keyword.start].to_vec();
    let mut end = name.end;
    if let Some(settings_end) = settings_end(text, name.end) {
        // Settings may also stand after the format; the engine takes them before it.
        statement.extend_from_slice(b" ");
        statement.extend_from_slice(&text[name.end..settings_end]);
        end = settings_end;
    }
    let format = String::from_utf8_lossy(&text[name.start..name.end]).into_owned();
    Some(InsertHead { statement, format, data_start: data_start(text, end), from_file })
}

/// The end of `SETTINGS a = 1, b = 'x'` after the format, if that is what stands there.
fn settings_end(text: &[u8], at: usize) -> Option<usize> {
    let mut lexer = Lexer::starting_at(text, at);
    if !lexer.next()?.is(text, "SETTINGS") {
        return None;
    }
    loop {
        let (name, equals, value) = (lexer.next()?, lexer.next()?, lexer.next()?);
        let literal = matches!(value.kind, Kind::Number | Kind::Text | Kind::Word);
        if name.kind != Kind::Word || equals.kind != Kind::Mark(b'=') || !literal {
            return None;
        }
        let end = value.end;
        let mut ahead = Lexer::starting_at(text, end);
        match ahead.next() {
            Some(comma) if comma.kind == Kind::Mark(b',') => lexer = ahead,
            Some(_) | None => return Some(end),
        }
    }
}

/// ClickHouse's rule: blanks after the format's name are skipped, then one line end; all else is data.
fn data_start(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | 0x0c)) {
        at += 1;
    }
    if text.get(at) == Some(&b'\r') {
        at += 1;
    }
    if text.get(at) == Some(&b'\n') {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, &str, &str)>) {
        let head = insert_head(text.as_bytes());
        let found = head.as_ref().map(|head| {
            (std::str::from_utf8(&head.statement).unwrap(), head.format.as_str(), &text[head.data_start..])
        });
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn the_data_begins_where_clickhouse_says() {
        check("INSERT INTO t FORMAT RowBinary", Some(("INSERT INTO t ", "RowBinary", "")));
        check("insert into t(a, b) format TSV\n1\t2\n", Some(("insert into t(a, b) ", "TSV", "1\t2\n")));
        check("INSERT INTO t FORMAT TSV  \t\r\n\n1", Some(("INSERT INTO t ", "TSV", "\n1")));
        check(
            "INSERT INTO t FORMAT JSONEachRow {\"a\":1}",
            Some(("INSERT INTO t ", "JSONEachRow", "{\"a\":1}")),
        );
        check("INSERT INTO t VALUES (1,';')", Some(("INSERT INTO t ", "Values", " (1,';')")));
        check(
            "/* c */ INSERT INTO `a b`.`f;` (`x`) SETTINGS async_insert=0 FORMAT CSV\n1",
            Some(("/* c */ INSERT INTO `a b`.`f;` (`x`) SETTINGS async_insert=0 ", "CSV", "1")),
        );
        check(
            "INSERT INTO t FORMAT CSV SETTINGS a=1, b='x;y'\n1",
            Some(("INSERT INTO t   SETTINGS a=1, b='x;y'", "CSV", "1")),
        );
    }

    #[test]
    fn names_like_keywords_are_names() {
        check("INSERT INTO values VALUES (1)", Some(("INSERT INTO values ", "Values", " (1)")));
        check(
            "INSERT INTO format.select (values) FORMAT TSV\n",
            Some(("INSERT INTO format.select (values) ", "TSV", "")),
        );
        check(
            "INSERT INTO FUNCTION file('x', 'TSV') FORMAT TSV\n1",
            Some(("INSERT INTO FUNCTION file('x', 'TSV') ", "TSV", "1")),
        );
    }

    #[test]
    fn statements_without_data_are_not_inserts_with_data() {
        for text in [
            "INSERT INTO t SELECT 1",
            "INSERT INTO t (a) WITH 1 AS x SELECT x",
            "INSERT INTO t",
            "SELECT 1",
            "",
            "INSERT",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn infile_is_noticed() {
        let head = insert_head(b"INSERT INTO t FROM INFILE '/etc/passwd' FORMAT TSV").unwrap();
        assert!(head.from_file);
    }
}
