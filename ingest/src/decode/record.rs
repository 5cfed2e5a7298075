//! Which kind of record it is: told by its content, among the forms that its source may write in.

use memchr::memmem;
use serde::de::IgnoredAny;
use weir_event::Dialect;

use super::ai_gateway::{AiGatewayLog, WireLog};
use super::envelope::Field;
use super::error::DecodeError;
use super::event::{EventRecord, decode_event};
use super::message::{Message, RawMessage, TextMessage};
use super::trace::{TraceRecord, WireTrace};
use crate::accept::{Form, RawRecord};

/// What a record turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    /// A request that a worker handled.
    Trace(Box<TraceRecord>),
    /// A log of Cloudflare's AI Gateway, as it was delivered: perhaps encrypted in part.
    AiGateway(Box<AiGatewayLog<Field>>),
    /// An event that its producer wrote as one.
    Event(EventRecord),
    /// Nothing to store, and nothing wrong.
    Ignored(IgnoreReason),
}

/// Why a record is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoreReason {
    /// An object without any field of a log: what Cloudflare uploads to try a destination when a job is created.
    NotALog,
    /// A scheduled run, a queue batch, an alarm: no request, so no usage.
    NotARequest,
}

/// Decodes one record of a source that writes in `form`.
pub fn decode(record: &RawRecord<'_>, form: Form) -> Result<Decoded, DecodeError> {
    is_object(record.bytes)?;
    match form {
        Form::Logpush => decode_logpush(record),
        Form::Events | Form::Canonical | Form::CloudEvents | Form::CloudflareLog | Form::NewApiLog => {
            decode_event(record, form).map(Decoded::Event)
        }
    }
}

/// Serde would take a list for the fields in order.
pub(super) fn is_object(bytes: &[u8]) -> Result<(), DecodeError> {
    if bytes.trim_ascii_start().starts_with(b"{") {
        return Ok(());
    }
    serde_json::from_slice::<IgnoredAny>(bytes).map_err(|error| DecodeError::of_json(&error, String::new))?;
    Err(DecodeError::UnexpectedType { field: "the record".to_owned(), column: 1 })
}

/// Reads a record as a `T`; what is wrong with it is told with its place.
pub(super) fn read<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(bytes).map_err(|error| DecodeError::of_json(&error, || path_in::<T>(bytes)))
}

fn decode_logpush(record: &RawRecord<'_>) -> Result<Decoded, DecodeError> {
    // Logpush delivers texts. If this is no such record, or a broken one, the second reading tells.
    if memmem::find(record.bytes, br#""Message""#).is_some()
        && let Ok(wire) = serde_json::from_slice::<WireTrace<TextMessage<'_>>>(record.bytes)
    {
        return decoded(wire, record);
    }
    decoded(read::<WireTrace<RawMessage<'_>>>(record.bytes)?, record)
}

fn decoded<'a, M: Message<'a>>(wire: WireTrace<M>, record: &RawRecord<'_>) -> Result<Decoded, DecodeError> {
    if wire.has_nothing() {
        return decode_ai_gateway(record);
    }
    let no_request = wire.is_no_request();
    let trace = wire.into_record(record)?;
    // Whatever its type, an event with bodies was a request to a model.
    if no_request && trace.console.dialect == Dialect::BareTrace {
        return Ok(Decoded::Ignored(IgnoreReason::NotARequest));
    }
    Ok(Decoded::Trace(Box::new(trace)))
}

fn decode_ai_gateway(record: &RawRecord<'_>) -> Result<Decoded, DecodeError> {
    let wire: WireLog<'_> = read(record.bytes)?;
    if wire.has_nothing() {
        return Ok(Decoded::Ignored(IgnoreReason::NotALog));
    }
    Ok(Decoded::AiGateway(Box::new(wire.into_log(record)?)))
}

/// Where in a record the first field of an unexpected type is: `Event.Request`. Reads the record once more.
fn path_in<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> String {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let result: Result<T, _> = serde_path_to_error::deserialize(&mut json);
    result.err().map(|error| error.path().to_string()).unwrap_or_default()
}
