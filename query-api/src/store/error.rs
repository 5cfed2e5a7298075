//! What can go wrong with ClickHouse, sorted by what to do about it. The only place that reads its error texts.

use clickhouse::error::Error as ClickHouseError;

/// A statement was not answered. No variant's text holds SQL, a host or a value.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// ClickHouse is not there, not set up, or has too much to do: to be tried again.
    #[error("clickhouse is unavailable")]
    Unavailable(#[source] ClickHouseError),
    /// Its answer would be longer than it may be: less has to be asked for.
    #[error("answer is longer than it may be")]
    TooLong(#[source] ClickHouseError),
    /// It refused the statement, or we do not understand its answer: a mistake of ours, the same on every try.
    #[error("clickhouse and this program do not understand each other")]
    Misunderstanding(#[source] ClickHouseError),
}

impl StoreError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::TooLong(_) | Self::Misunderstanding(_) => false,
        }
    }

    /// Whether ClickHouse's user is one that may not do this.
    #[must_use]
    pub fn is_lack_of_rights(&self) -> bool {
        let (Self::Unavailable(error) | Self::TooLong(error) | Self::Misunderstanding(error)) = self;
        matches!(error, ClickHouseError::BadResponse(text)
            if matches!(exception_code(text), Some(READONLY | ACCESS_DENIED)))
    }
}

const READONLY: u32 = 164;
const TOO_MANY_ROWS_OR_BYTES: u32 = 396;
const ACCESS_DENIED: u32 = 497;

impl From<ClickHouseError> for StoreError {
    fn from(error: ClickHouseError) -> Self {
        let is_too_long = matches!(&error, ClickHouseError::BadResponse(text)
            if exception_code(text) == Some(TOO_MANY_ROWS_OR_BYTES));
        if is_too_long {
            return Self::TooLong(error);
        }
        let retryable = match &error {
            ClickHouseError::Network(_) | ClickHouseError::TimedOut => true,
            ClickHouseError::BadResponse(text) => exception_code(text).is_none_or(is_condition_of_the_server),
            // Everything else is about a statement, a bind or a row. The enum is not ours and may grow.
            _ => false,
        };
        if retryable { Self::Unavailable(error) } else { Self::Misunderstanding(error) }
    }
}

/// The number in `Code: 60. DB::Exception: …`. An answer without one did not come from ClickHouse itself.
fn exception_code(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("Code: ")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest[..digits].parse().ok()
}

/// Whether an exception is about the state of the server and not about the statement.
fn is_condition_of_the_server(code: u32) -> bool {
    const UNKNOWN_TABLE: u32 = 60;
    const UNKNOWN_DATABASE: u32 = 81;
    const TIMEOUT_EXCEEDED: u32 = 159;
    const TOO_MANY_SIMULTANEOUS_QUERIES: u32 = 202;
    const SOCKET_TIMEOUT: u32 = 209;
    const NETWORK_ERROR: u32 = 210;
    const NO_ZOOKEEPER: u32 = 225;
    const MEMORY_LIMIT_EXCEEDED: u32 = 241;
    const TABLE_IS_READ_ONLY: u32 = 242;
    const ALL_CONNECTION_TRIES_FAILED: u32 = 279;
    const QUERY_WAS_CANCELLED: u32 = 394;
    const AUTHENTICATION_FAILED: u32 = 516;
    matches!(
        code,
        UNKNOWN_TABLE
            | UNKNOWN_DATABASE
            | TIMEOUT_EXCEEDED
            | TOO_MANY_SIMULTANEOUS_QUERIES
            | SOCKET_TIMEOUT
            | NETWORK_ERROR
            | NO_ZOOKEEPER
            | MEMORY_LIMIT_EXCEEDED
            | TABLE_IS_READ_ONLY
            | ALL_CONNECTION_TRIES_FAILED
            | QUERY_WAS_CANCELLED
            | ACCESS_DENIED
            | AUTHENTICATION_FAILED
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, retryable: bool) {
        let error = StoreError::from(ClickHouseError::BadResponse(answer.to_owned()));
        assert_eq!(error.is_retryable(), retryable, "{answer}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn a_server_in_trouble_is_tried_again_and_a_mistake_is_not() {
        check("Code: 241. DB::Exception: Memory limit exceeded: secret", true);
        check("Code: 60. DB::Exception: Table secret.logs does not exist. (UNKNOWN_TABLE)", true);
        check("Code: 516. DB::Exception: secret: Authentication failed", true);
        check("503 Service Unavailable", true);
        check("<html>secret gateway</html>", true);
        check("Code: 62. DB::Exception: Syntax error: failed at position 1 (secret)", false);
        check("Code: 47. DB::Exception: Unknown expression identifier `secret`", false);
        assert!(!StoreError::from(ClickHouseError::NotEnoughData).is_retryable());
        assert!(StoreError::from(ClickHouseError::TimedOut).is_retryable());
    }

    #[test]
    fn an_answer_that_would_be_too_long_is_known() {
        let answer =
            "Code: 396. DB::Exception: Limit for result exceeded, max rows: 1.00, current rows: 2.00";
        let error = StoreError::from(ClickHouseError::BadResponse(answer.to_owned()));
        assert!(matches!(error, StoreError::TooLong(_)) && !error.is_retryable(), "{error:?}");
    }

    #[test]
    fn a_user_without_rights_is_known() {
        let of = |answer: &str| StoreError::from(ClickHouseError::BadResponse(answer.to_owned()));
        assert!(of("Code: 497. DB::Exception: secret: Not enough privileges").is_lack_of_rights());
        assert!(
            of("Code: 164. DB::Exception: secret: Cannot execute query in readonly mode").is_lack_of_rights()
        );
        assert!(!of("Code: 241. DB::Exception: Memory limit exceeded").is_lack_of_rights());
        assert!(!StoreError::from(ClickHouseError::TimedOut).is_lack_of_rights());
    }
}
