//! A statement that succeeds when the tables are there, and reads nothing.

/// Asks the tables for no row.
pub const PROBE: &str = "SELECT 1 FROM (SELECT id FROM logs LIMIT 0) AS l, (SELECT id FROM bodies LIMIT 0) AS b, \
    (SELECT id FROM payloads LIMIT 0) AS p";
