//! The canonical event: one type that every source decodes to and everything behind ingest works with.

use crate::{
    Attributes, Dialect, EventId, EventKind, Flags, Metadata, QuotaRatios, RequestType, Scope, Source,
    Timestamp, Tokens, Units, Usd,
};

/// One thing that happened at a gateway: most often a request to a model and its answer.
///
/// What a source did not say is `None`; nothing is made up. In ClickHouse and in JSON every field has the name that
/// it has here, without the grouping.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own; none excludes another")]
pub struct UsageEvent {
    /// Which event: derived from its natural key, see [`EventId`].
    pub id: EventId,
    /// Whose.
    pub scope: Scope,
    /// The door it came in through.
    pub source: Source,
    /// The form it was written in.
    pub dialect: Dialect,
    /// The producer's own id for it.
    pub event_id: Option<String>,
    /// The provider's id for the answer (`chatcmpl-…`).
    pub request_id: Option<String>,
    /// Cloudflare's ray id of the request, without the data centre.
    pub ray_id: Option<String>,
    /// What kind of thing happened.
    pub kind: EventKind,

    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, as Cloudflare's API understands `created_at`. Never before `started_at`.
    pub created_at: Timestamp,
    /// How long it took, in milliseconds; `None` where the end was not logged.
    pub duration_ms: Option<u64>,
    /// Milliseconds to the first token of a streamed answer.
    pub time_to_first_token_ms: Option<u64>,

    /// Who ran the model: `azure-openai`, `openai`, `anthropic`, …
    pub provider: Option<String>,
    /// The model that answered, as the answer names it.
    pub model: Option<String>,
    /// The model, or deployment, that was asked for.
    pub model_requested: Option<String>,
    /// What sort of model: `text-generation`, …
    pub model_type: Option<String>,
    /// What was asked of it.
    pub request_type: Option<RequestType>,
    /// The provider's path, without a leading slash: `chat/completions`.
    pub path: Option<String>,
    /// The index of the fallback step that answered.
    pub step: Option<u16>,
    /// The HTTP status of the answer.
    pub status_code: Option<u16>,
    /// Whether it went well: a 2xx status and a worker that did not fail.
    pub success: bool,
    /// Whether the gateway answered from its own cache.
    pub cached: bool,
    /// Whether the answer was streamed.
    pub streamed: bool,
    /// Whether parts of the log were cut before they reached us.
    pub truncated: bool,
    /// What went wrong, in the provider's words.
    pub error: Option<String>,

    /// Who asked.
    pub caller: Caller,

    /// The tokens, in disjoint buckets.
    pub tokens: Tokens,
    /// What else is billed.
    pub units: Units,
    /// How the provider ran it, where its price depends on that: `batch`, `flex`, `priority`, …; `None` is standard.
    pub service_tier: Option<String>,
    /// The provider's usage object as it sent it, as JSON.
    pub usage_json: Option<String>,
    /// The cost that the source gave. What Weir computes is not here: see the pricing crate.
    pub provided_cost: Option<Usd>,
    /// The prices that the caller set for this request.
    pub custom_cost: Option<CustomCost>,
    /// The quota units that the source charged (new-api: 500,000 to the dollar).
    pub quota: Option<i64>,
    /// The ratios that the source prices quota units with, where it did not give those.
    pub quota_ratios: Option<Box<QuotaRatios>>,

    /// What the caller attached.
    pub metadata: Option<Metadata>,
    /// What few sources tell.
    pub attributes: Option<Box<Attributes>>,
    /// What was said.
    pub bodies: Bodies,
    /// What a reader of the row has to know.
    pub flags: Flags,
}

/// Prices of the caller's own for one request, as Cloudflare's `cf-aig-custom-cost` has them: they win over any price
/// book, and apply to all input and all output tokens alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CustomCost {
    /// USD per input token.
    pub per_token_in: Usd,
    /// USD per output token.
    pub per_token_out: Usd,
}

/// Who asked: whatever the source knows, none of it secret. API tokens are here as a hash and a display form only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The user's id.
    pub user_id: Option<String>,
    /// The user's name.
    pub user_name: Option<String>,
    /// The API token's id.
    pub token_id: Option<String>,
    /// The API token's name.
    pub token_name: Option<String>,
    /// SHA-256 of the API token, 64 lower-case hex digits.
    pub token_hash: Option<String>,
    /// The API token as it may be shown: its first and last characters.
    pub token_display: Option<String>,
    /// The user's group.
    pub group: Option<String>,
    /// The upstream channel's id.
    pub channel_id: Option<String>,
    /// The caller's address.
    pub ip: Option<String>,
    /// The caller's country, two letters.
    pub country: Option<String>,
    /// The caller's `User-Agent`.
    pub user_agent: Option<String>,
}

impl Caller {
    /// What statistics per API token are kept by: the token's id, else its hash, else its name, else `""`.
    ///
    /// Gateways that hide their callers' tokens (Cloudflare writes `REDACTED`) have one row, the empty one.
    #[must_use]
    pub fn token(&self) -> &str {
        [&self.token_id, &self.token_hash, &self.token_name]
            .into_iter()
            .flatten()
            .next()
            .map_or("", String::as_str)
    }
}

/// The request and the answer as they were sent, as far as they were logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bodies {
    /// The request's body.
    pub request: Option<String>,
    /// The answer's body: JSON, or the text of an event stream.
    pub response: Option<String>,
    /// The request's content type.
    pub request_content_type: Option<String>,
    /// The answer's content type.
    pub response_content_type: Option<String>,
    /// The request's size in bytes, as it was logged or as the header says.
    pub request_size: Option<u64>,
    /// The answer's size in bytes.
    pub response_size: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_the_most_stable_name_there_is() {
        let mut caller = Caller::default();
        assert_eq!(caller.token(), "");
        caller.token_name = Some("team-a".to_owned());
        assert_eq!(caller.token(), "team-a");
        caller.token_hash = Some("ab12".to_owned());
        assert_eq!(caller.token(), "ab12");
        caller.token_id = Some("7".to_owned());
        assert_eq!(caller.token(), "7");
    }
}
