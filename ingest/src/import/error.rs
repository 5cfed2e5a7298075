//! Why a dump was not taken in to its end.

use std::io;
use std::path::PathBuf;

use crate::sink::{BusError, SinkError};

/// What was stored before the trouble is stored; run again, the import finds it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// The file cannot be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The file is none of the forms that are read.
    #[error("{} is no dump of new-api's logs: {problem}", path.display())]
    NoDump {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The file cannot be read on.
    #[error("cannot read the file behind row {row}; what is before it is imported")]
    Read {
        /// The last row that was read, from 1; 0 is none.
        row: u64,
        #[source]
        source: io::Error,
    },
    /// The database cannot be read on.
    #[error("cannot read the database behind row {row}; what is before it is imported")]
    Database {
        /// The last row that was read, from 1; 0 is none.
        row: u64,
        #[source]
        source: rusqlite::Error,
    },
    /// ClickHouse is not there to begin with.
    #[error("nothing was imported")]
    ClickHouse(#[source] SinkError),
    /// The bus is not.
    #[error("nothing was imported, since statistics could not be told of it")]
    Bus(#[from] BusError),
    /// Rows cannot be stored, for their own sake.
    #[error("rows behind row {row} cannot be stored; what is before them is")]
    Sink {
        /// The last row before them, from 1; 0 is none.
        row: u64,
        #[source]
        source: SinkError,
    },
    /// The reader died.
    #[error("the reader of the file stopped: a defect")]
    Defect,
}
