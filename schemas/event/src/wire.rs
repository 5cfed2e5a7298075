//! The published JSON form of an event: what Kafka and HTTP producers send.
//!
//! Its schema is `schemas/json/usage_event.v1.schema.json`; names are those of [`UsageEvent`], flat. A producer gives
//! what only it knows. It does not give `id`, `account_id` or `gateway_id`: the id is derived, the scope is the route's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Attributes, Bodies, Caller, CustomCost, Dialect, EventId, EventKind, Flags, Metadata, QuotaRatios,
    RequestType, Scope, Source, Timestamp, TokenBucket, Tokens, TokensError, Unit, Units, UnitsError,
    UsageEvent, Usd,
};

/// An event as a producer writes it. Unknown names are errors: a misspelt field must not be lost in silence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the names are those of UsageEvent, which documents them; the schema describes each"
)]
pub struct WireEvent {
    /// Required. It is absent only where what carries the event names it: a CloudEvent's envelope, a message's place.
    pub event_id: Option<String>,
    pub kind: EventKind,
    /// Required. It is absent only where what carries the event says the time.
    pub started_at: Option<Timestamp>,
    pub created_at: Option<Timestamp>,
    pub duration_ms: Option<u64>,
    pub time_to_first_token_ms: Option<u64>,
    pub request_id: Option<String>,
    pub ray_id: Option<String>,
    pub provider: Option<String>,
    pub model: Option<String>,
    pub model_requested: Option<String>,
    pub model_type: Option<String>,
    pub request_type: Option<RequestType>,
    pub path: Option<String>,
    pub step: Option<u16>,
    pub status_code: Option<u16>,
    pub success: bool,
    pub cached: Option<bool>,
    pub streamed: Option<bool>,
    pub truncated: Option<bool>,
    pub error: Option<String>,
    pub user_id: Option<String>,
    pub user_name: Option<String>,
    pub token_id: Option<String>,
    pub token_name: Option<String>,
    pub token_hash: Option<String>,
    pub token_display: Option<String>,
    pub group: Option<String>,
    pub channel_id: Option<String>,
    pub ip: Option<String>,
    pub country: Option<String>,
    pub user_agent: Option<String>,
    pub tokens: Option<BTreeMap<TokenBucket, u64>>,
    pub units: Option<BTreeMap<Unit, u64>>,
    pub service_tier: Option<String>,
    pub usage_json: Option<String>,
    pub cost: Option<Usd>,
    pub custom_cost: Option<WireCustomCost>,
    pub quota: Option<i64>,
    pub quota_ratios: Option<QuotaRatios>,
    pub metadata: Option<Metadata>,
    pub attributes: Option<Attributes>,
    pub request_body: Option<String>,
    pub response_body: Option<String>,
    pub request_content_type: Option<String>,
    pub response_content_type: Option<String>,
}

/// Prices of the caller's own, in USD per token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are those of CustomCost, which documents them")]
pub struct WireCustomCost {
    pub per_token_in: Usd,
    pub per_token_out: Usd,
}

