//! From a request to the way its statement must run.
//!
//! Three ways: a reading statement writes its result into a pipe, an insert takes its data as a stream, and
//! everything else runs as it is and has a small result. What a statement is, the engine's own parser says.

use std::io::{Cursor, Read};
use std::path::Path;

use super::request::QueryRequest;
use crate::codec;
use crate::engine::{Class, Facts, Lease};
use crate::exception::{Code, Exception};
use crate::sql::{InsertHead, Kind, Lexer, insert_head, is_insert, names_a_file, read_tail};

/// No statement is read beyond this, whatever `max_query_size` says.
const STATEMENT_BYTES_MAX: usize = 256 << 20;
/// The engine's default output format over HTTP.
const DEFAULT_FORMAT: &str = "TabSeparated";
/// For the trial parse of a cut statement.
const TRIAL_PATH: &str = "/weir.pipe";

/// How to run a statement.
pub(super) enum Plan {
    /// Through a pipe.
    Read(ReadPlan),
    /// As it is.
    Whole {
        /// The statement.
        sql: Vec<u8>,
        /// The format of what it answers.
        format: String,
    },
    /// As a stream of data.
    Insert {
        /// The statement.
        head: InsertHead,
        /// The data, decoded.
        data: Box<dyn Read + Send>,
    },
}

/// A reading statement, cut where `INTO OUTFILE` belongs.
#[derive(Debug)]
pub(super) struct ReadPlan {
    before: Vec<u8>,
    after: Vec<u8>,
    /// The result's format, named by the statement or else by the request.
    pub(super) format: String,
}

impl ReadPlan {
    /// The statement that writes its result to `path`.
    pub(super) fn sql(&self, path: &Path) -> Vec<u8> {
        let path = path.display().to_string().replace('\\', "\\\\").replace('\'', "\\'");
        let into = format!("\nINTO OUTFILE '{path}' TRUNCATE\n");
        [self.before.as_slice(), into.as_bytes(), self.after.as_slice()].concat()
    }
}

/// Reads the statement from the URL and the body and decides how to run it. Blocks.
pub(super) fn plan(
    request: &QueryRequest,
    body: Box<dyn Read + Send>,
    facts: &Facts,
    lease: &mut Lease,
) -> Result<Plan, Exception> {
    let mut body = codec::request_decoder(body, request.body_encoding.as_deref(), request.body_blocks)?;
    if let Some(head) = insert_head(&request.statement) {
        let data = data_after(&request.statement[head.data_start..], body);
        return insert(request, head, data);
    }
    let limit = request.statement_bytes_max.min(STATEMENT_BYTES_MAX);
    let text = statement_text(&request.statement, &mut body, limit)?;
    if is_insert(&text)
        && let Some(head) = insert_head(&text)
    {
        let data = Box::new(Cursor::new(text[head.data_start..].to_vec()).chain(body));
        return insert(request, head, data);
    }
    if text.len() > limit {
        return Err(Exception::new(
            Code::SyntaxError,
            "Syntax error: Max query size exceeded (can be increased with the `max_query_size` setting)",
        ));
    }
    statement(request, text, facts, lease)
}

fn insert(request: &QueryRequest, head: InsertHead, data: Box<dyn Read + Send>) -> Result<Plan, Exception> {
    if head.from_file {
        return Err(no_files());
    }
    if request.read_only {
        return Err(read_only());
    }
    Ok(Plan::Insert { head, data })
}

fn statement(
    request: &QueryRequest,
    text: Vec<u8>,
    facts: &Facts,
    lease: &mut Lease,
) -> Result<Plan, Exception> {
    if names_a_file(&text) {
        return Err(no_files());
    }
    let Some(first) = Lexer::new(&text).next() else {
        return Err(Exception::new(Code::SyntaxError, "Empty query"));
    };
    let (count, class) = lease.classify(&text);
    if count > 1 {
        return Err(Exception::new(Code::SyntaxError, "Syntax error (Multi-statements are not allowed)"));
    }
    let tail = read_tail(&text, |name| facts.output_format(name).is_some());
    let fallback = request.format.as_deref().unwrap_or(DEFAULT_FORMAT);
    if !fallback.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(Exception::new(
            Code::BadArguments,
            format!("{fallback:?} cannot be the name of a format"),
        ));
    }
    let format = tail.format.clone().unwrap_or_else(|| fallback.to_owned());
    match class {
        Class::Read => {
            let after = match tail.format {
                Some(_) => text[tail.cut..tail.end].to_vec(),
                None => format!("FORMAT {format}").into_bytes(),
            };
            let cut = ReadPlan { before: text[..tail.cut].to_vec(), after, format: format.clone() };
            // A file name in the text makes it a statement of the control class; anything else means a wrong cut.
            if lease.classify(&cut.sql(Path::new(TRIAL_PATH))) == (1, Class::Control) {
                return Ok(Plan::Read(cut));
            }
        }
        Class::Write | Class::WriteGlobal if request.read_only => return Err(read_only()),
        Class::Write | Class::WriteGlobal => {}
        Class::Control => {
            if request.read_only && !first.is(&text, "SET") && !first.is(&text, "USE") {
                return Err(read_only());
            }
            lease.will_change();
        }
        Class::Unknown => return unknown(request, text, format, lease),
    }
    Ok(Plan::Whole { sql: text, format })
}

/// A text that the classifier could not read: most often a syntax error, which the engine words best.
fn unknown(
    request: &QueryRequest,
    sql: Vec<u8>,
    format: String,
    lease: &mut Lease,
) -> Result<Plan, Exception> {
    // The engine's client takes some lone words, such as `exit`, as orders to itself; a server does not.
    if Lexer::new(&sql).filter(|token| token.kind != Kind::Mark(b';')).count() < 2 {
        let text = String::from_utf8_lossy(&sql);
        return Err(Exception::new(
            Code::SyntaxError,
            format!("Syntax error: failed at position 1: {}", text.trim()),
        ));
    }
    lease.will_change();
    if request.read_only {
        lease.query(b"SET readonly = 2", DEFAULT_FORMAT, &[])?;
    }
    Ok(Plan::Whole { sql, format })
}

/// The statement's text: what the URL says, a line end, and the body, up to one byte more than the limit.
fn statement_text(url: &[u8], body: &mut dyn Read, limit: usize) -> Result<Vec<u8>, Exception> {
    let mut text = url.to_vec();
    if !text.is_empty() {
        text.push(b'\n');
    }
    let room = u64::try_from(limit.saturating_add(1).saturating_sub(text.len())).unwrap_or(u64::MAX);
    body.take(room).read_to_end(&mut text).map_err(|error| codec::exception_of(&error))?;
    Ok(text)
}

/// Data in the URL after the statement, then the body. Blanks alone are not data.
fn data_after(inline: &[u8], body: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
    if inline.trim_ascii().is_empty() {
        return body;
    }
    let inline: Vec<u8> = [inline, b"\n"].concat();
    Box::new(Read::chain(Cursor::new(inline), body))
}

fn no_files() -> Exception {
    Exception::new(Code::IntoOutfileNotAllowed, "INTO OUTFILE and FROM INFILE are not allowed over HTTP")
}

fn read_only() -> Exception {
    Exception::new(
        Code::Readonly,
        "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. \
         You should use method POST for modifying queries",
    )
}
