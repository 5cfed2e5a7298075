//! Splits a stream of bytes into lines, and lines into chunks of bounded size.

use std::io::{self, BufRead};
use std::ops::Range;

use sha2::{Digest, Sha256};

use super::{Attributes, RawRecord};

/// How much of a line that is too long is kept, in bytes: enough to see what it was.
const KEPT_OF_TOO_LONG_BYTES: usize = 65_536;

/// When a chunk is full. It may exceed `bytes_max` by one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkLimits {
    /// Lines in a chunk.
    pub lines_max: usize,
    /// Bytes in a chunk.
    pub bytes_max: usize,
    /// Bytes in a line.
    pub line_bytes_max: usize,
}

/// Some consecutive lines, in one piece of memory.
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

/// Reads chunks of lines. Empty lines are passed over; the last line needs no line end.
#[derive(Debug)]
pub struct LineReader<R> {
    reader: R,
    limits: ChunkLimits,
    position: u64,
}

impl Chunk {
    /// The records, in order.
    pub fn records(&self) -> impl Iterator<Item = RawRecord<'_>> {
        self.lines.iter().map(|line| RawRecord {
            position: line.position,
            bytes: &self.bytes[line.range.clone()],
            cut_from: line.cut_from,
            attributes: line.attributes.as_ref(),
        })
    }

    /// Adds a record that did not come as a line, such as a message of its own.
    pub fn push(&mut self, position: u64, bytes: &[u8], attributes: Option<Attributes>) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.lines.push(Line { position, range: begin..self.bytes.len(), cut_from: None, attributes });
    }

    /// Bytes of its lines.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn is_full(&self, limits: &ChunkLimits) -> bool {
        self.lines.len() >= limits.lines_max || self.bytes.len() >= limits.bytes_max
    }
}

impl<R: BufRead> LineReader<R> {
    /// Reads lines from `reader`.
    pub fn new(reader: R, limits: ChunkLimits) -> Self {
        Self { reader, limits, position: 0 }
    }

    /// The next chunk, `None` at the end. Blocks while it waits for bytes.
    pub fn next_chunk(&mut self) -> io::Result<Option<Chunk>> {
        let mut chunk = Chunk::default();
        while !chunk.is_full(&self.limits) {
            if !self.read_line(&mut chunk)? {
                break;
            }
        }
        Ok((!chunk.lines.is_empty()).then_some(chunk))
    }

    /// Adds a line to the chunk; false at the end.
    fn read_line(&mut self, chunk: &mut Chunk) -> io::Result<bool> {
        let begin = chunk.bytes.len();
        let mut is_there = false;
        // Beyond the limit a line is counted on and hashed, not held.
        let mut whole: Option<Sha256> = None;
        loop {
            let available = self.reader.fill_buf()?;
            if available.is_empty() {
                break;
            }
            is_there = true;
            let line_end = memchr::memchr(b'\n', available);
            let part = &available[..line_end.unwrap_or(available.len())];
            let room = self.limits.line_bytes_max - (chunk.bytes.len() - begin);
            if let Some(hasher) = &mut whole {
                hasher.update(part);
            } else if part.len() > room {
                let start = Sha256::new_with_prefix(&chunk.bytes[begin..]);
                whole = Some(start.chain_update(part));
                chunk.bytes.extend_from_slice(&part[..room]);
            } else {
                chunk.bytes.extend_from_slice(part);
            }
            let used = part.len() + usize::from(line_end.is_some());
            self.reader.consume(used);
            if line_end.is_some() {
                break;
            }
        }
        if !is_there {
            return Ok(false);
        }
        self.position += 1;
        let cut_from = whole.map(|hasher| hasher.finalize().into());
        if cut_from.is_some() {
            chunk.bytes.truncate(begin + KEPT_OF_TOO_LONG_BYTES.min(self.limits.line_bytes_max));
        }
        let range = begin..begin + chunk.bytes[begin..].trim_ascii_end().len();
        if !range.is_empty() {
            chunk.lines.push(Line { position: self.position, range, cut_from, attributes: None });
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use proptest::prelude::*;

    use super::*;

    const LIMITS: ChunkLimits = ChunkLimits { lines_max: 2, bytes_max: 1_000, line_bytes_max: 10 };

    fn read(body: &[u8], buffer: usize, limits: ChunkLimits) -> Vec<Vec<(u64, Vec<u8>, bool)>> {
        let mut reader = LineReader::new(BufReader::with_capacity(buffer, Cursor::new(body)), limits);
        let mut chunks = Vec::new();
        while let Some(chunk) = reader.next_chunk().unwrap() {
            chunks.push(
                chunk
                    .records()
                    .map(|record| (record.position, record.bytes.to_vec(), record.cut_from.is_some()))
                    .collect(),
            );
        }
        chunks
    }

    #[test]
    fn lines_are_counted_from_one_and_empty_ones_passed_over() {
        let chunks = read(b"a\r\n\n  \nbb\nc", 3, LIMITS);
        let line = |position, text: &str| (position, text.as_bytes().to_vec(), false);
        assert_eq!(chunks, [vec![line(1, "a"), line(4, "bb")], vec![line(5, "c")]]);
        assert!(read(b"", 3, LIMITS).is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_does_not_touch_the_next() {
        let chunks = read(b"0123456789abc\nnext\n", 4, LIMITS);
        assert_eq!(chunks, [vec![(1, b"0123456789".to_vec(), true), (2, b"next".to_vec(), false)]]);
        assert_eq!(read(b"0123456789\n", 4, LIMITS), [vec![(1, b"0123456789".to_vec(), false)]]);
    }

    #[test]
    fn long_lines_with_the_same_beginning_are_told_apart() {
        let digest = |line: &str, buffer| {
            let reader = BufReader::with_capacity(buffer, Cursor::new(line.as_bytes()));
            let chunk = LineReader::new(reader, LIMITS).next_chunk().unwrap().unwrap();
            chunk.records().next().unwrap().cut_from.unwrap()
        };
        let expected: [u8; 32] = Sha256::digest("0123456789abcdef").into();
        assert_eq!([1, 4, 100].map(|buffer| digest("0123456789abcdef\nx", buffer)), [expected; 3]);
        assert_ne!(digest("0123456789abcdeg", 4), expected);
    }

    proptest! {
        #[test]
        fn no_line_is_lost_or_torn(lines in proptest::collection::vec("[a-z]{1,9}", 0..20), buffer in 1_usize..20, lines_max in 1_usize..5, bytes_max in 1_usize..30) {
            let limits = ChunkLimits { lines_max, bytes_max, line_bytes_max: 10 };
            let read: Vec<_> = read(lines.join("\n").as_bytes(), buffer, limits).into_iter().flatten().collect();
            let expected: Vec<_> = (1..).zip(&lines).map(|(position, line)| (position, line.as_bytes().to_vec(), false)).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
