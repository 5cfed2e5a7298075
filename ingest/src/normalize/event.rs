//! Puts an event together from a trace record.

use weir_event::{Bodies, Caller, EventId, EventKind, Scope, Source, Timestamp, UsageEvent};

use super::facts::{Call, Facts};
use super::route::Route;
use crate::decode::{Identity, LoggedBody, TraceRecord, TracedHeaders};
use crate::text::{LINE_MAX, NAME_MAX, shorten};

/// The event that a trace record tells of.
#[must_use]
pub fn normalize(record: TraceRecord, scope: &Scope, source: Source) -> UsageEvent {
    let (created_at, duration_ms) = end_of_call(&record);
    let (status_code, success) = status(&record);
    let facts = facts(&record, success);
    let (service_tier, flags) = (facts.service_tier(), facts.flags());
    let error = facts.error(success, record.exception.as_deref());
    let provided_cost = facts.charge();
    UsageEvent {
        id: event_id(&record, scope),
        scope: scope.clone(),
        source,
        dialect: record.console.dialect,
        event_id: None,
        request_id: facts.answer.id,
        ray_id: match record.identity {
            Identity::Ray(ray) => Some(ray),
            Identity::Digest(_) => None,
        },
        kind: if success { EventKind::Consume } else { EventKind::Error },
        started_at: record.started_at,
        created_at,
        duration_ms,
        time_to_first_token_ms: None,
        provider: facts.route.provider,
        // The metrics line names the model that answered, unless none did: then it repeats the question.
        model: facts
            .answer
            .model
            .or(facts.metrics_model.clone().filter(|_| success && !facts.answer.by_workers_ai)),
        model_requested: facts.question.model.or(facts.route.model).or(facts.metrics_model),
        model_type: None,
        request_type: facts.route.request_type,
        path: facts.route.path.map(|path| shorten(path, LINE_MAX)),
        step: None,
        status_code,
        success,
        cached: facts.cached,
        streamed: facts.streamed,
        truncated: record.truncated,
        error,
        tokens: facts.usage.tokens,
        units: facts.usage.units,
        service_tier,
        usage_json: facts.answer.usage_json,
        provided_cost,
        custom_cost: None,
        quota: None,
        quota_ratios: None,
        metadata: facts.question.metadata,
        attributes: None,
        bodies: bodies(record.console.request, record.console.response, &record.headers),
        caller: caller(record.headers, facts.question.user),
        flags,
    }
}

/// The status, and whether it went well.
fn status(record: &TraceRecord) -> (Option<u16>, bool) {
    let status = record.status_code.or(record.console.metrics.as_ref().map(|line| line.status_code));
    let success = status.is_none_or(|status| (200..300).contains(&status))
        && record.outcome.as_deref().is_none_or(|outcome| outcome == "ok");
    (status, success)
}

fn facts(record: &TraceRecord, success: bool) -> Facts {
    let console = &record.console;
    let metrics = console.metrics.as_ref();
    let mut facts = Facts::of(Call {
        route: record.url.as_deref().map(Route::of).unwrap_or_default(),
        model: None,
        request: console.request.as_ref().map(|body| body.text.as_str()),
        response: console.response.as_ref().map(|body| body.text.as_str()),
        success,
        cached: metrics.is_some_and(|line| line.cached),
        metrics,
    });
    if facts.answer.by_workers_ai {
        facts.route.provider = Some(WORKERS_AI.to_owned());
    }
    facts
}

/// The same request has the same id in every shape and delivery: the worker, its start, and Cloudflare's ray.
fn event_id(record: &TraceRecord, scope: &Scope) -> EventId {
    let identity = match &record.identity {
        Identity::Ray(ray) => ray.as_bytes(),
        Identity::Digest(digest) => digest.as_slice(),
    };
    EventId::derive(
        record.started_at,
        &[
            scope.account_id.as_str().as_bytes(),
            scope.gateway_id.as_str().as_bytes(),
            record.script_name.as_bytes(),
            record.entrypoint.as_bytes(),
            identity,
        ],
    )
}

/// The longest call that is believed: a day. An end beyond it is a broken log line, and would file the row under it.
pub(super) const CALL_MAX_MS: u64 = 86_400_000;
/// Who answers when malacca falls back.
const WORKERS_AI: &str = "workers-ai";

/// When the answer was written to the log, else when the worker was done; the duration is unknown where neither is.
fn end_of_call(record: &TraceRecord) -> (Timestamp, Option<u64>) {
    let start = record.started_at;
    let worker_done = record.wall_time_ms.map(|millis| start.saturating_add_millis(millis));
    let plausible = |end: &Timestamp| end.millis_since(start) <= CALL_MAX_MS;
    let ends = [record.console.ended_at, worker_done];
    match ends.into_iter().flatten().find(plausible) {
        Some(end) => (end.max(start), Some(end.millis_since(start))),
        None => (record.started_at, None),
    }
}

fn bodies(request: Option<LoggedBody>, response: Option<LoggedBody>, headers: &TracedHeaders) -> Bodies {
    let size = |body: &Option<LoggedBody>| {
        body.as_ref().filter(|body| body.complete).map(|body| body.text.len() as u64)
    };
    Bodies {
        request_size: headers.content_length.or_else(|| size(&request)),
        response_size: size(&response),
        request: request.map(|body| body.text),
        response: response.map(|body| body.text),
        request_content_type: headers.content_type.clone().map(|text| shorten(text, NAME_MAX)),
        response_content_type: None,
    }
}

fn caller(headers: TracedHeaders, user_id: Option<String>) -> Caller {
    let (token_hash, token_display) =
        headers.token.map_or((None, None), |token| (Some(token.hash), Some(token.display)));
    Caller {
        user_id,
        token_hash,
        token_display,
        ip: headers.ip.map(|text| shorten(text, NAME_MAX)),
        country: headers.country.map(|text| shorten(text, NAME_MAX)),
        user_agent: headers.user_agent.map(|text| shorten(text, LINE_MAX)),
        ..Caller::default()
    }
}
