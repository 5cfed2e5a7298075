//! Responses: headers, bodies and exceptions as a server sends them.

use std::io;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::mpsc;

use super::answer::{Answer, Content};
use super::flushed::Flushes;
use crate::codec::{Encoder, Encoding};
use crate::engine::{Facts, Statistics};
use crate::exception::Exception;

/// Any body of ours.
pub(super) type ResponseBody = UnsyncBoxBody<Bytes, io::Error>;

const TEXT: &str = "text/plain; charset=UTF-8";
/// How much of a kept result is read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// What every response to a query says.
#[derive(Debug, Clone)]
pub(super) struct Labels {
    pub(super) query_id: String,
    pub(super) tag: String,
    pub(super) encoding: Encoding,
    pub(super) elapsed_ns: u128,
}

/// A plain text, outside any query.
pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<ResponseBody> {
    let mut response = Response::new(full(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
    response
}

/// An exception before any of the result was sent. Its text is not compressed.
pub(super) fn exception(exception: &Exception, labels: &Labels, facts: &Facts) -> Response<ResponseBody> {
    let status = StatusCode::from_u16(exception.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = text(status, exception.with_version(&facts.version));
    let headers = response.headers_mut();
    common(headers, labels, facts);
    set(headers, "x-clickhouse-exception-code", &exception.code().to_string());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        set(headers, "retry-after", "1");
    }
    response
}

/// The answer to a statement.
pub(super) async fn answer(
    answer: Answer,
    flushes: Flushes,
    labels: &Labels,
    facts: &Facts,
) -> Response<ResponseBody> {
    let body = match answer.content {
        Content::Whole(data) => full(data),
        Content::Kept { head, file, encoder } => kept(head, file, encoder).await,
        Content::Stream(receiver) => streamed(receiver, flushes),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    common(headers, labels, facts);
    let format = answer.format.as_deref().unwrap_or("TabSeparated");
    let known = facts.output_format(format);
    set(headers, "x-clickhouse-format", known.map_or(format, |format| &format.name));
    let content_type = known.map(|format| format.content_type.as_str()).filter(|kind| !kind.is_empty());
    set(headers, CONTENT_TYPE.as_str(), content_type.unwrap_or(TEXT));
    if let Some(encoding) = labels.encoding.header() {
        set(headers, CONTENT_ENCODING.as_str(), encoding);
    }
    set(headers, "x-clickhouse-summary", &summary(&answer.statistics.unwrap_or_default(), labels.elapsed_ns));
    response
}

fn common(headers: &mut HeaderMap, labels: &Labels, facts: &Facts) {
    set(headers, "x-clickhouse-query-id", &labels.query_id);
    set(headers, "x-clickhouse-server-display-name", &facts.display_name);
    set(headers, "x-clickhouse-timezone", &facts.time_zone);
    set(headers, "x-clickhouse-exception-tag", &labels.tag);
}

fn set(headers: &mut HeaderMap, name: &str, value: &str) {
    let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
        tracing::warn!(name, "a response header could not be set");
        return;
    };
    headers.insert(name, value);
}

/// The counters, as strings in JSON, in the order a server has them.
fn summary(statistics: &Statistics, elapsed_ns: u128) -> String {
    let Statistics { result_rows, read_rows, read_bytes, written_rows, written_bytes } = statistics;
    format!(
        "{{\"read_rows\":\"{read_rows}\",\"read_bytes\":\"{read_bytes}\",\"written_rows\":\"{written_rows}\",\
         \"written_bytes\":\"{written_bytes}\",\"total_rows_to_read\":\"0\",\"result_rows\":\"{result_rows}\",\
         \"result_bytes\":\"0\",\"elapsed_ns\":\"{elapsed_ns}\"}}"
    )
}

fn full(data: Bytes) -> ResponseBody {
    Full::new(data).map_err(|never| match never {}).boxed_unsync()
}

/// A result as it comes. An error breaks the connection, but only after everything before it has left.
fn streamed(receiver: mpsc::Receiver<io::Result<Bytes>>, flushes: Flushes) -> ResponseBody {
    let before = flushes.count();
    let parts =
        stream::unfold((receiver, flushes, before), |(mut receiver, mut flushes, before)| async move {
            let part = receiver.recv().await?;
            if part.is_err() {
                flushes.wait_beyond(before).await;
            }
            let before = flushes.count();
            Some((part, (receiver, flushes, before)))
        });
    BodyExt::boxed_unsync(StreamBody::new(parts.map_ok(Frame::data)))
}

/// A result that was held back in a file: its head, the file's bytes encoded, and the encoder's last ones.
async fn kept(head: Bytes, mut file: tokio::fs::File, encoder: Box<Encoder>) -> ResponseBody {
    let rewound = file.rewind().await;
    let rest = stream::try_unfold(Some((file, encoder)), |state| async move {
        let Some((mut file, mut encoder)) = state else {
            return Ok(None);
        };
        let mut chunk = bytes::BytesMut::with_capacity(CHUNK_BYTES);
        if file.read_buf(&mut chunk).await? == 0 {
            return Ok(Some((encoder.finish()?, None)));
        }
        Ok(Some((encoder.push(chunk.freeze())?, Some((file, encoder)))))
    });
    let first = rewound.map(|_| head);
    BodyExt::boxed_unsync(StreamBody::new(stream::iter([first]).chain(rest).map_ok(Frame::data)))
}
