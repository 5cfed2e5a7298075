//! What intake hands on: the bytes of a record, what came beside them, and where they came from.

use std::collections::BTreeMap;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use weir_event::{AccountId, GatewayId, Scope, Source};

/// The bytes of one record, not yet looked at.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    /// Its line in the push, from 1.
    pub position: u64,
    /// Its bytes, without the line end.
    pub bytes: &'a [u8],
    /// SHA-256 of the whole line, where that was too long and `bytes` is only its beginning.
    pub cut_from: Option<[u8; 32]>,
    /// SHA-256 of the record as it came, where it is replayed: what is kept of it may have something blanked.
    pub came_as: Option<[u8; 32]>,
    /// What the transport says of it, where it was a message of its own.
    pub attributes: Option<&'a Attributes>,
}

/// What came beside a record: the attributes of a CloudEvent in binary mode, from the headers of an HTTP request or of a
/// Kafka message. Names are lower-case and without the transport's prefix (`ce-`, `ce_`): `id`, `source`, `type`, `time`.
/// The content type is `datacontenttype`, as in CloudEvents' JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(BTreeMap<String, String>);

/// In which forms the records of a source may be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// What Cloudflare Logpush delivers: Workers trace events and logs of the AI Gateway, told apart by content.
    #[default]
    Logpush,
    /// Any of those below, told apart by content.
    Events,
    /// Weir's own events.
    Canonical,
    /// CloudEvents with any of the other forms as their data.
    CloudEvents,
    /// Rows as Cloudflare's AI Gateway Logs API gives them.
    CloudflareLog,
    /// Rows of new-api's log.
    NewApiLog,
}

/// A word that is the name of no form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown form")]
pub struct UnknownForm;

/// Where a push came from, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whose events it brings.
    pub account_id: AccountId,
    /// The gateway that the path names; a job may bring the events of every gateway of an account.
    pub gateway_id: Option<GatewayId>,
    /// The door it came in through.
    pub source: Source,
    /// How its records are written.
    pub form: Form,
    /// Names the push, for dead letters and logs.
    pub batch: String,
    /// When it came in, in epoch milliseconds.
    pub received_at_ms: i64,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 6] = [
        Self::Logpush,
        Self::Events,
        Self::Canonical,
        Self::CloudEvents,
        Self::CloudflareLog,
        Self::NewApiLog,
    ];

    /// The word for it, in settings, in requests and in `dead_letters`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logpush => "logpush",
            Self::Events => "events",
            Self::Canonical => "canonical",
            Self::CloudEvents => "cloudevents",
            Self::CloudflareLog => "cloudflare_log",
            Self::NewApiLog => "new_api_log",
        }
    }
}

impl FromStr for Form {
    type Err = UnknownForm;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|form| form.as_str() == word).ok_or(UnknownForm)
    }
}

impl<'a> RawRecord<'a> {
    /// A whole record, with nothing beside it.
    #[must_use]
    pub const fn whole(position: u64, bytes: &'a [u8]) -> Self {
        Self { position, bytes, cut_from: None, came_as: None, attributes: None }
    }

    /// SHA-256 of the record as it came.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.cut_from.or(self.came_as).unwrap_or_else(|| Sha256::digest(self.bytes).into())
    }
}

impl Attributes {
    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Every name and its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl Origin {
    /// The scope of a record that names `gateway` itself, or leaves that to the path. What the record says is nearer to
    /// what happened, so it wins; `None` where neither names one.
    #[must_use]
    pub fn scope(&self, gateway: Option<GatewayId>) -> Option<Scope> {
        let gateway_id = gateway.or_else(|| self.gateway_id.clone())?;
        Some(Scope { account_id: self.account_id.clone(), gateway_id })
    }
}
