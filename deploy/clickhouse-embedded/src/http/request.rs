//! What a request asks for: its fields and headers, sorted into what they mean.
//!
//! A field that means nothing to the HTTP interface is a setting of the engine, as in ClickHouse.

use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING};

use super::query_string::Field;
use crate::codec::{Encoding, choose_encoding};
use crate::engine::{Change, Environment, Parameter, SessionRequest};
use crate::exception::{Code, Exception};
use crate::ids;

/// How much of a result is held back before the response begins, so that an early error gets its own status.
const BUFFER_BYTES: usize = 1 << 20;
/// The engine's limits, unless the request sets others.
const QUERY_BYTES_MAX: usize = 262_144;
const SESSION_TIMEOUT_S: u64 = 60;
const SESSION_TIMEOUT_S_MAX: u64 = 3_600;

/// Settings that steer this layer and not the engine.
const OURS: [&str; 6] = [
    "enable_http_compression",
    "http_zlib_compression_level",
    "send_progress_in_http_headers",
    "http_headers_progress_interval_ms",
    "add_http_cors_header",
    "cancel_http_readonly_queries_on_client_close",
];

/// A request, understood.
#[derive(Debug)]
pub(super) struct QueryRequest {
    /// GET and HEAD may only read.
    pub(super) read_only: bool,
    /// The statement's first part, from the URL or the form.
    pub(super) statement: Vec<u8>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) environment: Environment,
    /// The output format, unless the statement names one.
    pub(super) format: Option<String>,
    pub(super) query_id: String,
    pub(super) session: Option<SessionRequest>,
    /// How the response is encoded.
    pub(super) encoding: Encoding,
    pub(super) zlib_level: u32,
    /// The request's `Content-Encoding`.
    pub(super) body_encoding: Option<String>,
    /// Whether the body is in ClickHouse blocks.
    pub(super) body_blocks: bool,
    pub(super) buffer_bytes: usize,
    /// Whether the whole result is held back.
    pub(super) wait_end: bool,
    pub(super) statement_bytes_max: usize,
    /// `client_protocol_version`: what Native results are written for.
    pub(super) native_revision: u32,
}

impl QueryRequest {
    /// Sorts the fields.
    pub(super) fn new(read_only: bool, headers: &HeaderMap, fields: Vec<Field>) -> Result<Self, Exception> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut raw = Raw {
            format: header("x-clickhouse-format"),
            query_id: header("x-clickhouse-query-id"),
            zlib_level: 3,
            http_compression: true,
            statement_bytes_max: QUERY_BYTES_MAX,
            buffer_bytes: BUFFER_BYTES,
            ..Raw::default()
        };
        raw.environment.database = header("x-clickhouse-database").filter(|name| !name.is_empty());
        for field in fields {
            raw.take(field)?;
        }
        let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let encoding = match (raw.compress, raw.http_compression) {
            (true, _) => Encoding::Blocks,
            (false, true) => choose_encoding(accepted),
            (false, false) => Encoding::Plain,
        };
        let session = raw.session()?;
        Ok(Self {
            read_only,
            statement: raw.statement,
            parameters: raw.parameters,
            environment: raw.environment,
            format: raw.format.filter(|name| !name.is_empty()),
            query_id: raw.query_id.filter(|id| header_safe(id)).unwrap_or_else(ids::query_id),
            session,
            encoding,
            zlib_level: raw.zlib_level,
            body_encoding: headers
                .get(CONTENT_ENCODING)
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
            body_blocks: raw.decompress,
            buffer_bytes: raw.buffer_bytes,
            wait_end: raw.wait_end,
            statement_bytes_max: raw.statement_bytes_max,
            native_revision: raw.native_revision,
        })
    }
}

/// The fields, on their way.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the URL")]
#[derive(Default)]
struct Raw {
    statement: Vec<u8>,
    parameters: Vec<Parameter>,
    environment: Environment,
    format: Option<String>,
    query_id: Option<String>,
    session_id: Option<String>,
    session_timeout: Option<String>,
    session_check: bool,
    session_close: bool,
    compress: bool,
    decompress: bool,
    http_compression: bool,
    zlib_level: u32,
    wait_end: bool,
    buffer_bytes: usize,
    statement_bytes_max: usize,
    native_revision: u32,
}

impl Raw {
    fn take(&mut self, field: Field) -> Result<(), Exception> {
        if field.name == "query" {
            self.statement = field.value;
            return Ok(());
        }
        if let Some(name) = field.name.strip_prefix("param_") {
            self.parameters.push(Parameter { name: name.to_owned(), value: field.value });
            return Ok(());
        }
        let value = String::from_utf8(field.value).map_err(|_| {
            Exception::new(
                Code::BadArguments,
                format!("The value of parameter {:?} is not UTF-8", field.name),
            )
        })?;
        match field.name.as_str() {
            "database" => self.environment.database = Some(value).filter(|name| !name.is_empty()),
            "default_format" => self.format = Some(value),
            "query_id" => self.query_id = Some(value),
            "session_id" => self.session_id = Some(value),
            "session_timeout" => self.session_timeout = Some(value),
            "session_check" => self.session_check = value == "1",
            "client_protocol_version" => self.native_revision = number(&field.name, &value)?,
            "close_session" => self.session_close = flag("close_session", &value)?,
            "compress" => self.compress = flag("compress", &value)?,
            "decompress" => self.decompress = flag("decompress", &value)?,
            "wait_end_of_query" | "http_wait_end_of_query" => {
                self.wait_end = flag("wait_end_of_query", &value)?;
            }
            "buffer_size" | "http_response_buffer_size" => {
                let wanted: usize = number(&field.name, &value)?;
                self.buffer_bytes = wanted.clamp(BUFFER_BYTES, 64 * BUFFER_BYTES);
            }
            "role" => {
                return Err(Exception::new(
                    Code::UnknownRole,
                    format!("There is no role {value:?}: the embedded server has none"),
                ));
            }
            // These mean something to a server, and nothing to the answer of this one.
            "user" | "password" | "quota_key" | "stacktrace" => {}
            name => self.take_setting(name, value)?,
        }
        Ok(())
    }

