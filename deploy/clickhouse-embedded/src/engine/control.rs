//! The control connection: it keeps the engine alive and stops statements whose client has gone.
//!
//! Closing the last connection shuts the engine down, so this one is opened first and closed last. The C interface
//! has no way to interrupt a running statement from outside; `KILL QUERY` on another connection does it.

use std::sync::{Mutex, PoisonError};

use super::{Connection, Outcome};
use crate::exception::Exception;

/// A connection that is never lent out.
pub struct Control {
    connection: Mutex<Option<Connection>>,
}

impl Control {
    /// Takes over the first connection of the process.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self { connection: Mutex::new(Some(connection)) }
    }

    /// Runs a statement of our own and gives its result as tab-separated text.
    pub fn query(&self, sql: &str) -> Result<Outcome, Exception> {
        let mut guard = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        match guard.as_mut() {
            Some(connection) => connection.query(sql.as_bytes(), "TabSeparated", &[]),
            None => Err(Exception::from_engine("the engine is closed")),
        }
    }

    /// Asks the engine to stop whatever runs on the seats whose marker starts with `marker`. Does not wait for it.
    ///
    /// `marker` consists of letters, digits and dashes (see [`super::Seat`]). A statement is recognised by its
    /// `log_comment`, or, where the client set another one, by the name of its result pipe in its text.
    pub fn kill(&self, marker: &str) -> Result<(), Exception> {
        let sql = format!(
            "KILL QUERY WHERE NOT startsWith(query, 'KILL QUERY') \
             AND (startsWith(Settings['log_comment'], '{marker}') OR position(query, '{marker}') > 0) ASYNC"
        );
        self.query(&sql).map(drop)
    }

    /// Closes the connection; with the last one, the engine stops.
    pub fn close(&self) {
        drop(self.connection.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
