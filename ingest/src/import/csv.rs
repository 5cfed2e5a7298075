//! Dumps as CSV, with the names of the columns in the first line.

use std::io::{self, Read};
use std::path::Path;

use ::csv::{ByteRecord, ErrorKind, ReaderBuilder};

use super::columns::Columns;
use super::error::ImportError;
use super::json::JsonRow;
use crate::accept::{Chunk, ChunkLimits};

/// How databases write NULL in CSV, beside nothing at all.
const NULL: &[u8] = br"\N";

/// Rows of a dump.
pub(super) struct CsvDump {
    reader: ::csv::Reader<Box<dyn Read + Send>>,
    columns: Columns,
    limits: ChunkLimits,
    row: u64,
    record: ByteRecord,
    json: JsonRow,
}

impl CsvDump {
    /// Reads the names of the columns.
    pub(super) fn new(
        bytes: Box<dyn Read + Send>,
        path: &Path,
        limits: ChunkLimits,
    ) -> Result<Self, ImportError> {
        // A row with too few or too many fields is its own mistake.
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(bytes);
        let names = reader.byte_headers().map_err(|error| read_error(error, 0))?;
        let names: Vec<String> = names.iter().map(name_of).collect();
        let columns = Columns::of_names(names.iter().map(String::as_str)).map_err(|problem| {
            let problem = format!("read as CSV with the columns' names in the first line, {problem}");
            ImportError::NoDump { path: path.to_owned(), problem }
        })?;
        let (record, json) = (ByteRecord::new(), JsonRow::default());
        Ok(Self { reader, columns, limits, row: 0, record, json })
    }

    /// The next rows, `None` at the end.
    pub(super) fn next_chunk(&mut self) -> Result<Option<Chunk>, ImportError> {
        let mut chunk = Chunk::default();
        while chunk.has_room(&self.limits) {
            let is_row = self
                .reader
                .read_byte_record(&mut self.record)
                .map_err(|error| read_error(error, self.row))?;
            if !is_row {
                break;
            }
            self.row += 1;
            let json =
                if self.record.len() == self.columns.len() { self.row_as_json() } else { self.odd_row() };
            chunk.push_within(self.limits.line_bytes_max, self.row, &json, None);
        }
        Ok((!chunk.is_empty()).then_some(chunk))
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
