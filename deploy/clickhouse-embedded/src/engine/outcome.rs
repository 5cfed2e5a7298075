//! What goes into a statement besides its text, and what comes out of it.

/// A value for a `{name:Type}` placeholder, in the escaped text form that ClickHouse parses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The placeholder's name.
    pub name: String,
    /// The value; any bytes.
    pub value: Vec<u8>,
}

/// What a statement does to anything that outlives it, as the engine's own parser decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Leaves no trace: SELECT, SHOW, DESCRIBE, EXPLAIN, EXISTS, CHECK.
    Read,
    /// Changes tables or databases.
    Write,
    /// Changes something outside the databases: functions, users, named collections.
    WriteGlobal,
    /// Touches only the session, or is an order to the engine: SET, USE, SYSTEM, KILL, temporary tables; also
    /// whatever writes a file.
    Control,
    /// Does not parse, or is of a kind that the classifier does not know.
    Unknown,
}

impl Class {
    /// From the number of the C interface.
    #[must_use]
    pub fn from_raw(raw: u32) -> Self {
        match raw {
            0 => Self::Read,
            1 => Self::Write,
            2 => Self::WriteGlobal,
            3 => Self::Control,
            // Also whatever a later engine adds: an unknown class proves nothing.
            _ => Self::Unknown,
        }
    }
}

/// What the engine counted while it ran a statement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Rows of the result.
    pub result_rows: u64,
    /// Rows read from storage.
    pub read_rows: u64,
    /// Bytes read from storage.
    pub read_bytes: u64,
    /// Rows written, those of materialized views included.
    pub written_rows: u64,
    /// Bytes written, in memory form.
    pub written_bytes: u64,
}

/// A finished statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The formatted result, if it was not sent elsewhere.
    pub data: Vec<u8>,
    /// The counters.
    pub statistics: Statistics,
}
