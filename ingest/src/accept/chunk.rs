//! Records in chunks of bounded size.

use std::io;
use std::ops::Range;

use sha2::{Digest, Sha256};

use super::{Attributes, RawRecord};

/// How many chunks of one push or file may be on their way to the store while the next one is read: about as many as make
/// a full write.
pub(crate) const CHUNKS_PENDING_MAX: usize = 8;
/// How much of a record that is too long is kept, in bytes: enough to see what it was.
const KEPT_OF_TOO_LONG_BYTES: usize = 65_536;

/// When a chunk is full. It may exceed `bytes_max` by one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkLimits {
    /// Records in a chunk.
    pub lines_max: usize,
    /// Bytes in a chunk.
    pub bytes_max: usize,
    /// Bytes in a record.
    pub line_bytes_max: usize,
}

/// Some consecutive records, in one piece of memory.
#[derive(Debug, Default)]
pub struct Chunk {
    bytes: Vec<u8>,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    position: u64,
    range: Range<usize>,
    cut_from: Option<[u8; 32]>,
    attributes: Option<Attributes>,
}

/// A record that is being added piece by piece. Beyond the limit it is counted on and hashed, not held.
#[derive(Debug)]
pub(super) struct Draft {
    begin: usize,
    bytes_max: usize,
    whole: Option<Sha256>,
}

impl Chunk {
    /// The records, in order.
    pub fn records(&self) -> impl Iterator<Item = RawRecord<'_>> {
        self.lines.iter().map(|line| RawRecord {
            position: line.position,
            bytes: &self.bytes[line.range.clone()],
            cut_from: line.cut_from,
            came_as: None,
            attributes: line.attributes.as_ref(),
        })
    }

    /// Adds a record that came in one piece, such as a message of its own.
    pub fn push(&mut self, position: u64, bytes: &[u8], attributes: Option<Attributes>) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.lines.push(Line { position, range: begin..self.bytes.len(), cut_from: None, attributes });
    }

    /// The same, but of one that is longer than `bytes_max` only the beginning is held.
    pub fn push_within(
        &mut self,
        bytes_max: usize,
        position: u64,
        bytes: &[u8],
        attributes: Option<Attributes>,
    ) {
        let mut draft = self.begin(bytes_max);
        self.extend(&mut draft, bytes);
        self.end(draft, position, attributes);
    }

    /// Whether it has no record.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether it is not full yet.
    #[must_use]
    pub const fn has_room(&self, limits: &ChunkLimits) -> bool {
        self.lines.len() < limits.lines_max && self.bytes.len() < limits.bytes_max
    }

    /// The position of its last record.
    #[must_use]
    pub fn last_position(&self) -> Option<u64> {
        self.lines.last().map(|line| line.position)
    }

    /// The same without the records before `first`; `None` where there is no other.
    #[must_use]
    pub fn from_position(mut self, first: u64) -> Option<Self> {
        self.lines.retain(|line| line.position >= first);
        (!self.is_empty()).then_some(self)
    }

    /// Bytes of its records.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Lets `add` add records until the chunk is full or there are no more; `None` if there was none.
    pub(super) fn fill(
        limits: &ChunkLimits,
        mut add: impl FnMut(&mut Self) -> io::Result<bool>,
    ) -> io::Result<Option<Self>> {
        let mut chunk = Self::default();
        while chunk.has_room(limits) {
            if !add(&mut chunk)? {
                break;
            }
        }
        Ok((!chunk.lines.is_empty()).then_some(chunk))
    }

    /// Begins a record of which at most `bytes_max` bytes are held. What is added before its end belongs to it.
    pub(super) const fn begin(&self, bytes_max: usize) -> Draft {
        Draft { begin: self.bytes.len(), bytes_max, whole: None }
    }

    /// Adds the next bytes of a record.
    pub(super) fn extend(&mut self, draft: &mut Draft, part: &[u8]) {
        let room = draft.bytes_max - self.held(draft).len();
        if let Some(hasher) = &mut draft.whole {
            hasher.update(part);
        } else if part.len() > room {
            let start = Sha256::new_with_prefix(self.held(draft));
            draft.whole = Some(start.chain_update(part));
            self.bytes.extend_from_slice(&part[..room]);
        } else {
            self.bytes.extend_from_slice(part);
        }
    }

    /// The same for text: space before the first of it is no part of the record.
    pub(super) fn extend_text(&mut self, draft: &mut Draft, part: &[u8]) {
        let part = if self.held(draft).is_empty() { part.trim_ascii_start() } else { part };
        self.extend(draft, part);
    }

    /// Ends a record of text: nor is space behind the last of it, and where there is no other there is no record. One that was
    /// cut had more than space, however little of it is held.
    pub(super) fn end_text(&mut self, draft: Draft, position: u64) {
        let length = self.held(&draft).trim_ascii_end().len();
        if length > 0 || Self::is_cut(&draft) {
            self.end_at(length, draft, position, None);
        } else {
            self.bytes.truncate(draft.begin);
        }
    }

    /// Ends a record.
    pub(super) fn end(&mut self, draft: Draft, position: u64, attributes: Option<Attributes>) {
        self.end_at(self.held(&draft).len(), draft, position, attributes);
    }

    fn end_at(&mut self, length: usize, draft: Draft, position: u64, attributes: Option<Attributes>) {
        let Draft { begin, bytes_max, whole } = draft;
        let kept = if whole.is_some() { KEPT_OF_TOO_LONG_BYTES.min(bytes_max) } else { length };
        let cut_from = whole.map(|hasher| hasher.finalize().into());
        self.bytes.truncate(begin + kept);
        self.lines.push(Line { position, range: begin..self.bytes.len(), cut_from, attributes });
    }

    /// Whether only the beginning of a record is held.
    pub(super) const fn is_cut(draft: &Draft) -> bool {
        draft.whole.is_some()
    }

    fn held(&self, draft: &Draft) -> &[u8] {
        &self.bytes[draft.begin..]
    }
}