    fn take_setting(&mut self, name: &str, value: String) -> Result<(), Exception> {
        match name {
            "enable_http_compression" => self.http_compression = flag(name, &value)?,
            "http_zlib_compression_level" => self.zlib_level = number(name, &value)?,
            "max_query_size" => self.statement_bytes_max = number(name, &value)?,
            _ => {}
        }
        if !OURS.contains(&name) {
            self.environment.changes.push(Change { name: name.to_owned(), value });
        }
        Ok(())
    }

    fn session(&self) -> Result<Option<SessionRequest>, Exception> {
        let Some(id) = self.session_id.as_deref().filter(|id| !id.is_empty()) else {
            return Ok(None);
        };
        let seconds = match &self.session_timeout {
            None => SESSION_TIMEOUT_S,
            Some(text) => text.parse().ok().filter(|seconds| *seconds <= SESSION_TIMEOUT_S_MAX).ok_or_else(|| {
                Exception::new(
                    Code::InvalidSessionTimeout,
                    format!("Invalid session timeout: {text:?}; it is a number of seconds up to {SESSION_TIMEOUT_S_MAX}"),
                )
            })?,
        };
        Ok(Some(SessionRequest {
            name: id.to_owned(),
            timeout: Duration::from_secs(seconds),
            must_exist: self.session_check,
            close: self.session_close,
        }))
    }
}

fn flag(name: &str, value: &str) -> Result<bool, Exception> {
    match value {
        "1" | "true" => Ok(true),
        "0" | "false" | "" => Ok(false),
        _ => Err(Exception::new(Code::BadArguments, format!("Parameter {name} is 0 or 1, not {value:?}"))),
    }
}

fn number<N: std::str::FromStr>(name: &str, value: &str) -> Result<N, Exception> {
    value.parse().map_err(|_| {
        Exception::new(Code::BadArguments, format!("Parameter {name} is a number, not {value:?}"))
    })
}

/// What can be echoed in a header.
fn header_safe(text: &str) -> bool {
    !text.is_empty() && text.len() <= 1_000 && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(query: &str, headers: &[(&'static str, &'static str)]) -> Result<QueryRequest, Exception> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        QueryRequest::new(false, &map, super::super::query_string::parse(query)?)
    }

    #[test]
    fn fields_go_where_they_belong() {
        let request = request(
            "query=SELECT%201&param_x=%ff&max_threads=2&database=d&default_format=JSON&query_id=q&enable_http_compression=1",
            &[("accept-encoding", "gzip"), ("x-clickhouse-database", "other"), ("content-encoding", "gzip")],
        )
        .unwrap();
        assert_eq!(request.statement, b"SELECT 1");
        assert_eq!(request.parameters, [Parameter { name: "x".to_owned(), value: vec![0xff] }]);
        assert_eq!(
            request.environment.changes,
            [Change { name: "max_threads".to_owned(), value: "2".to_owned() }]
        );
        assert_eq!(request.environment.database.as_deref(), Some("d"));
        assert_eq!((request.format.as_deref(), request.query_id.as_str()), (Some("JSON"), "q"));
        assert_eq!((request.encoding, request.body_encoding.as_deref()), (Encoding::Gzip, Some("gzip")));
    }

    #[test]
    fn headers_fill_in_what_the_url_does_not_say() {
        let request = request("", &[("x-clickhouse-database", "d"), ("x-clickhouse-format", "CSV")]).unwrap();
        assert_eq!(
            (request.environment.database.as_deref(), request.format.as_deref()),
            (Some("d"), Some("CSV"))
        );
        assert_eq!(request.query_id.len(), 36);
    }

    #[test]
    fn compression_is_what_was_asked_for() {
        let encoding = |query: &str| request(query, &[("accept-encoding", "lz4")]).unwrap().encoding;
        assert_eq!(encoding(""), Encoding::Lz4);
        assert_eq!(encoding("enable_http_compression=0"), Encoding::Plain);
        assert_eq!(encoding("compress=1"), Encoding::Blocks);
    }

    #[test]
    fn nonsense_is_refused_with_its_own_code() {
        for (query, code) in [
            ("compress=maybe", 36),
            ("buffer_size=x", 36),
            ("max_threads=%ff", 36),
            ("role=admin", 511),
            ("session_id=a&session_timeout=3601", 374),
            ("session_id=a&session_timeout=-1", 374),
        ] {
            assert_eq!(request(query, &[]).unwrap_err().code(), code, "{query}");
        }
    }

    #[test]
    fn an_empty_session_id_is_none() {
        assert!(request("session_id=", &[]).unwrap().session.is_none());
        assert_eq!(request("session_id=a", &[]).unwrap().session.unwrap().name, "a");
    }
}
