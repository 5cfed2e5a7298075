//! The SQLite file that new-api works on where it was given no other database.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};

use super::columns::Columns;
use super::error::ImportError;
use super::json::JsonRow;
use crate::accept::{Chunk, ChunkLimits};

/// Rows of its table `logs`, read in pages by their place in the table: so no statement, and no lock, is held while rows
/// are stored, and new-api may go on with the file.
pub(super) struct SqliteDump {
    connection: Connection,
    columns: Columns,
    limits: ChunkLimits,
    row: u64,
    last_place: i64,
    json: JsonRow,
}

const NEXT: &str = "SELECT rowid, * FROM logs WHERE rowid > ?1 ORDER BY rowid";

impl SqliteDump {
    /// Opens it, to be read only.
    pub(super) fn open(path: &Path, limits: ChunkLimits) -> Result<Self, ImportError> {
        let failed = |source| ImportError::Database { row: 0, source };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        let no_dump = |problem: String| ImportError::NoDump { path: path.to_owned(), problem };
        let columns = {
            let statement = connection.prepare(NEXT).map_err(|error| match error {
                rusqlite::Error::SqliteFailure(_, Some(message)) if message.starts_with("no such table") => {
                    no_dump("it has no table logs".to_owned())
                }
                error => failed(error),
            })?;
            Columns::of_names(statement.column_names().skip(1)).map_err(no_dump)?
        };
        Ok(Self { connection, columns, limits, row: 0, last_place: i64::MIN, json: JsonRow::default() })
    }

    /// The next rows, `None` at the end.
    pub(super) fn next_chunk(&mut self) -> Result<Option<Chunk>, ImportError> {
        let mut chunk = Chunk::default();
        let so_far = self.row;
        let failed = |source| ImportError::Database { row: so_far, source };
        let mut statement = self.connection.prepare(NEXT).map_err(failed)?;
        let mut rows = statement.query([self.last_place]).map_err(failed)?;
        while chunk.has_room(&self.limits) {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => break,
                // The rows before it first; it is met again behind them.
                Err(_) if !chunk.is_empty() => break,
                Err(error) => return Err(failed(error)),
            };
            self.last_place = row.get(0).map_err(failed)?;
            self.row += 1;
            write(row, &self.columns, &mut self.json).map_err(failed)?;
            chunk.push_within(self.limits.line_bytes_max, self.row, self.json.end(), None);
        }
        Ok((!chunk.is_empty()).then_some(chunk))
    }
}

/// SQLite's columns hold whatever was put into them.
fn write(row: &Row<'_>, columns: &Columns, json: &mut JsonRow) -> rusqlite::Result<()> {
    json.clear();
    for (place, name, kind) in columns.taken() {
        match row.get_ref(place + 1)? {
            ValueRef::Null => {}
            ValueRef::Integer(number) => json.number(name, kind, number),
            ValueRef::Real(number) => json.text(name, kind, number.to_string().as_bytes()),
            ValueRef::Text(text) | ValueRef::Blob(text) => json.text(name, kind, text),
        }
    }
    Ok(())
}
