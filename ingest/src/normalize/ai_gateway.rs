//! Puts an event together from a log of the AI Gateway.
//!
//! Such a log names provider, model and endpoint itself; what was counted is in the answer alone. Where that could not be
//! decrypted the counts are unknown, and so is the cost.

use weir_event::{Bodies, Caller, Dialect, EventId, EventKind, Flag, Flags, Scope, Source, UsageEvent};

use super::facts::{Call, Facts};
use super::metadata;
use super::route::Route;
use crate::decode::{AiGatewayLog, Content};
use crate::text::{LINE_MAX, shorten};

/// What takes the place of a worker's name in the natural key of an event.
const WORKER: &[u8] = b"ai-gateway";

/// The event that a log tells of.
#[must_use]
pub fn normalize_ai_gateway(log: AiGatewayLog<Content>, scope: &Scope, source: Source) -> UsageEvent {
    let closed = closed_flags(&log);
    let success = log.status_code.map_or(!log.rate_limited, |status| (200..300).contains(&status));
    let facts = facts(&log, success);
    let refusal = log.rate_limited.then_some("refused by the gateway's rate limit");
    let (service_tier, flags) = (facts.service_tier(), facts.flags());
    let error = facts.error(success, refusal);
    let provided_cost = facts.charge();
    UsageEvent {
        id: event_id(&log, scope),
        scope: scope.clone(),
        source,
        dialect: Dialect::AiGatewayLogpush,
        event_id: None,
        request_id: facts.answer.id,
        ray_id: None,
        kind: if success { EventKind::Consume } else { EventKind::Error },
        started_at: log.logged_at,
        created_at: log.logged_at,
        duration_ms: None,
        time_to_first_token_ms: None,
        provider: facts.route.provider,
        model: facts.answer.model,
        model_requested: facts.question.model.or(facts.route.model),
        model_type: None,
        request_type: facts.route.request_type,
        path: facts.route.path.map(|path| shorten(path, LINE_MAX)),
        step: None,
        status_code: log.status_code,
        success,
        cached: facts.cached,
        streamed: facts.streamed,
        truncated: false,
        error,
        tokens: facts.usage.tokens,
        units: facts.usage.units,
        service_tier,
        usage_json: facts.answer.usage_json,
        provided_cost,
        custom_cost: None,
        quota: None,
        quota_ratios: None,
        metadata: match log.metadata {
            Some(content) => content.ok().and_then(|json| metadata::read(&json)),
            None => facts.question.metadata,
        },
        attributes: None,
        bodies: bodies(log.request, log.response),
        caller: Caller { user_id: facts.question.user, ..Caller::default() },
        flags: flags.iter().chain(closed.iter()).collect(),
    }
}

fn facts(log: &AiGatewayLog<Content>, success: bool) -> Facts {
    let (provider, endpoint) = (log.provider.as_deref(), log.endpoint.as_deref());
    let route = match (provider, endpoint) {
        (None, None) => Route::default(),
        (provider, endpoint) => Route::of_call(provider.unwrap_or_default(), endpoint.unwrap_or_default()),
    };
    Facts::of(Call {
        route,
        model: log.model.clone(),
        request: opened(log.request.as_ref()),
        response: opened(log.response.as_ref()),
        success,
        cached: log.cached,
        metrics: None,
    })
}

fn closed_flags(log: &AiGatewayLog<Content>) -> Flags {
    let fields = [
        (&log.request, Flag::RequestUndecryptable),
        (&log.response, Flag::ResponseUndecryptable),
        (&log.metadata, Flag::MetadataUndecryptable),
    ];
    let closed = |content: &Option<Content>| content.as_ref().is_some_and(Result::is_err);
    fields.into_iter().filter(|(content, _)| closed(content)).map(|(_, flag)| flag).collect()
}

fn opened(content: Option<&Content>) -> Option<&str> {
    content?.as_deref().ok()
}

/// The record carries no id, so it is its own: every delivery of it is the same to the byte. Encrypted records are all
/// different, for their keys are fresh. Two plain ones that are the same in every field and in their time are one event.
fn event_id(log: &AiGatewayLog<Content>, scope: &Scope) -> EventId {
    let (account, gateway) = (scope.account_id.as_str(), scope.gateway_id.as_str());
    EventId::derive(log.logged_at, &[account.as_bytes(), gateway.as_bytes(), WORKER, &log.digest])
}

fn bodies(request: Option<Content>, response: Option<Content>) -> Bodies {
    let [request, response] = [request, response].map(|content| content?.ok());
    let size = |body: &Option<String>| body.as_ref().map(|body| body.len() as u64);
    Bodies {
        request_size: size(&request),
        response_size: size(&response),
        request,
        response,
        ..Bodies::default()
    }
}
