//! Which kind of record it is: told by its content, never by the path that it came in through.

use memchr::memmem;
use serde::de::IgnoredAny;
use weir_event::Dialect;

use super::ai_gateway::{AiGatewayLog, WireLog};
use super::envelope::Field;
use super::error::DecodeError;
use super::message::{Message, RawMessage, TextMessage};
use super::trace::{TraceRecord, WireTrace};
use crate::accept::RawRecord;

/// What a record turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    /// A request that a worker handled.
    Trace(Box<TraceRecord>),
    /// A log of Cloudflare's AI Gateway, as it was delivered: perhaps encrypted in part.
    AiGateway(Box<AiGatewayLog<Field>>),
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

/// Decodes one record.
pub fn decode(record: &RawRecord<'_>) -> Result<Decoded, DecodeError> {
    let of_json = |error| DecodeError::of_json(&error, || path_in::<WireTrace<RawMessage<'_>>>(record.bytes));
    if !record.bytes.trim_ascii_start().starts_with(b"{") {
        // Serde would take a list for the fields in order.
        serde_json::from_slice::<IgnoredAny>(record.bytes).map_err(of_json)?;
        return Err(DecodeError::UnexpectedType { field: "the record".to_owned(), column: 1 });
    }
    // Logpush delivers texts. If this is no such record, or a broken one, the second reading tells.
    if memmem::find(record.bytes, br#""Message""#).is_some()
        && let Ok(wire) = serde_json::from_slice::<WireTrace<TextMessage<'_>>>(record.bytes)
    {
        return decoded(wire, record);
    }
    decoded(serde_json::from_slice::<WireTrace<RawMessage<'_>>>(record.bytes).map_err(of_json)?, record)
}

fn decoded<'a, M: Message<'a>>(wire: WireTrace<M>, record: &RawRecord<'_>) -> Result<Decoded, DecodeError> {
    if wire.has_nothing() {
        return decode_ai_gateway(record);
    }
    let no_request = wire.is_no_request();
    let trace = wire.into_record(record.bytes)?;
    // Whatever its type, an event with bodies was a request to a model.
    if no_request && trace.console.dialect == Dialect::BareTrace {
        return Ok(Decoded::Ignored(IgnoreReason::NotARequest));
    }
    Ok(Decoded::Trace(Box::new(trace)))
}

fn decode_ai_gateway(record: &RawRecord<'_>) -> Result<Decoded, DecodeError> {
    let wire: WireLog<'_> = serde_json::from_slice(record.bytes)
        .map_err(|error| DecodeError::of_json(&error, || path_in::<WireLog<'_>>(record.bytes)))?;
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
