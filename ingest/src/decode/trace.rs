//! Workers trace events: the outer record, in the shape of Logpush (`PascalCase`) and of a tail (`camelCase`).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use weir_event::Timestamp;

use super::console::{Console, ConsoleCall};
use super::error::DecodeError;
use super::headers::{TracedHeaders, ray_of};
use super::salvage;
use crate::accept::RawRecord;

/// What a record turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    /// A request that a worker handled.
    Trace(Box<TraceRecord>),
    /// Nothing to store, and nothing wrong.
    Ignored(IgnoreReason),
}

/// Why a record is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoreReason {
    /// The upload with which Cloudflare tries a destination when a job is created.
    Probe,
    /// A scheduled run, a queue batch, an alarm: no request, so no usage.
    NotARequest,
}

/// A handled request, in the terms of the trace.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceRecord {
    /// The worker.
    pub script_name: String,
    /// The worker's entry point, `""` for the default.
    pub entrypoint: String,
    /// `ok`, `exception`, `canceled`, …
    pub outcome: Option<String>,
    /// When the worker began.
    pub started_at: Timestamp,
    /// What tells this record from others with the same worker and start.
    pub identity: Identity,
    /// The request's URL.
    pub url: Option<String>,
    /// The headers that are taken.
    pub headers: TracedHeaders,
    /// The answer's HTTP status.
    pub status_code: Option<u16>,
    /// The first exception that the worker threw.
    pub exception: Option<String>,
    /// How long the worker ran, in milliseconds.
    pub wall_time_ms: Option<u64>,
    /// Whether anything was cut, by the runtime or by Logpush.
    pub truncated: bool,
    /// What the worker logged.
    pub console: Console,
}

/// What tells two records apart that began at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Cloudflare's id of the request: the same in every delivery and shape.
    Ray(String),
    /// SHA-256 of the record, where no ray id was delivered: the same in every delivery of one job.
    Digest([u8; 32]),
}

#[derive(Deserialize)]
struct WireTrace<'a> {
    #[serde(rename = "scriptName", alias = "ScriptName")]
    script_name: Option<String>,
    #[serde(rename = "entrypoint", alias = "Entrypoint")]
    entrypoint: Option<String>,
    #[serde(rename = "outcome", alias = "Outcome")]
    outcome: Option<String>,
    #[serde(rename = "eventTimestamp", alias = "EventTimestampMs")]
    event_timestamp_ms: Option<i64>,
    #[serde(rename = "eventType", alias = "EventType")]
    event_type: Option<String>,
    #[serde(rename = "event", alias = "Event")]
    event: Option<WireEvent>,
    #[serde(rename = "logs", alias = "Logs", borrow)]
    logs: Option<Vec<WireLog<'a>>>,
    #[serde(rename = "exceptions", alias = "Exceptions")]
    exceptions: Option<Vec<WireException>>,
    #[serde(rename = "wallTime", alias = "WallTimeMs")]
    wall_time_ms: Option<u64>,
    #[serde(rename = "truncated", alias = "Truncated")]
    truncated: Option<bool>,
}

#[derive(Deserialize)]
struct WireEvent {
    #[serde(rename = "rayId", alias = "RayID")]
    ray_id: Option<String>,
    #[serde(rename = "request", alias = "Request")]
    request: Option<WireRequest>,
    #[serde(rename = "response", alias = "Response")]
    response: Option<WireResponse>,
}

#[derive(Deserialize)]
struct WireRequest {
    #[serde(rename = "url", alias = "URL")]
    url: Option<String>,
    #[serde(rename = "headers", alias = "Headers")]
    headers: Option<TracedHeaders>,
}

#[derive(Deserialize)]
struct WireResponse {
    #[serde(rename = "status", alias = "Status")]
    status: Option<u16>,
}

#[derive(Deserialize)]
struct WireLog<'a> {
    #[serde(rename = "message", alias = "Message", borrow)]
    message: Option<&'a RawValue>,
    #[serde(rename = "timestamp", alias = "TimestampMs")]
    timestamp_ms: Option<i64>,
}

#[derive(Deserialize)]
struct WireException {
    #[serde(rename = "name", alias = "Name")]
    name: Option<String>,
    #[serde(rename = "message", alias = "Message")]
    message: Option<String>,
}

