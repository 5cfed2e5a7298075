//! Cuts a JSON array into its elements, each of them a record.
//!
//! An element ends where its brackets close; what is in it is not looked at. Where the array itself is broken (no comma,
//! no end) what is left is one more record: it cannot be read, so it is kept as a dead letter. There may be any number of
//! good records in that, so one that is too long to be kept whole fails the body: its sender still has it.

use std::io::{self, BufRead};

use super::body::BodyError;
use super::chunk::Draft;
use super::nesting::Nesting;
use super::{Chunk, ChunkLimits};

/// Reads elements.
#[derive(Debug)]
pub(super) struct ArrayReader<R> {
    reader: R,
    line_bytes_max: usize,
    /// Whether the array is the one member of an object.
    is_member: bool,
    position: u64,
    behind: Behind,
    /// Whether the element that was read last was too long: where the array is broken behind it, it may have been in it.
    is_last_cut: bool,
}

/// What was read last, but for space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    OpeningBracket,
    Comma,
    Element,
    ClosingBracket,
    /// The end of the array, or of what can be read of it.
    End,
}

impl<R: BufRead> ArrayReader<R> {
    /// Reads from `reader` what is behind the opening bracket, and so many records.
    pub(super) const fn behind(records: u64, is_member: bool, reader: R, limits: ChunkLimits) -> Self {
        Self {
            reader,
            line_bytes_max: limits.line_bytes_max,
            is_member,
            position: records,
            behind: Behind::OpeningBracket,
            is_last_cut: false,
        }
    }

    /// What is behind the array, and how many records there were.
    pub(super) fn into_rest(self) -> (R, u64) {
        (self.reader, self.position)
    }

    /// Adds a record; false behind the end of the array.
    pub(super) fn read_record(&mut self, chunk: &mut Chunk) -> io::Result<bool> {
        loop {
            if self.behind == Behind::End || (self.behind == Behind::ClosingBracket && !self.is_member) {
                return Ok(false);
            }
            let byte = self.peek()?;
            match (self.behind, byte) {
                (Behind::OpeningBracket | Behind::Comma, Some(byte)) if begins_value(byte) => {
                    self.read_element(byte, chunk)?;
                    return Ok(true);
                }
                (Behind::Element, Some(b',')) => self.behind = Behind::Comma,
                (Behind::OpeningBracket | Behind::Element, Some(b']')) => {
                    self.behind = Behind::ClosingBracket;
                }
                (Behind::ClosingBracket, Some(b'}')) => self.is_member = false,
                (_, _) => {
                    self.read_rest(chunk)?;
                    return Ok(true);
                }
            }
            self.reader.consume(1);
        }
    }

    /// The next byte that is no space; it stays where it is.
    fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            let available = self.reader.fill_buf()?;
            if available.is_empty() {
                return Ok(None);
            }
            if let Some(at) = available.iter().position(|byte| !byte.is_ascii_whitespace()) {
                let byte = available[at];
                self.reader.consume(at);
                return Ok(Some(byte));
            }
            let length = available.len();
            self.reader.consume(length);
        }
    }

    /// Adds the element that begins with `first`. One that the body ends in is the last record.
    fn read_element(&mut self, first: u8, chunk: &mut Chunk) -> io::Result<()> {
        let is_bare = is_bare_byte(first);
        let mut nesting = Nesting::default();
        let mut draft = chunk.begin(self.line_bytes_max);
        self.behind = Behind::Element;
        loop {
            let available = self.reader.fill_buf()?;
            if available.is_empty() {
                self.behind = Behind::End;
                break;
            }
            let end = if is_bare {
                available.iter().position(|byte| !is_bare_byte(*byte))
            } else {
                nesting.end_in(available)
            };
            let length = end.unwrap_or(available.len());
            chunk.extend(&mut draft, &available[..length]);
            self.reader.consume(length);
            if end.is_some() {
                break;
            }
        }
        self.end(draft, chunk)
    }

    /// Adds all that is left: nothing where the body ends too early, but a record all the same.
    fn read_rest(&mut self, chunk: &mut Chunk) -> io::Result<()> {
        if self.is_last_cut {
            return Err(BodyError::Broken { position: self.position }.into());
        }
        let mut draft = chunk.begin(self.line_bytes_max);
        loop {
            let available = self.reader.fill_buf()?;
            if available.is_empty() {
                break;
            }
            chunk.extend(&mut draft, available);
            let length = available.len();
            self.reader.consume(length);
        }
        self.behind = Behind::End;
        self.end(draft, chunk)
    }

    fn end(&mut self, draft: Draft, chunk: &mut Chunk) -> io::Result<()> {
        self.position += 1;
        self.is_last_cut = Chunk::is_cut(&draft);
        if self.is_last_cut && self.behind == Behind::End {
            return Err(BodyError::Broken { position: self.position }.into());
        }
        chunk.end(draft, self.position, None);
        Ok(())
    }
}

const fn begins_value(byte: u8) -> bool {
    matches!(byte, b'{' | b'[' | b'"') || is_bare_byte(byte)
}

/// Whether a byte may be in a number, `true`, `false` or `null`.
const fn is_bare_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}
