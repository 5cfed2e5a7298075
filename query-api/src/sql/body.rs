//! What was said: whole bodies, and their beginnings.

use weir_event::{EventId, Scope};
use weir_sql::{BODIES, PAYLOADS_FINAL, Select, Statement};

/// How much of a body its head holds, in characters. Cloudflare does not say how long its own are.
pub const HEAD_CHARS_MAX: u32 = 1_000;

/// Which of the two bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyPart {
    /// The request's.
    Request,
    /// The answer's.
    Response,
}

/// A table that bodies may be in. Of copies the last one counts: a replay of a dead letter may have opened what was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyTable {
    /// That of today.
    Bodies,
    /// That of before. What it has is older than what the other has of the same event.
    Payloads,
}

impl BodyTable {
    /// In the order to look.
    pub const ALL: [Self; 2] = [Self::Bodies, Self::Payloads];

    fn select(self, what: &str, scope: &Scope, id: &EventId) -> Select {
        let name = match self {
            Self::Bodies => BODIES,
            Self::Payloads => PAYLOADS_FINAL,
        };
        Select::new(what, name, scope).bodies_of(id)
    }

    const fn last(self) -> &'static str {
        match self {
            Self::Bodies => " ORDER BY version DESC LIMIT 1",
            Self::Payloads => " LIMIT 1",
        }
    }
}

/// A whole body: no row where none is stored at all in this table, else one row with `body`, which is `NULL` where this one
/// is not.
#[must_use]
pub fn body(scope: &Scope, id: &EventId, part: BodyPart, table: BodyTable) -> Statement {
    let what = match part {
        BodyPart::Request => "request AS body",
        BodyPart::Response => "response AS body",
    };
    table.select(what, scope, id).with_log().push(format_args!("{}", table.last())).finish()
}

/// The beginnings of both bodies with the sizes of the whole in bytes: for who reads the row as well, since they may be there
/// before it.
#[must_use]
pub fn heads(scope: &Scope, id: &EventId, table: BodyTable) -> Statement {
    let what = format!(
        "substringUTF8(request, 1, {HEAD_CHARS_MAX}) AS request_head, length(request) AS request_bytes, \
         substringUTF8(response, 1, {HEAD_CHARS_MAX}) AS response_head, length(response) AS response_bytes"
    );
    table.select(&what, scope, id).push(format_args!("{}", table.last())).finish()
}
