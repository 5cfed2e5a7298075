//! What intake hands on: the bytes of a record, and where they came from.

use weir_event::{Scope, Source};

/// The bytes of one record, not yet looked at.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    /// Its line in the push, from 1.
    pub position: u64,
    /// Its bytes, without the line end.
    pub bytes: &'a [u8],
    /// SHA-256 of the whole line, where that was too long and `bytes` is only its beginning.
    pub cut_from: Option<[u8; 32]>,
}

/// Where a push came from, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whose events it brings.
    pub scope: Scope,
    /// The door it came in through.
    pub source: Source,
    /// Names the push, for dead letters and logs.
    pub batch: String,
    /// When it came in, in epoch milliseconds.
    pub received_at_ms: i64,
}
