//! A statement that succeeds when the tables are there, and reads nothing.

/// Asks both tables for no row.
pub const PROBE: &str =
    "SELECT 1 FROM (SELECT id FROM logs LIMIT 0) AS l, (SELECT id FROM payloads LIMIT 0) AS p";
