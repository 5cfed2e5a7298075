//! ClickHouse exceptions: the code, the text a server would send, and the HTTP status that goes with it.
//!
//! The engine answers with `Code: N. DB::Exception: text. (NAME)`; what this crate itself has to refuse is worded
//! the same way, so a client cannot tell which of the two spoke. The text never holds a password.

use std::fmt;

/// The error codes that this crate raises itself. The engine's own codes are any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A block or a request field is larger than what is accepted.
    TooLargeSizeCompressed,
    /// A compressed block does not match its checksum.
    ChecksumDoesntMatch,
    /// A request parameter makes no sense.
    BadArguments,
    /// The request asks for something that only a full server does.
    NotImplemented,
    /// The statement does not parse, or is more than one statement.
    SyntaxError,
    /// A setting name that cannot be a setting.
    UnknownSetting,
    /// Compression that is not supported.
    UnknownCompressionMethod,
    /// A write over GET.
    Readonly,
    /// No connection became free in time.
    TooManySimultaneousQueries,
    /// The body ended too early or was cut.
    CannotReadAllData,
    /// The disk does not take what has to be kept for a moment: a body, or a result.
    CannotWriteToFileDescriptor,
    /// A compressed block is damaged.
    CannotDecompress,
    /// A gzip or deflate body is damaged.
    ZlibInflateFailed,
    /// An LZ4 frame body is damaged.
    Lz4DecoderFailed,
    /// `INTO OUTFILE` or `FROM INFILE`, which would touch the server's files.
    IntoOutfileNotAllowed,
    /// `session_check=1` named a session that does not exist.
    SessionNotFound,
    /// The session is running another statement.
    SessionIsLocked,
    /// `session_timeout` is not a number of seconds up to the limit.
    InvalidSessionTimeout,
    /// A role: the engine has none.
    UnknownRole,
    /// Wrong user or password.
    AuthenticationFailed,
    /// Too many sessions are open.
    UserSessionLimitExceeded,
    /// The engine answered with something that is no ClickHouse exception.
    UnknownException,
}

impl Code {
    /// The number and the name that ClickHouse gives the code.
    #[must_use]
    pub fn number_and_name(self) -> (u16, &'static str) {
        match self {
            Self::BadArguments => (36, "BAD_ARGUMENTS"),
            Self::CannotReadAllData => (33, "CANNOT_READ_ALL_DATA"),
            Self::TooLargeSizeCompressed => (39, "TOO_LARGE_SIZE_COMPRESSED"),
            Self::ChecksumDoesntMatch => (40, "CHECKSUM_DOESNT_MATCH"),
            Self::NotImplemented => (48, "NOT_IMPLEMENTED"),
            Self::SyntaxError => (62, "SYNTAX_ERROR"),
            Self::UnknownCompressionMethod => (89, "UNKNOWN_COMPRESSION_METHOD"),
            Self::UnknownSetting => (115, "UNKNOWN_SETTING"),
            Self::CannotWriteToFileDescriptor => (75, "CANNOT_WRITE_TO_FILE_DESCRIPTOR"),
            Self::Readonly => (164, "READONLY"),
            Self::TooManySimultaneousQueries => (202, "TOO_MANY_SIMULTANEOUS_QUERIES"),
            Self::CannotDecompress => (271, "CANNOT_DECOMPRESS"),
            Self::ZlibInflateFailed => (354, "ZLIB_INFLATE_FAILED"),
            Self::IntoOutfileNotAllowed => (358, "INTO_OUTFILE_NOT_ALLOWED"),
            Self::SessionNotFound => (372, "SESSION_NOT_FOUND"),
            Self::SessionIsLocked => (373, "SESSION_IS_LOCKED"),
            Self::InvalidSessionTimeout => (374, "INVALID_SESSION_TIMEOUT"),
            Self::UnknownRole => (511, "UNKNOWN_ROLE"),
            Self::AuthenticationFailed => (516, "AUTHENTICATION_FAILED"),
            Self::Lz4DecoderFailed => (618, "LZ4_DECODER_FAILED"),
            Self::UserSessionLimitExceeded => (700, "USER_SESSION_LIMIT_EXCEEDED"),
            Self::UnknownException => (1002, "UNKNOWN_EXCEPTION"),
        }
    }

    /// Every code, for the test that asks the engine whether it uses the same numbers.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &[
            Self::TooLargeSizeCompressed,
            Self::ChecksumDoesntMatch,
            Self::BadArguments,
            Self::NotImplemented,
            Self::SyntaxError,
            Self::UnknownSetting,
            Self::UnknownCompressionMethod,
            Self::Readonly,
            Self::TooManySimultaneousQueries,
            Self::CannotReadAllData,
            Self::CannotWriteToFileDescriptor,
            Self::CannotDecompress,
            Self::ZlibInflateFailed,
            Self::Lz4DecoderFailed,
            Self::IntoOutfileNotAllowed,
            Self::SessionNotFound,
            Self::SessionIsLocked,
            Self::InvalidSessionTimeout,
            Self::UnknownRole,
            Self::AuthenticationFailed,
            Self::UserSessionLimitExceeded,
            Self::UnknownException,
        ]
    }
}

