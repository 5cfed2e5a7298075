//! Splits a stream of bytes into lines, each of them a record.

use std::io::{self, BufRead};

use super::body::BodyError;
use super::nesting::Nesting;
use super::{Chunk, ChunkLimits};

/// Reads chunks of lines. Empty lines are passed over; the last line needs no line end.
#[derive(Debug)]
pub struct LineReader<R> {
    reader: R,
    limits: ChunkLimits,
    position: u64,
    /// Whether a record goes on with the next line while its brackets are open.
    joins: bool,
}

impl<R: BufRead> LineReader<R> {
    /// Reads lines from `reader`.
    pub const fn new(reader: R, limits: ChunkLimits) -> Self {
        Self { reader, limits, position: 0, joins: false }
    }

    /// The same behind so many `lines`. Where it `joins`, a record may be printed over several lines: it ends with the one
    /// in which its brackets are closed. A line that breaks off within a string is the last one of its record; one that
    /// breaks off elsewhere takes those behind it along, and fails the body if they are too long to be kept.
    pub(super) const fn behind(lines: u64, joins: bool, reader: R, limits: ChunkLimits) -> Self {
        Self { reader, limits, position: lines, joins }
    }

    /// The next chunk, `None` at the end. Blocks while it waits for bytes.
    pub fn next_chunk(&mut self) -> io::Result<Option<Chunk>> {
        let limits = self.limits;
        Chunk::fill(&limits, |chunk| self.read_record(chunk))
    }

    /// Adds a record, or nothing for an empty line; false at the end.
    pub(super) fn read_record(&mut self, chunk: &mut Chunk) -> io::Result<bool> {
        let position = self.position + 1;
        let mut draft = chunk.begin(self.limits.line_bytes_max);
        let mut nesting = Nesting::default();
        loop {
            let available = self.reader.fill_buf()?;
            if available.is_empty() {
                break;
            }
            self.position = self.position.max(position);
            let line_end = memchr::memchr(b'\n', available);
            let part = &available[..line_end.unwrap_or(available.len())];
            chunk.extend_text(&mut draft, part);
            if self.joins {
                nesting.follow(part);
            }
            let used = part.len() + usize::from(line_end.is_some());
            self.reader.consume(used);
            if line_end.is_none() {
                continue;
            }
            if !nesting.is_open() || nesting.is_in_string() {
                break;
            }
            chunk.extend(&mut draft, b"\n");
            self.position += 1;
        }
        // Of a single line nobody else's bytes are lost with its end.
        if nesting.is_open() && self.position > position && Chunk::is_cut(&draft) {
            return Err(BodyError::Broken { position }.into());
        }
        let is_there = self.position >= position;
        chunk.end_text(draft, position);
        Ok(is_there)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

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
    fn a_line_of_which_nothing_is_held_is_one_all_the_same() {
        let nothing = ChunkLimits { line_bytes_max: 0, ..LIMITS };
        assert_eq!(read(b"abc\n \nd", 2, nothing), [vec![(1, Vec::new(), true), (3, Vec::new(), true)]]);
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
