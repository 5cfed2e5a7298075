//! Workers trace events: the outer record, in the shape of Logpush (`PascalCase`) and of a tail (`camelCase`).

use serde::Deserialize;
use serde_json::Number;
use weir_event::Timestamp;

use super::console::{Console, ConsoleCall};
use super::error::DecodeError;
use super::headers::{TracedHeaders, ray_of};
use super::lenient::{Bounded, Lenient, taken, whole};
use super::message::Message;
use super::salvage;
use crate::accept::RawRecord;

/// How many console calls of an event are read: the runtime keeps 256 KB of them, malacca writes four.
const LOGS_MAX: usize = 1_000;
const EXCEPTIONS_MAX: usize = 16;

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

/// Strict where it identifies the event or says when it began, lenient in everything else.
#[derive(Deserialize)]
#[serde(bound(deserialize = "M: Deserialize<'de>"))]
pub(super) struct WireTrace<M> {
    #[serde(rename = "scriptName", alias = "ScriptName")]
    script_name: Option<String>,
    #[serde(rename = "entrypoint", alias = "Entrypoint")]
    entrypoint: Option<String>,
    #[serde(rename = "outcome", alias = "Outcome")]
    outcome: Option<Lenient<String>>,
    #[serde(rename = "eventTimestamp", alias = "EventTimestampMs")]
    event_timestamp_ms: Option<Number>,
    #[serde(rename = "eventType", alias = "EventType")]
    event_type: Option<Lenient<String>>,
    #[serde(rename = "event", alias = "Event")]
    event: Option<WireEvent>,
    #[serde(rename = "logs", alias = "Logs")]
    logs: Option<Bounded<WireLog<M>, LOGS_MAX>>,
    #[serde(rename = "exceptions", alias = "Exceptions")]
    exceptions: Option<Lenient<Bounded<WireException, EXCEPTIONS_MAX>>>,
    #[serde(rename = "wallTime", alias = "WallTimeMs")]
    wall_time_ms: Option<Lenient<Number>>,
    #[serde(rename = "truncated", alias = "Truncated")]
    truncated: Option<Lenient<bool>>,
}

#[derive(Default, Deserialize)]
struct WireEvent {
    #[serde(rename = "rayId", alias = "RayID")]
    ray_id: Option<String>,
    #[serde(rename = "request", alias = "Request")]
    request: Option<WireRequest>,
    #[serde(rename = "response", alias = "Response")]
    response: Option<Lenient<WireResponse>>,
}

#[derive(Default, Deserialize)]
struct WireRequest {
    #[serde(rename = "url", alias = "URL")]
    url: Option<Lenient<String>>,
    #[serde(rename = "headers", alias = "Headers")]
    headers: Option<TracedHeaders>,
    #[serde(rename = "cf", alias = "CF")]
    cf: Option<Lenient<WireCf>>,
}

#[derive(Deserialize)]
struct WireCf {
    country: Option<String>,
}

#[derive(Deserialize)]
struct WireResponse {
    #[serde(rename = "status", alias = "Status")]
    status: Option<u16>,
}

#[derive(Deserialize)]
struct WireLog<M> {
    #[serde(rename = "message", alias = "Message")]
    message: Option<M>,
    #[serde(rename = "timestamp", alias = "TimestampMs")]
    timestamp_ms: Option<Lenient<Number>>,
}

#[derive(Deserialize)]
struct WireException {
    #[serde(rename = "name", alias = "Name")]
    name: Option<Lenient<String>>,
    #[serde(rename = "message", alias = "Message")]
    message: Option<Lenient<String>>,
}

impl<'a, M: Message<'a>> WireTrace<M> {
    /// Whether there is no field of a trace.
    pub(super) fn has_nothing(&self) -> bool {
        self.script_name.is_none()
            && self.outcome.is_none()
            && self.event_timestamp_ms.is_none()
            && self.event_type.is_none()
            && self.event.is_none()
            && self.logs.is_none()
    }

