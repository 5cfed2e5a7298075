//! How those who may ask are shown: tables for people, lines of JSON for programs.

use std::io::{self, Write};

use serde::Serialize;
use weir_event::Timestamp;

/// A line of JSON.
pub(super) fn write_json(value: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out)
}

/// A table with its titles, or that there are no `kind`.
pub(super) fn write_table<const COLUMNS: usize>(
    kind: &str,
    titles: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
    out: &mut impl Write,
) -> io::Result<()> {
    if rows.is_empty() {
        return writeln!(out, "no {kind}");
    }
    let titles = titles.map(str::to_owned);
    let all = || std::iter::once(&titles).chain(rows);
    let widths: Vec<_> = (0..COLUMNS)
        .map(|column| all().map(|row| row[column].chars().count()).max().unwrap_or_default())
        .collect();
    for row in all() {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

/// A text that cannot change the terminal it is shown on; a dash where there is none.
pub(super) fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.escape_debug().to_string() }
}

/// A time, of milliseconds since 1970.
pub(super) fn time(millis: i64) -> String {
    Timestamp::from_millis(millis).map_or_else(|_| millis.to_string(), |time| time.to_string())
}

/// When something expires.
pub(super) fn end(millis: Option<i64>) -> String {
    millis.map_or_else(|| "never".to_owned(), time)
}
