//! Why rows could not be stored.

use std::sync::Arc;

use clickhouse::error::Error as ClickHouseError;
use weir_event::TimestampError;

use super::spool::SpoolError;

/// Why a batch was not committed, or is not known to be. The sender may always come back with it: what was committed
/// is found by its ids.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SinkError {
    /// ClickHouse did not take it. What it had of an insert it has put away: nothing of it comes later.
    #[error("clickhouse {operation}")]
    ClickHouse {
        /// What was asked of it.
        operation: &'static str,
        /// What it said. Shared, since one insert serves many pushes.
        #[source]
        source: Arc<ClickHouseError>,
    },
    /// ClickHouse did not answer a question in time.
    #[error("clickhouse {operation} took longer than {limit_ms} ms")]
    TimedOut {
        /// What was asked of it.
        operation: &'static str,
        /// The limit that was in force.
        limit_ms: u128,
    },
    /// An insert was sent and not answered: its rows may be there, may never be, or may come later.
    #[error("the outcome of clickhouse {operation} is unknown")]
    Unknown {
        /// The insert.
        operation: &'static str,
        /// Why there is no answer.
        #[source]
        source: Arc<ClickHouseError>,
    },
    /// The outcome of an earlier insert is unknown; until it is, no other one begins.
    #[error("an earlier write is not settled")]
    Unsettled,
    /// The machine's clock is outside the years that Weir works in.
    #[error("the clock")]
    Clock(#[source] TimestampError),
    /// It cannot be written, and the spool did not take it either.
    #[error("the spool")]
    Spool(#[source] Arc<SpoolError>),
    /// The process is stopping.
    #[error("the writer has stopped")]
    Stopped,
}

impl SinkError {
    /// Whether rows may have been stored, or may still come to be.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }

    /// Whether ClickHouse has looked at what it was asked and said no.
    #[must_use]
    pub fn is_rejection(&self) -> bool {
        matches!(self, Self::ClickHouse { source, .. } if is_rejection(source))
    }

    /// Whether it would have failed with any other rows as well: ClickHouse is away, or in no state to write. What fails
    /// so can be put away for later; what ClickHouse refuses for its own sake would be refused then too.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::ClickHouse { source, .. } => !is_rejection(source) || is_about_the_server(source),
            Self::TimedOut { .. }
            | Self::Unknown { .. }
            | Self::Unsettled
            | Self::Clock(_)
            | Self::Stopped => true,
            Self::Spool(_) => false,
        }
    }

    pub(super) fn clickhouse(operation: &'static str) -> impl Fn(ClickHouseError) -> Self {
        move |source| Self::ClickHouse { operation, source: Arc::new(source) }
    }

    /// The failure of an insert that was begun.
    pub(super) fn insert(operation: &'static str, source: ClickHouseError) -> Self {
        let rejected = is_rejection(&source);
        let source = Arc::new(source);
        if rejected { Self::ClickHouse { operation, source } } else { Self::Unknown { operation, source } }
    }
}

/// Whether an insert that failed so is over, without its rows: the server told of an exception of its own, or the rows
/// could not even be sent. Anything else (a broken connection, a gateway's error page) leaves it open.
fn is_rejection(error: &ClickHouseError) -> bool {
    /// What ClickHouse itself says when it does not know.
    const UNKNOWN_STATUS_OF_INSERT: u32 = 319;
    match error {
        ClickHouseError::BadResponse(text) => {
            exception_code(text).is_some_and(|code| code != UNKNOWN_STATUS_OF_INSERT)
        }
        ClickHouseError::SchemaMismatch(_)
        | ClickHouseError::Unsupported(_)
        | ClickHouseError::Custom(_)
        | ClickHouseError::SequenceMustHaveLength => true,
        // The client's errors are not an exhaustive list.
        _ => false,
    }
}

/// Whether an exception of the server's is about itself and not about what it was asked.
fn is_about_the_server(error: &ClickHouseError) -> bool {
    /// By their codes: no place or permission to write (74 to 76, 164, 242, 243, 497), tables that are not there yet or
    /// any more or lack a column (16, 60, 81), too much at once (159, 201, 202, 203, 241, 252, 439, 692, 745), a part of
    /// the cluster that is away (209, 210, 225, 242, 279, 285, 286, 999), on its way out (236, 394), and who we are to it
    /// (192 to 194, 516).
    const CODES: [u32; 33] = [
        16, 60, 74, 75, 76, 81, 159, 164, 192, 193, 194, 201, 202, 203, 209, 210, 225, 236, 241, 242, 243,
        252, 279, 285, 286, 394, 439, 497, 516, 692, 733, 745, 999,
    ];
    let ClickHouseError::BadResponse(text) = error else { return false };
    exception_code(text).is_some_and(|code| CODES.contains(&code))
}

/// The number of an exception of the server's own: `Code: 60. DB::Exception: …`, and `Code: 60` alone where its answer had no
/// body. An exception that somebody else's page quotes is none.
fn exception_code(text: &str) -> Option<u32> {
    let rest = text.strip_prefix("Code: ")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_servers_own_exception_ends_an_insert() {
        let check = |error, rejected: bool| {
            let error = SinkError::insert("insert into logs", error);
            assert_eq!((error.is_rejection(), error.is_unknown()), (rejected, !rejected), "{error:?}");
        };
        let answered = |text: &str| ClickHouseError::BadResponse(text.to_owned());
        check(answered("Code: 252. DB::Exception: Too many parts"), true);
        check(ClickHouseError::SchemaMismatch("a column is missing".to_owned()), true);
        check(answered("Code: 319. DB::Exception: Unknown status"), false);
        check(answered("Code: 252"), true);
        check(answered("Code: 319"), false);
        check(answered("Code: of conduct"), false);
        check(answered("<html>502 Bad Gateway</html>"), false);
        check(ClickHouseError::TimedOut, false);
        check(ClickHouseError::Network("connection reset".into()), false);
    }

    #[test]
    fn what_is_about_the_rows_is_no_outage() {
        let check = |error, outage: bool| {
            let error = SinkError::insert("insert into logs", error);
            assert_eq!(error.is_outage(), outage, "{error:?}");
        };
        let answered = |text: &str| ClickHouseError::BadResponse(text.to_owned());
        check(answered("Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space"), true);
        check(answered("Code: 252. DB::Exception: Too many parts"), true);
        check(answered("Code: 319. DB::Exception: Unknown status"), true);
        check(answered("Code: 252"), true);
        check(answered("Code: 319"), true);
        check(answered("Code: 469"), false);
        check(answered("<html>502 Bad Gateway</html>"), true);
        check(ClickHouseError::Network("connection reset".into()), true);
        check(answered("Code: 469. DB::Exception: Constraint `poison` is violated"), false);
        check(answered("Code: 33. DB::Exception: Cannot read all data"), false);
        check(ClickHouseError::SchemaMismatch("a column is missing".to_owned()), false);
    }
}
