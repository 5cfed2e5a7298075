//! What is asked of the engine once, at the start: its version, time zone and formats.

use std::collections::HashMap;

use super::Control;
use crate::exception::Exception;

/// An output format as the engine names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// The name, in the engine's spelling.
    pub name: String,
    /// The `Content-Type` of a response in this format.
    pub content_type: String,
}

/// The engine's own facts.
#[derive(Debug, Clone)]
pub struct Facts {
    /// `version()`, as exceptions and clients show it.
    pub version: String,
    /// `timezone()`.
    pub time_zone: String,
    /// `displayName()`.
    pub display_name: String,
    formats: HashMap<String, Format>,
}

impl Facts {
    /// Reads the facts over the control connection.
    pub fn read(control: &Control) -> Result<Self, Exception> {
        let line = text(control, "SELECT version(), timezone(), displayName()")?;
        let mut fields = line.trim_end().split('\t').map(str::to_owned);
        let mut next = || fields.next().unwrap_or_default();
        let (version, time_zone, display_name) = (next(), next(), next());
        let formats = text(control, "SELECT name, content_type FROM system.formats WHERE is_output")?
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(name, content_type)| {
                let format = Format { name: name.to_owned(), content_type: content_type.to_owned() };
                (name.to_ascii_lowercase(), format)
            })
            .collect();
        Ok(Self { version, time_zone, display_name, formats })
    }

    /// The output format of this name, in any case of letters.
    #[must_use]
    pub fn output_format(&self, name: &str) -> Option<&Format> {
        self.formats.get(&name.to_ascii_lowercase())
    }
}

fn text(control: &Control, sql: &str) -> Result<String, Exception> {
    Ok(String::from_utf8_lossy(&control.query(sql)?.data).into_owned())
}
