//! Logs of Cloudflare's AI Gateway, as Logpush delivers them: dataset `ai_gateway_events`.
//!
//! The record says which gateway, provider, model and endpoint, the status, and whether the gateway answered from its own
//! cache; request, answer and metadata come in the open or encrypted. It has no id, no duration, no tokens and no cost:
//! those are in the answer, if anywhere.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;
use weir_event::{GatewayId, Timestamp, TimestampError};

use super::decrypt::Opener;
use super::envelope::{Field, Sealed, plain};
use super::error::DecodeError;
use super::{DecryptError, PrivateKeys};
use crate::accept::RawRecord;
use crate::text::{LINE_MAX, Text, name, shorten};

/// A log of the gateway. Its contents are [`Field`]s as they are delivered, and [`Content`]s once it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AiGatewayLog<T> {
    /// `Datetime`: when it was logged.
    pub logged_at: Timestamp,
    /// SHA-256 of the record as it was delivered: what tells it from others.
    pub digest: [u8; 32],
    /// `Gateway`, where it is named. A job delivers the logs of every gateway of an account.
    pub gateway: Option<GatewayId>,
    /// `Provider`, as Cloudflare names it.
    pub provider: Option<String>,
    /// `Model`: the one that was asked for.
    pub model: Option<String>,
    /// `Endpoint`: the provider's path.
    pub endpoint: Option<String>,
    /// `StatusCode`.
    pub status_code: Option<u16>,
    /// `Cached`: whether the gateway answered from its own cache.
    pub cached: bool,
    /// `RateLimited`: whether the gateway refused the request.
    pub rate_limited: bool,
    /// `Metadata`: what the caller attached.
    pub metadata: Option<T>,
    /// `RequestBody`.
    pub request: Option<T>,
    /// `ResponseBody`.
    pub response: Option<T>,
}

/// A field's text, or the field as it stays closed.
pub type Content = Result<String, Closed>;

/// A field that could not be decrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The field's name in the record.
    pub name: &'static str,
    /// Why it stays closed.
    pub error: DecryptError,
    /// Where its envelope is in the record, in bytes.
    pub place: Range<usize>,
}

/// Strict where it identifies the event, lenient in everything else.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WireLog<'a> {
    #[serde(borrow)]
    datetime: Option<&'a RawValue>,
    gateway: Option<String>,
    #[serde(borrow)]
    provider: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    endpoint: Option<&'a RawValue>,
    #[serde(borrow)]
    status_code: Option<&'a RawValue>,
    #[serde(borrow)]
    cached: Option<&'a RawValue>,
    #[serde(borrow)]
    rate_limited: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    request_body: Option<&'a RawValue>,
    #[serde(borrow)]
    response_body: Option<&'a RawValue>,
}

impl WireLog<'_> {
    /// Whether there is no field of this dataset. A time alone says nothing: other datasets have it too.
    pub(super) fn has_nothing(&self) -> bool {
        let raw = [self.provider, self.model, self.endpoint, self.request_body, self.response_body];
        self.gateway.is_none() && raw.iter().all(Option::is_none)
    }

    pub(super) fn into_log(self, record: &RawRecord<'_>) -> Result<AiGatewayLog<Field>, DecodeError> {
        let datetime = self.datetime.ok_or(DecodeError::NoTimestamp { looked_in: DATETIME })?;
        let gateway = self.gateway.filter(|gateway| !gateway.is_empty());
        let field = |raw: Option<&RawValue>| Field::read(raw?, record.bytes);
        Ok(AiGatewayLog {
            logged_at: timestamp(datetime)?,
            digest: record.digest(),
            gateway: gateway.map(|gateway| gateway.parse()).transpose()?,
            provider: self.provider.and_then(name),
            model: self.model.and_then(name),
            endpoint: self.endpoint.and_then(line),
            status_code: self.status_code.and_then(|raw| bare(raw).parse().ok()).filter(|status| *status > 0),
            cached: self.cached.is_some_and(is_true),
            rate_limited: self.rate_limited.is_some_and(is_true),
            metadata: field(self.metadata),
            request: field(self.request_body),
            response: field(self.response_body),
        })
    }
}

