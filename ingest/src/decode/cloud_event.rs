//! CloudEvents 1.0: an envelope around an event in any other form, as JSON or in a message's headers.
//!
//! The envelope says what is in it (`type`), and what it is known by: `source` and `id` together.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use weir_event::Timestamp;

use super::error::DecodeError;
use super::event::{EventRecord, form_of, is_shallow, of_form};
use super::record::{is_object, read};
use crate::accept::{Attributes, Form};
use crate::text::Text;

/// The types that say in which form the data is. Of any other, the data is told by its content.
const TYPES: [(&str, Form); 3] = [
    ("weir.usage.v1", Form::Canonical),
    ("cloudflare.ai_gateway.log", Form::CloudflareLog),
    ("new_api.log", Form::NewApiLog),
];

const DATA: &str = "data";
const DATA_BASE64: &str = "data_base64";

/// The attributes of an event that matter here, and its data. Others may be there: the standard lets anybody add some.
#[derive(Deserialize)]
struct WireCloudEvent<'a> {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    time: Option<String>,
    datacontenttype: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    data_base64: Option<Text<'a>>,
}

/// What an envelope says of its event.
struct Envelope {
    event_id: String,
    time: Option<Timestamp>,
    form: Option<Form>,
}

/// An event in structured mode: JSON has the attributes, and the data among them.
pub(super) fn of_envelope(json: &[u8]) -> Result<EventRecord, DecodeError> {
    let wire: WireCloudEvent<'_> = read(json)?;
    let envelope = wire.envelope()?;
    match (wire.data, wire.data_base64) {
        (Some(data), None) => envelope.open(data.get().as_bytes()).map_err(|error| error.within(DATA)),
        (None, Some(Text(text))) => {
            let invalid = |_| DecodeError::InvalidValue { field: DATA_BASE64.to_owned() };
            let data = STANDARD.decode(text.as_bytes()).map_err(invalid)?;
            is_shallow(&data)?;
            envelope.open(&data).map_err(|error| error.within(DATA_BASE64))
        }
        (Some(_), Some(_)) => Err(DecodeError::InvalidValue { field: DATA_BASE64.to_owned() }),
        (None, None) => Err(DecodeError::MissingField { field: DATA.to_owned() }),
    }
}

/// An event in binary mode: the record is the data.
pub(super) fn of_attributes(attributes: &Attributes, data: &[u8]) -> Result<EventRecord, DecodeError> {
    let optional = |name: &str| attributes.get(name).map(str::to_owned);
    let required =
        |name: &str| optional(name).ok_or_else(|| DecodeError::MissingField { field: name.to_owned() });
    let wire = WireCloudEvent {
        specversion: required("specversion")?,
        id: required("id")?,
        source: required("source")?,
        kind: required("type")?,
        time: optional("time"),
        datacontenttype: optional("datacontenttype"),
        data: None,
        data_base64: None,
    };
    wire.envelope()?.open(data)
}

impl WireCloudEvent<'_> {
    fn envelope(&self) -> Result<Envelope, DecodeError> {
        let minor = self.specversion.strip_prefix("1.").filter(|minor| !minor.is_empty());
        if !minor.is_some_and(|minor| minor.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(DecodeError::SpecVersion);
        }
        for (field, value) in [("id", &self.id), ("source", &self.source), ("type", &self.kind)] {
            if value.is_empty() {
                return Err(DecodeError::MissingField { field: field.to_owned() });
            }
        }
        // A source is a URI, which has no spaces. So a space keeps it apart from the id.
        if self.source.contains(char::is_whitespace) {
            return Err(DecodeError::InvalidValue { field: "source".to_owned() });
        }
        if !self.datacontenttype.as_deref().is_none_or(is_json) {
            return Err(DecodeError::ContentType);
        }
        let of_time = |_| DecodeError::InvalidTime { field: "time".to_owned() };
        Ok(Envelope {
            event_id: format!("{} {}", self.source, self.id),
            time: self.time.as_deref().map(str::parse).transpose().map_err(of_time)?,
            form: TYPES.iter().find(|(name, _)| *name == self.kind).map(|(_, form)| *form),
        })
    }
}

impl Envelope {
    /// Reads the data, and says of it what it does not say itself.
    fn open(self, data: &[u8]) -> Result<EventRecord, DecodeError> {
        is_object(data)?;
        let form = self.form.map_or_else(|| form_of(data), Ok)?;
        if form == Form::CloudEvents {
            return Err(DecodeError::UnknownForm { found: "a CloudEvent in a CloudEvent".to_owned() });
        }
        let mut record = of_form(form, data)?;
        match &mut record {
            EventRecord::Canonical(event) => {
                event.event_id.get_or_insert(self.event_id);
                event.started_at = event.started_at.or(self.time);
            }
            EventRecord::CloudflareLog(log) => {
                log.id.get_or_insert(self.event_id);
            }
            EventRecord::NewApiLog(log) => log.name(self.event_id),
        }
        Ok(record)
    }
}

/// Whether a media type is JSON's: `application/json; charset=utf-8`, `application/x+json`.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(essence.as_str(), "application/json" | "text/json") || essence.ends_with("+json")
}