/// How the text of an exception begins that ClickHouse did not throw itself.
const STD_EXCEPTION: &str = "std::exception. Code: 1001,";

/// One ClickHouse exception, without the version that the server appends when it sends it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Exception {
    code: u16,
    text: String,
}

impl Exception {
    /// An exception of our own, worded as the server words it.
    pub fn new(code: Code, message: impl fmt::Display) -> Self {
        let (number, name) = code.number_and_name();
        Self { code: number, text: format!("Code: {number}. DB::Exception: {message}. ({name})") }
    }

    /// What the engine said. A text that is no ClickHouse exception is kept, under `UNKNOWN_EXCEPTION`.
    #[must_use]
    pub fn from_engine(text: &str) -> Self {
        let text = without_version(text.trim_end());
        match leading_code(text) {
            Some(code) => Self { code, text: text.to_owned() },
            // What is no exception of ClickHouse's a server sends so, a full disk among it.
            None if text.starts_with(STD_EXCEPTION) => Self { code: 1001, text: text.to_owned() },
            None => Self::new(Code::UnknownException, text.trim_end_matches('.')),
        }
    }

    /// The exception's number, as in `X-ClickHouse-Exception-Code`.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The HTTP status a ClickHouse server of this version answers with, plus one of our own: a full queue is 503,
    /// because the client should come back (a server says 500).
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self.code {
            194 => 401,
            192 | 193 | 497 | 512 | 516 => 403,
            6 | 8 | 15 | 25 | 26 | 27 | 36 | 37 | 38 | 41 | 44 | 53 | 62 | 72 | 117 | 123 | 167 | 168
            | 223 | 321 | 376 | 427 | 441 | 675 | 676 => 400,
            46 | 47 | 50 | 56 | 60 | 63 | 73 | 78 | 81 | 115 | 152 | 336 | 511 => 404,
            229 => 413,
            48 => 501,
            76 | 202 | 209 | 439 => 503,
            381 => 411,
            159 => 408,
            779 => 415,
            // Everything else is the server's own trouble, as in ClickHouse.
            _ => 500,
        }
    }

    /// The text as a server of `version` sends it.
    #[must_use]
    pub fn with_version(&self, version: &str) -> String {
        format!("{} (version {version} (official build))\n", self.text)
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The engine appends `(version ..)` to some exceptions and not to others.
fn without_version(text: &str) -> &str {
    match text.rfind(" (version ") {
        Some(at) if text.ends_with(')') => &text[..at],
        Some(_) | None => text,
    }
}

fn leading_code(text: &str) -> Option<u16> {
    let rest = text.strip_prefix("Code: ")?;
    rest[..rest.find('.')?].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: u16, sent: &str) {
        let exception = Exception::from_engine(text);
        assert_eq!(exception.code(), code, "{text}");
        assert_eq!(exception.with_version("26.7"), sent, "{text}");
    }

    #[test]
    fn engine_text_keeps_its_code_and_gets_one_version() {
        check(
            "Code: 60. DB::Exception: Table t does not exist. (UNKNOWN_TABLE)",
            60,
            "Code: 60. DB::Exception: Table t does not exist. (UNKNOWN_TABLE) (version 26.7 (official build))\n",
        );
        check(
            "Code: 27. DB::Exception: bad. (X) (version 26.7.2.1)",
            27,
            "Code: 27. DB::Exception: bad. (X) (version 26.7 (official build))\n",
        );
        check(
            "nothing known",
            1002,
            "Code: 1002. DB::Exception: nothing known. (UNKNOWN_EXCEPTION) (version 26.7 (official build))\n",
        );
        check(
            "std::exception. Code: 1001, type: std::__1::filesystem::filesystem_error, e.what() = no space",
            1001,
            "std::exception. Code: 1001, type: std::__1::filesystem::filesystem_error, e.what() = no space (version 26.7 (official build))\n",
        );
        check(
            "Code: x",
            1002,
            "Code: 1002. DB::Exception: Code: x. (UNKNOWN_EXCEPTION) (version 26.7 (official build))\n",
        );
    }

    #[test]
    fn statuses_are_those_of_a_server() {
        for (code, status) in [
            (Code::SyntaxError, 400),
            (Code::UnknownSetting, 404),
            (Code::Readonly, 500),
            (Code::AuthenticationFailed, 403),
            (Code::NotImplemented, 501),
            (Code::TooManySimultaneousQueries, 503),
            (Code::SessionIsLocked, 500),
        ] {
            assert_eq!(Exception::new(code, "x").http_status(), status, "{code:?}");
        }
    }
}