    /// Where the type was not delivered, an event without a request is none either. Without both, it may be one.
    pub(super) fn is_no_request(&self) -> bool {
        let event_type =
            self.event_type.as_ref().and_then(|Lenient(name)| name.as_deref()).unwrap_or_default();
        match (event_type, &self.event) {
            ("fetch", _) | ("", None) => false,
            ("", Some(event)) => {
                event.request.is_none() && event.response.is_none() && event.ray_id.is_none()
            }
            // Scheduled runs, queue batches, alarms, and what Cloudflare may add.
            (_, _) => true,
        }
    }

    pub(super) fn into_record(self, record: &RawRecord<'_>) -> Result<TraceRecord, DecodeError> {
        let Bounded(logs) = self.logs.unwrap_or_default();
        let calls: Vec<_> = logs.into_iter().map(WireLog::call).collect();
        let first_call_at = calls.iter().find_map(|call| call.at);
        let started_at = match self.event_timestamp_ms {
            Some(number) => timestamp(&number)?,
            None => first_call_at.ok_or(NO_TIMESTAMP)?,
        };
        let console = Console::read(&calls);
        let event = self.event.unwrap_or_default();
        let request = event.request.unwrap_or_default();
        let mut headers = request.headers.unwrap_or_default();
        headers.country = headers.country.or_else(|| taken(request.cf)?.country);
        let Bounded(exceptions) = taken(self.exceptions).unwrap_or_default();
        let exceptions: Vec<_> = exceptions.into_iter().filter_map(WireException::text).collect();
        let is_cut = |text: &String| salvage::strip_marker(text).is_some();
        Ok(TraceRecord {
            script_name: self.script_name.unwrap_or_default(),
            entrypoint: self.entrypoint.unwrap_or_default(),
            outcome: taken(self.outcome),
            started_at,
            identity: Identity::of(event.ray_id, &headers, record),
            url: taken(request.url),
            headers,
            status_code: taken(event.response).and_then(|response| response.status),
            truncated: taken(self.truncated).unwrap_or(false)
                || console.truncated
                || exceptions.iter().any(is_cut),
            exception: exceptions.into_iter().next(),
            wall_time_ms: taken(self.wall_time_ms).and_then(|number| u64::try_from(whole(&number)?).ok()),
            console,
        })
    }
}

const NO_TIMESTAMP: DecodeError =
    DecodeError::NoTimestamp { looked_in: "EventTimestampMs and the log lines" };

fn timestamp(millis: &Number) -> Result<Timestamp, DecodeError> {
    let wrong = |source| DecodeError::Timestamp { field: "EventTimestampMs", source };
    Timestamp::from_millis(whole(millis).ok_or(NO_TIMESTAMP)?).map_err(wrong)
}

impl Identity {
    fn of(ray_id: Option<String>, headers: &TracedHeaders, record: &RawRecord<'_>) -> Self {
        let named = ray_id.map(|ray| ray_of(&ray)).filter(|ray| !ray.is_empty());
        let ray = named.or_else(|| headers.ray_id.clone()).filter(|ray| !ray.is_empty());
        ray.map_or_else(|| Self::Digest(record.digest()), Self::Ray)
    }
}

impl<'a, M: Message<'a>> WireLog<M> {
    fn call(self) -> ConsoleCall<'a> {
        // A log line with an impossible time still has its text.
        let at = taken(self.timestamp_ms).and_then(|number| Timestamp::from_millis(whole(&number)?).ok());
        ConsoleCall { arguments: self.message.map(M::arguments).unwrap_or_default(), at }
    }
}

impl WireException {
    fn text(self) -> Option<String> {
        match (taken(self.name), taken(self.message)) {
            (Some(name), Some(message)) => Some(format!("{name}: {message}")),
            (name, message) => name.or(message),
        }
    }
}

#[cfg(test)]
mod tests;
