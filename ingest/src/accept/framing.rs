//! How the records of a body are told apart: one per line, the elements of an array, or the body as a whole.

use std::io::{self, BufRead, Chain, Cursor, Read};
use std::mem;

use super::array::ArrayReader;
use super::{Attributes, Chunk, ChunkLimits, LineReader};

/// How many bytes are looked at for `{"events":[`, with whatever space is in it.
const LOOKAHEAD_MAX_BYTES: usize = 1_024;
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// How the records of a body may be put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By what the body begins with. `[`: an array. `{"events":[`, in these very letters: an object whose one member is
    /// an array. All else: NDJSON, a record per line. What is behind an array is looked at anew.
    Lines,
    /// The same, and a record may be printed over several lines: it ends with the line in which its brackets are closed.
    Documents,
    /// The body is one record, whatever is in it, with these attributes.
    Message(Attributes),
}

/// Reads a body as chunks of records. What begins with a byte order mark is read as if it did not.
#[derive(Debug)]
pub struct RecordReader<R> {
    records: Records<R>,
    limits: ChunkLimits,
    /// Whether lines that are no array join, see [`Framing::Documents`].
    joins: bool,
}

/// What was looked at, and then the rest.
type Again<R> = Chain<Cursor<Vec<u8>>, R>;

#[derive(Debug)]
enum Records<R> {
    Lines(LineReader<Again<R>>),
    Array(ArrayReader<R>),
    /// The attributes are taken with the record.
    Message(R, Option<Attributes>),
    /// There are no more.
    None,
}

/// How a body begins.
enum Start {
    Array {
        is_member: bool,
    },
    /// Something else, behind so many empty lines.
    Other {
        lines: u64,
    },
}

/// Takes bytes one by one, and remembers them.
struct Lookahead<R> {
    reader: R,
    seen: Vec<u8>,
}

impl<R: BufRead> RecordReader<R> {
    /// Reads records from `reader`. Blocks until it has seen how they are put together.
    pub fn new(reader: R, framing: Framing, limits: ChunkLimits) -> io::Result<Self> {
        let joins = framing == Framing::Documents;
        let records = match framing {
            Framing::Lines | Framing::Documents => Records::behind(0, joins, reader, limits)?,
            Framing::Message(attributes) => Records::Message(reader, Some(attributes)),
        };
        Ok(Self { records, limits, joins })
    }

    /// The next chunk, `None` at the end. Blocks while it waits for bytes.
    pub fn next_chunk(&mut self) -> io::Result<Option<Chunk>> {
        let limits = self.limits;
        if let Records::Message(reader, attributes) = &mut self.records {
            return attributes.take().map(|attributes| message(reader, &limits, attributes)).transpose();
        }
        Chunk::fill(&limits, |chunk| self.read_record(chunk))
    }

    /// Adds a record, or nothing for an empty line; false at the end.
    fn read_record(&mut self, chunk: &mut Chunk) -> io::Result<bool> {
        loop {
            match &mut self.records {
                Records::Lines(lines) => return lines.read_record(chunk),
                Records::Array(array) => {
                    if array.read_record(chunk)? {
                        return Ok(true);
                    }
                }
                Records::Message(..) | Records::None => return Ok(false),
            }
            if let Records::Array(array) = mem::replace(&mut self.records, Records::None) {
                let (rest, records) = array.into_rest();
                self.records = Records::behind(records, self.joins, rest, self.limits)?;
            }
        }
    }
}

impl<R: BufRead> Records<R> {
    /// What `reader` begins with, behind so many `records`. Blocks until it has seen how they are put together.
    fn behind(records: u64, joins: bool, reader: R, limits: ChunkLimits) -> io::Result<Self> {
        let mut ahead = Lookahead { reader, seen: Vec::new() };
        Ok(match ahead.start()? {
            Start::Array { is_member } => {
                Self::Array(ArrayReader::behind(records, is_member, ahead.reader, limits))
            }
            Start::Other { lines } => {
                // Lines are counted where there are only lines.
                let before = if records == 0 { lines } else { records };
                let again = Cursor::new(ahead.seen).chain(ahead.reader);
                Self::Lines(LineReader::behind(before, joins, again, limits))
            }
        })
    }
}

/// The chunk of a body that is one record.
fn message(reader: &mut impl BufRead, limits: &ChunkLimits, attributes: Attributes) -> io::Result<Chunk> {
    let mut chunk = Chunk::default();
    let mut draft = chunk.begin(limits.line_bytes_max);
    loop {
        let available = reader.fill_buf()?;
        if available.is_empty() {
            chunk.end(draft, 1, Some(attributes));
            return Ok(chunk);
        }
        chunk.extend(&mut draft, available);
        let length = available.len();
        reader.consume(length);
    }
}

impl<R: BufRead> Lookahead<R> {
    /// Looks at how the body begins. Of an array nothing has to be seen again.
    fn start(&mut self) -> io::Result<Start> {
        let mut lines = 0;
        let mut byte = self.next()?;
        if byte == Some(BYTE_ORDER_MARK[0]) {
            if !self.goes_on_with(&BYTE_ORDER_MARK[1..])? {
                return Ok(Start::Other { lines });
            }
            self.seen.clear();
            byte = self.next()?;
        }
        while byte.is_some_and(|byte| byte.is_ascii_whitespace()) {
            lines += u64::from(byte == Some(b'\n'));
            self.seen.clear();
            byte = self.next()?;
        }
        Ok(match byte {
            Some(b'[') => Start::Array { is_member: false },
            Some(b'{') if self.is_events()? => Start::Array { is_member: true },
            Some(_) | None => Start::Other { lines },
        })
    }

    /// Whether what is behind an opening brace is `"events":[`.
    fn is_events(&mut self) -> io::Result<bool> {
        for token in [&b"\"events\""[..], b":", b"["] {
            let (first, rest) = (token[0], &token[1..]);
            if self.next_but_space()? != Some(first) || !self.goes_on_with(rest)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn goes_on_with(&mut self, text: &[u8]) -> io::Result<bool> {
        for byte in text {
            if self.next()? != Some(*byte) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn next_but_space(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.next()? {
                Some(byte) if byte.is_ascii_whitespace() && self.seen.len() < LOOKAHEAD_MAX_BYTES => {}
                byte => return Ok(byte),
            }
        }
    }

    fn next(&mut self) -> io::Result<Option<u8>> {
        let Some(byte) = self.reader.fill_buf()?.first().copied() else {
            return Ok(None);
        };
        self.reader.consume(1);
        self.seen.push(byte);
        Ok(Some(byte))
    }
}

#[cfg(test)]
mod tests;