/// Why a well-formed event does not make sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A field that every event has is not there, and nothing stood in for it.
    #[error("there is no {field}")]
    Missing {
        /// Which.
        field: &'static str,
    },
    /// Nothing would tell it from other events.
    #[error("event_id is empty")]
    EmptyEventId,
    /// It ended before it began.
    #[error("created_at is before started_at")]
    EndsBeforeStart,
    /// Most likely the API token itself, which must not be sent.
    #[error("token_hash is not 64 lower-case hexadecimal digits")]
    TokenHash,
    /// A token count is impossible.
    #[error("tokens")]
    Tokens(#[from] TokensError),
    /// A count of something else is impossible.
    #[error("units")]
    Units(#[from] UnitsError),
    /// A price cannot be below zero.
    #[error("custom_cost.{field} is negative")]
    NegativePrice {
        /// Which of the two.
        field: &'static str,
    },
}

impl WireEvent {
    /// The canonical event, for the scope of the route that it came in on.
    pub fn into_event(self, scope: Scope, source: Source) -> Result<UsageEvent, WireError> {
        let event_id = self.event_id.as_deref().ok_or(WireError::Missing { field: "event_id" })?;
        let started_at = self.started_at.ok_or(WireError::Missing { field: "started_at" })?;
        if event_id.is_empty() {
            return Err(WireError::EmptyEventId);
        }
        if self.token_hash.as_deref().is_some_and(|hash| !is_sha256(hash)) {
            return Err(WireError::TokenHash);
        }
        let created_at = self
            .created_at
            .unwrap_or_else(|| started_at.saturating_add_millis(self.duration_ms.unwrap_or(0)));
        if created_at < started_at {
            return Err(WireError::EndsBeforeStart);
        }
        let mut tokens = Tokens::default();
        for (bucket, count) in self.tokens.iter().flatten() {
            tokens.set(*bucket, *count)?;
        }
        let mut units = Units::default();
        for (unit, count) in self.units.iter().flatten() {
            units.set(*unit, *count)?;
        }
        let custom_cost = self.custom_cost.as_ref().map(WireCustomCost::checked).transpose()?;
        let natural_key: [&[u8]; 3] =
            [scope.account_id.as_str().as_bytes(), scope.gateway_id.as_str().as_bytes(), event_id.as_bytes()];
        let derived = Derived {
            id: EventId::derive(started_at, &natural_key),
            started_at,
            created_at,
            duration_ms: self
                .duration_ms
                .or_else(|| self.created_at.map(|created_at| created_at.millis_since(started_at))),
            tokens,
            units,
            custom_cost,
        };
        Ok(self.assemble(derived, scope, source))
    }

    fn assemble(self, derived: Derived, scope: Scope, source: Source) -> UsageEvent {
        let size = |body: &Option<String>| body.as_ref().map(|text| text.len() as u64);
        UsageEvent {
            id: derived.id,
            scope,
            source,
            dialect: Dialect::Canonical,
            event_id: self.event_id,
            request_id: self.request_id,
            ray_id: self.ray_id,
            kind: self.kind,
            started_at: derived.started_at,
            created_at: derived.created_at,
            duration_ms: derived.duration_ms,
            time_to_first_token_ms: self.time_to_first_token_ms,
            provider: self.provider,
            model: self.model,
            model_requested: self.model_requested,
            model_type: self.model_type,
            request_type: self.request_type,
            path: self.path,
            step: self.step,
            status_code: self.status_code,
            success: self.success,
            cached: self.cached.unwrap_or(false),
            streamed: self.streamed.unwrap_or(false),
            truncated: self.truncated.unwrap_or(false),
            error: self.error,
            caller: Caller {
                user_id: self.user_id,
                user_name: self.user_name,
                token_id: self.token_id,
                token_name: self.token_name,
                token_hash: self.token_hash,
                token_display: self.token_display,
                group: self.group,
                channel_id: self.channel_id,
                ip: self.ip,
                country: self.country,
                user_agent: self.user_agent,
            },
            tokens: derived.tokens,
            units: derived.units,
            service_tier: self.service_tier,
            usage_json: self.usage_json,
            provided_cost: self.cost,
            custom_cost: derived.custom_cost,
            quota: self.quota,
            quota_ratios: self.quota_ratios.map(Box::new),
            metadata: self.metadata,
            attributes: self.attributes.and_then(Attributes::known),
            bodies: Bodies {
                request_size: size(&self.request_body),
                response_size: size(&self.response_body),
                request: self.request_body,
                response: self.response_body,
                request_content_type: self.request_content_type,
                response_content_type: self.response_content_type,
            },
            flags: Flags::default(),
        }
    }
}

impl WireCustomCost {
    fn checked(&self) -> Result<CustomCost, WireError> {
        let Self { per_token_in, per_token_out } = *self;
        for (field, price) in [("per_token_in", per_token_in), ("per_token_out", per_token_out)] {
            if price < Usd::ZERO {
                return Err(WireError::NegativePrice { field });
            }
        }
        Ok(CustomCost { per_token_in, per_token_out })
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// What follows from the fields that a producer gave.
struct Derived {
    id: EventId,
    started_at: Timestamp,
    created_at: Timestamp,
    duration_ms: Option<u64>,
    tokens: Tokens,
    units: Units,
    custom_cost: Option<CustomCost>,
}

#[cfg(test)]
mod tests;