/// What Cloudflare uploads to try a destination: `{"content":"tests"}`, in some versions `"test"`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Probe<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
}

/// Decodes one record.
pub fn decode(record: &RawRecord<'_>) -> Result<Decoded, DecodeError> {
    let wire: WireTrace<'_> = serde_json::from_slice(record.bytes)?;
    if wire.has_nothing() {
        return if is_probe(record.bytes) {
            Ok(Decoded::Ignored(IgnoreReason::Probe))
        } else {
            Err(DecodeError::NotATraceEvent)
        };
    }
    if wire.is_no_request() {
        return Ok(Decoded::Ignored(IgnoreReason::NotARequest));
    }
    wire.into_record(record.bytes).map(|trace| Decoded::Trace(Box::new(trace)))
}

fn is_probe(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Probe<'_>>(bytes).is_ok_and(|probe| probe.content.starts_with("test"))
}

impl WireTrace<'_> {
    fn has_nothing(&self) -> bool {
        self.script_name.is_none()
            && self.outcome.is_none()
            && self.event_timestamp_ms.is_none()
            && self.event_type.is_none()
            && self.event.is_none()
            && self.logs.is_none()
    }

    /// Where the type was not delivered, an event without a request is none either. Without both, it may be one.
    fn is_no_request(&self) -> bool {
        match (self.event_type.as_deref(), &self.event) {
            (Some("fetch"), _) | (None, None) => false,
            (Some(_), _) => true,
            (None, Some(event)) => {
                event.request.is_none() && event.response.is_none() && event.ray_id.is_none()
            }
        }
    }

    fn into_record(self, bytes: &[u8]) -> Result<TraceRecord, DecodeError> {
        let calls = self.logs.unwrap_or_default().iter().map(WireLog::call).collect::<Result<Vec<_>, _>>()?;
        let first_call_at = calls.iter().find_map(|call| call.at);
        let started_at = match self.event_timestamp_ms {
            Some(millis) => Timestamp::from_millis(millis)?,
            None => first_call_at.ok_or(DecodeError::NoTimestamp)?,
        };
        let console = Console::read(&calls);
        let event = self.event.unwrap_or(WireEvent { ray_id: None, request: None, response: None });
        let (url, headers) = event.request.map_or((None, None), |request| (request.url, request.headers));
        let headers = headers.unwrap_or_default();
        let ray_id = event.ray_id.map(|ray| ray_of(&ray)).or_else(|| headers.ray_id.clone());
        let exception = self.exceptions.unwrap_or_default().into_iter().next().and_then(WireException::text);
        Ok(TraceRecord {
            script_name: self.script_name.unwrap_or_default(),
            entrypoint: self.entrypoint.unwrap_or_default(),
            outcome: self.outcome,
            started_at,
            identity: ray_id
                .filter(|ray| !ray.is_empty())
                .map_or_else(|| Identity::Digest(Sha256::digest(bytes).into()), Identity::Ray),
            url,
            headers,
            status_code: event.response.and_then(|response| response.status),
            truncated: self.truncated.unwrap_or(false)
                || console.truncated
                || exception.as_deref().is_some_and(|text| salvage::strip_marker(text).is_some()),
            exception,
            wall_time_ms: self.wall_time_ms,
            console,
        })
    }
}

impl<'a> WireLog<'a> {
    /// The call's arguments: an array, or, from some writers, a plain value.
    fn call(&self) -> Result<ConsoleCall<'a>, DecodeError> {
        let arguments = match self.message {
            None => Vec::new(),
            Some(raw) if raw.get().starts_with('[') => serde_json::from_str(raw.get())?,
            Some(raw) => vec![raw],
        };
        // A log line with an impossible time still has its text.
        let at = self.timestamp_ms.and_then(|millis| Timestamp::from_millis(millis).ok());
        Ok(ConsoleCall { arguments, at })
    }
}

impl WireException {
    fn text(self) -> Option<String> {
        match (self.name, self.message) {
            (Some(name), Some(message)) => Some(format!("{name}: {message}")),
            (name, message) => name.or(message),
        }
    }
}

#[cfg(test)]
mod tests;
