//! A dump as a source of records, whatever form it has.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;

use super::csv::CsvDump;
use super::error::ImportError;
use super::request::Request;
use super::sqlite::SqliteDump;
use crate::accept::{Chunk, ChunkLimits, Framing, RecordReader, decompressed};

/// How a file of SQLite begins.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";
/// How much of a file is looked at to tell its form.
const START_BYTES: usize = 512;

/// Rows of a dump, in their order.
pub(super) enum Dump {
    /// JSON: an object on each line, or one array.
    Json(RecordReader<Box<dyn BufRead + Send>>, u64),
    Csv(CsvDump),
    Sqlite(SqliteDump),
}

/// Opens the file that is asked for. What it is, is told by how it begins.
pub(super) fn open(request: &Request, limits: ChunkLimits) -> Result<Dump, ImportError> {
    let path = &request.path;
    let failed = |source| ImportError::Open { path: path.clone(), source };
    let mut file = File::open(path).map_err(failed)?;
    let start = read_start(&mut file).map_err(failed)?;
    if start.starts_with(SQLITE_MAGIC) {
        return Ok(Dump::Sqlite(SqliteDump::open(path, limits)?));
    }
    let bytes = decompressed(&start, Cursor::new(start.clone()).chain(file)).map_err(failed)?;
    of_bytes(bytes, path, limits)
}

fn of_bytes(mut bytes: Box<dyn Read + Send>, path: &Path, limits: ChunkLimits) -> Result<Dump, ImportError> {
    let failed = |source| ImportError::Read { row: 0, source };
    let start = read_start(&mut bytes).map_err(failed)?;
    let again = Cursor::new(start.clone()).chain(bytes);
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start);
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => Err(ImportError::NoDump { path: path.to_owned(), problem: "it is empty".to_owned() }),
        Some(b'{' | b'[') => {
            let reader: Box<dyn BufRead + Send> = Box::new(BufReader::new(again));
            Ok(Dump::Json(RecordReader::new(reader, Framing::Lines, limits).map_err(failed)?, 0))
        }
        Some(_) if text.starts_with(SQLITE_MAGIC) => {
            let problem = "it is a compressed database, which has to be decompressed first".to_owned();
            Err(ImportError::NoDump { path: path.to_owned(), problem })
        }
        Some(_) => Ok(Dump::Csv(CsvDump::new(Box::new(again), path, limits)?)),
    }
}

impl Dump {
    /// The next rows, `None` at the end.
    pub(super) fn next_chunk(&mut self) -> Result<Option<Chunk>, ImportError> {
        match self {
            Self::Json(records, last) => {
                let chunk =
                    records.next_chunk().map_err(|source| ImportError::Read { row: *last, source })?;
                *last = chunk.as_ref().and_then(Chunk::last_position).unwrap_or(*last);
                Ok(chunk)
            }
            Self::Csv(dump) => dump.next_chunk(),
            Self::Sqlite(dump) => dump.next_chunk(),
        }
    }
}

/// The beginning of what is read, shorter where there is no more.
fn read_start(reader: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(START_BYTES);
    reader.by_ref().take(START_BYTES as u64).read_to_end(&mut start)?;
    Ok(start)
}
