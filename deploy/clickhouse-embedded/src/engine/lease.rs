//! One request's hold on a seat: settings before, the statement, and everything back in order after.

use std::io::Read;

use super::session::SessionHome;
use super::{Class, Environment, Host, Outcome, Parameter, Permit, Restore, Seat, SessionRequest};
use crate::codec;
use crate::exception::Exception;

/// How much insert data is handed over at once. The engine queues sixteen of these.
const APPEND_BYTES: usize = 256 << 10;

/// What a request needs before its statement can run.
#[derive(Debug)]
pub struct Order {
    /// The right to run.
    pub permit: Permit,
    /// The session, if it named one.
    pub session: Option<SessionRequest>,
    /// Its settings and database.
    pub environment: Environment,
}

/// A seat in use. Dropped without [`Lease::end`], it closes the connection and ends the session.
pub struct Lease {
    /// `None` only after the engine lost the connection in an insert.
    seat: Option<Seat>,
    home: Option<SessionHome>,
    restore: Restore,
    _permit: Permit,
}

impl Lease {
    /// Takes a seat and sets it up. Blocks.
    pub fn take(host: &Host, order: Order) -> Result<Self, Exception> {
        let refused = |error: super::LoadError| Exception::from_engine(&error.to_string());
        let Some(session) = &order.session else {
            let mut seat = host.pool().seat().map_err(refused)?;
            let applied = order.environment.apply(&mut seat);
            let lease =
                Self { seat: Some(seat), home: None, restore: Restore::default(), _permit: order.permit };
            return match applied {
                Ok(()) => Ok(lease),
                Err(exception) => {
                    lease.end(host);
                    Err(exception)
                }
            };
        };
        let (mut seat, home) = host.sessions().enter(session, || host.pool().open().map_err(refused))?;
        seat.changed = true;
        let (restore, failed) = match order.environment.apply_for_now(&mut seat) {
            Ok(restore) => (restore, None),
            Err(exception) => (Restore::default(), Some(exception)),
        };
        let lease = Self { seat: Some(seat), home: Some(home), restore, _permit: order.permit };
        match failed {
            None => Ok(lease),
            Some(exception) => {
                lease.end(host);
                Err(exception)
            }
        }
    }

    /// Whether the seat belongs to a session.
    #[must_use]
    pub fn is_session(&self) -> bool {
        self.home.is_some()
    }

    /// The name that the engine knows this lease's statements by.
    #[must_use]
    pub fn marker(&self) -> &str {
        self.seat.as_ref().map_or("", Seat::marker)
    }

    /// What the engine's parser makes of a text.
    pub fn classify(&mut self, sql: &[u8]) -> (u32, Class) {
        self.seat.as_mut().map_or((0, Class::Unknown), |seat| seat.connection.classify(sql))
    }

    /// Says that the statement will touch settings, database or temporary tables.
    pub fn will_change(&mut self) {
        if let Some(seat) = self.seat.as_mut() {
            seat.changed = true;
        }
    }

    /// Runs a statement.
    pub fn query(
        &mut self,
        sql: &[u8],
        format: &str,
        parameters: &[Parameter],
    ) -> Result<Outcome, Exception> {
        match self.seat.as_mut() {
            Some(seat) => seat.connection.query(sql, format, parameters),
            None => Err(lost()),
        }
    }

    /// Runs an insert whose data comes from `data`. If that fails to read, nothing more is stored.
    pub fn insert(
        &mut self,
        sql: &[u8],
        format: &str,
        parameters: &[Parameter],
        data: &mut dyn Read,
    ) -> Result<Outcome, Exception> {
        let (connection, shell) = self.seat.take().ok_or_else(lost)?.into_parts();
        let mut stream = match connection.begin_insert(sql, format, parameters) {
            Ok(stream) => stream,
            Err((connection, exception)) => {
                self.seat = Some(shell.with(connection));
                return Err(exception);
            }
        };
        let mut buffer = vec![0; APPEND_BYTES];
        let read = loop {
            match fill(data, &mut buffer) {
                Ok(0) => break Ok(()),
                // A refusal ends the reading; `finish` says what the engine did not like.
                Ok(count) if !stream.append(&buffer[..count]) => break Ok(()),
                Ok(_) => {}
                Err(exception) => break Err(exception),
            }
        };
        let (connection, outcome) = match read {
            Ok(()) => stream.finish(),
            Err(exception) => (stream.cancel(), Err(exception)),
        };
        self.seat = connection.map(|connection| shell.with(connection));
        outcome
    }

    /// Puts everything back. Blocks.
    pub fn end(mut self, host: &Host) {
        let Some(mut seat) = self.seat.take() else {
            return;
        };
        let Some(home) = self.home.take() else {
            host.pool().give_back(seat);
            return;
        };
        if let Err(exception) = self.restore.run(&mut seat) {
            // Without its settings back the session is not what its client thinks it is: it ends.
            tracing::warn!(%exception, "a session could not be restored and was closed");
            return;
        }
        drop(home.leave(seat));
    }
}

fn fill(data: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, Exception> {
    let mut filled = 0;
    while filled < buffer.len() {
        match data.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(codec::exception_of(&error)),
        }
    }
    Ok(filled)
}

fn lost() -> Exception {
    Exception::from_engine("the connection to the engine was lost")
}