impl AiGatewayLog<Field> {
    /// Where the envelopes of what is encrypted are in the record, in bytes and in order.
    #[must_use]
    pub fn sealed(&self) -> Vec<Range<usize>> {
        let place = |field: &Field| match field {
            Field::Plain(_) => None,
            Field::Sealed(Sealed { place, .. }) => Some(place.clone()),
        };
        let fields = [&self.metadata, &self.request, &self.response];
        let mut places: Vec<_> = fields.into_iter().flatten().filter_map(place).collect();
        places.sort_by_key(|place| place.start);
        places
    }

    /// Decrypts what is encrypted. A field that stays closed does not touch the others.
    #[must_use]
    pub fn open(self, keys: &PrivateKeys) -> AiGatewayLog<Content> {
        let gateway = self.gateway.as_ref().map(GatewayId::as_str).unwrap_or_default().to_owned();
        let mut opener = Opener::new(keys, &gateway);
        let mut open = |name, field: Option<Field>| match field? {
            Field::Plain(text) => Some(Ok(text)),
            Field::Sealed(Sealed { envelope, place }) => {
                match envelope.and_then(|envelope| opener.open(envelope)) {
                    Ok(text) => plain(text).map(Ok),
                    Err(error) => Some(Err(Closed { name, error, place })),
                }
            }
        };
        AiGatewayLog {
            metadata: open("Metadata", self.metadata),
            request: open("RequestBody", self.request),
            response: open("ResponseBody", self.response),
            logged_at: self.logged_at,
            digest: self.digest,
            gateway: self.gateway,
            provider: self.provider,
            model: self.model,
            endpoint: self.endpoint,
            status_code: self.status_code,
            cached: self.cached,
            rate_limited: self.rate_limited,
        }
    }
}

impl AiGatewayLog<Content> {
    /// The fields that stay closed.
    pub fn closed(&self) -> impl Iterator<Item = &Closed> {
        let contents = [&self.metadata, &self.request, &self.response];
        contents.into_iter().flatten().filter_map(|content| content.as_ref().err())
    }
}

const DATETIME: &str = "Datetime";

/// A text in RFC 3339, or a number of seconds, milliseconds, microseconds or nanoseconds, also in quotes: a job has it
/// as `timestamp_format` says. The years that Weir works in tell the units apart.
fn timestamp(raw: &RawValue) -> Result<Timestamp, DecodeError> {
    let wrong = |source| DecodeError::Timestamp { field: DATETIME, source };
    if !raw.get().starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit()) {
        return Err(DecodeError::UnexpectedType { field: DATETIME.to_owned(), column: 1 });
    }
    let text = bare(raw);
    let Some((whole, thousandths)) = decimal(&text) else {
        return text.parse().map_err(wrong);
    };
    let of_seconds = whole.checked_mul(1_000).and_then(|millis| millis.checked_add(thousandths));
    let units = [of_seconds, Some(whole), Some(whole / 1_000), Some(whole / 1_000_000)];
    units
        .into_iter()
        .flatten()
        .find_map(|millis| Timestamp::from_millis(millis).ok())
        .ok_or(wrong(TimestampError::OutOfRange(whole)))
}

/// A number in plain digits: its whole part, and the first three decimals.
fn decimal(text: &str) -> Option<(i64, i64)> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = decimals.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths = format!("{:0<3}", decimals.get(..3).unwrap_or(decimals));
    Some((whole.parse().ok()?, thousandths.parse().ok().filter(|_| digits)?))
}

/// The value as it is written, without the quotes where it is a text.
fn bare(raw: &RawValue) -> String {
    let json = raw.get();
    serde_json::from_str(json).map_or_else(|_| json.to_owned(), |Text(text)| text.trim().to_owned())
}

fn is_true(raw: &RawValue) -> bool {
    matches!(bare(raw).as_str(), "true" | "True" | "TRUE" | "1")
}

fn line(raw: &RawValue) -> Option<String> {
    let Text(text) = serde_json::from_str(raw.get()).ok()?;
    (!text.is_empty()).then(|| shorten(text.into_owned(), LINE_MAX))
}

#[cfg(test)]
mod tests;
