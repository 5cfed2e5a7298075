//! What was said: whole bodies, and their beginnings.

use weir_event::{EventId, Scope};
use weir_sql::{PAYLOADS_FINAL, Select, Statement};

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

/// A whole body: no row where none is stored at all, else one row with `body`, which is `NULL` where this one is not.
/// Of copies that are not merged yet the last one counts: a replay of a dead letter may have opened what was closed.
#[must_use]
pub fn body(scope: &Scope, id: &EventId, part: BodyPart) -> Statement {
    let what = match part {
        BodyPart::Request => "request AS body",
        BodyPart::Response => "response AS body",
    };
    Select::new(what, PAYLOADS_FINAL, scope).bodies_of(id).push(format_args!(" LIMIT 1")).finish()
}

/// The beginnings of both bodies with the sizes of the whole in bytes.
#[must_use]
pub fn heads(scope: &Scope, id: &EventId) -> Statement {
    let what = format!(
        "substringUTF8(request, 1, {HEAD_CHARS_MAX}) AS request_head, length(request) AS request_bytes, \
         substringUTF8(response, 1, {HEAD_CHARS_MAX}) AS response_head, length(response) AS response_bytes"
    );
    Select::new(&what, PAYLOADS_FINAL, scope).bodies_of(id).push(format_args!(" LIMIT 1")).finish()
}
