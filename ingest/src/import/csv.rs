//! Dumps as CSV, with the names of the columns in the first line.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ::csv::{ByteRecord, ErrorKind, ReaderBuilder};

use super::columns::Columns;
use super::error::ImportError;
use super::json::JsonRow;
use crate::accept::{Chunk, ChunkLimits};

/// How databases write NULL in CSV, beside nothing at all.
const NULL: &[u8] = br"\N";

/// How far the reader of CSV looks ahead, in bytes.
const AHEAD_BYTES: usize = 64 << 10;

/// Rows of a dump.
pub(super) struct CsvDump {
    reader: ::csv::Reader<Rationed>,
    ration: Ration,
    columns: Columns,
    limits: ChunkLimits,
    row: u64,
    record: ByteRecord,
    json: JsonRow,
    /// What is to be told when the rows before it are taken.
    failed: Option<ImportError>,
}

/// How much may still be read for one row.
#[derive(Clone, Debug, Default)]
struct Ration(Arc<AtomicUsize>);

/// The bytes of a dump. A quote that is not closed would have all of them read as one row.
struct Rationed {
    bytes: Box<dyn Read + Send>,
    ration: Ration,
}

impl CsvDump {
    /// Reads the names of the columns.
    pub(super) fn new(
        bytes: Box<dyn Read + Send>,
        path: &Path,
        limits: ChunkLimits,
    ) -> Result<Self, ImportError> {
        // A row with too few or too many fields is its own mistake.
        let ration = Ration::default();
        ration.renew(limits.line_bytes_max);
        let bytes = Rationed { bytes, ration: ration.clone() };
        let mut reader = ReaderBuilder::new().flexible(true).buffer_capacity(AHEAD_BYTES).from_reader(bytes);
        let names = reader.byte_headers().map_err(|error| read_error(error, 0))?;
        let names: Vec<String> = names.iter().map(name_of).collect();
        let columns = Columns::of_names(names.iter().map(String::as_str)).map_err(|problem| {
            let problem = format!("read as CSV with the columns' names in the first line, {problem}");
            ImportError::NoDump { path: path.to_owned(), problem }
        })?;
        let (record, json) = (ByteRecord::new(), JsonRow::default());
        Ok(Self { reader, ration, columns, limits, row: 0, record, json, failed: None })
    }

    /// The next rows, `None` at the end.
    pub(super) fn next_chunk(&mut self) -> Result<Option<Chunk>, ImportError> {
        let mut chunk = Chunk::default();
        while self.failed.is_none() && chunk.has_room(&self.limits) {
            self.ration.renew(self.limits.line_bytes_max);
            match self.reader.read_byte_record(&mut self.record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.failed = Some(read_error(error, self.row));
                    break;
                }
            }
            self.row += 1;
            let is_whole = self.record.len() == self.columns.len();
            let json = if is_whole { self.row_as_json() } else { self.odd_row() };
            chunk.push_within(self.limits.line_bytes_max, self.row, &json, None);
        }
        match self.failed.take() {
            Some(error) if chunk.is_empty() => Err(error),
            failed => {
                self.failed = failed;
                Ok((!chunk.is_empty()).then_some(chunk))
            }
        }
    }

    fn row_as_json(&mut self) -> Vec<u8> {
        self.json.clear();
        for (place, name, kind) in self.columns.taken() {
            match &self.record[place] {
                NULL => {}
                text => self.json.text(name, kind, text),
            }
        }
        self.json.end().to_vec()
    }

    /// A row with another number of fields than there are columns, as it came: what is missing cannot be told. No record of
    /// new-api's begins like it.
    fn odd_row(&self) -> Vec<u8> {
        self.record.iter().collect::<Vec<_>>().join(&b","[..])
    }
}

impl Ration {
    fn renew(&self, row_bytes_max: usize) {
        self.0.store(row_bytes_max.saturating_add(AHEAD_BYTES), Ordering::Relaxed);
    }

    fn take(&self, bytes: usize) -> io::Result<()> {
        let left = self.0.load(Ordering::Relaxed).checked_sub(bytes).ok_or_else(|| {
            io::Error::other(
                "the next row is longer than ingest.line_bytes_max: is a quote in it not closed?",
            )
        })?;
        self.0.store(left, Ordering::Relaxed);
        Ok(())
    }
}

impl Read for Rationed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.bytes.read(buffer)?;
        self.ration.take(length)?;
        Ok(length)
    }
}

/// The name of a column. Excel begins files with a byte order mark.
fn name_of(field: &[u8]) -> String {
    String::from_utf8_lossy(field).trim_start_matches('\u{feff}').trim().to_ascii_lowercase()
}

fn read_error(error: ::csv::Error, row: u64) -> ImportError {
    let source = match error.into_kind() {
        ErrorKind::Io(source) => source,
        other => io::Error::new(io::ErrorKind::InvalidData, format!("{other:?}")),
    };
    ImportError::Read { row, source }
}
