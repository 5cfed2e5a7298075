//! Puts an event together from a row of Cloudflare's AI Gateway Logs API.
//!
//! Such a row is Cloudflare's own account of a call: its tokens and its cost count. What was said is there as far as the
//! row has the beginnings of the bodies, and tells what the row does not: the parts of the tokens, the answer's id.

use serde::Deserialize;
use weir_event::{
    Bodies, Caller, Dialect, EventId, EventKind, Flag, Flags, Timestamp, TokenBucket, Tokens, UsageEvent, Usd,
};

use super::arrival::Arrival;
use super::event::CALL_MAX_MS;
use super::facts::{Call, Facts};
use super::metadata;
use super::route::Route;
use crate::decode::figure::Whole;
use crate::decode::{CloudflareLog, Head};
use crate::text::{LINE_MAX, shorten};

/// The event that a row tells of, known by `id`.
pub(super) fn of_cloudflare_log(log: CloudflareLog, id: String, arrival: &Arrival<'_>) -> UsageEvent {
    let status_fits = log.status_code.is_none_or(|status| (200..300).contains(&status));
    let success = log.success.unwrap_or(status_fits);
    let facts = facts(&log, success);
    let (tokens, flags) = tokens(&log, &facts);
    let (service_tier, error) = (facts.service_tier(), facts.error(success, None));
    let provided_cost = cost(&log).or(facts.charge());
    let duration_ms = log.duration_ms.filter(|millis| *millis <= CALL_MAX_MS);
    let started_at = before(log.ended_at, duration_ms);
    let request_type = log.request_type.and_then(|word| word.parse().ok());
    UsageEvent {
        id: event_id(started_at, &id, arrival),
        scope: arrival.scope.clone(),
        source: arrival.source,
        dialect: Dialect::CloudflareLog,
        event_id: Some(id),
        request_id: facts.answer.id,
        ray_id: None,
        kind: if success { EventKind::Consume } else { EventKind::Error },
        started_at,
        created_at: log.ended_at,
        duration_ms,
        time_to_first_token_ms: None,
        provider: facts.route.provider,
        model: facts.answer.model.or(log.model).filter(|_| success),
        model_requested: facts.question.model.or(facts.route.model),
        model_type: log.model_type,
        request_type: request_type.or(facts.route.request_type),
        path: facts.route.path.map(|path| shorten(path, LINE_MAX)),
        step: log.step,
        status_code: log.status_code,
        success,
        cached: log.cached,
        streamed: facts.streamed,
        truncated: [&log.request, &log.response].iter().any(|head| head.complete == Some(false)),
        error,
        caller: Caller { user_id: facts.question.user, user_agent: log.user_agent, ..Caller::default() },
        tokens,
        units: facts.usage.units,
        service_tier,
        usage_json: log.usage_json.or(facts.answer.usage_json),
        provided_cost,
        custom_cost: None,
        quota: None,
        quota_ratios: None,
        metadata: match log.metadata {
            Some(json) => metadata::read(&json),
            None => facts.question.metadata,
        },
        attributes: log.attributes.known(),
        bodies: bodies(log.request, log.response),
        flags,
    }
}

fn facts(log: &CloudflareLog, success: bool) -> Facts {
    let (provider, path) = (log.provider.as_deref(), log.path.as_deref());
    let route = match (provider, path) {
        (None, None) => Route::default(),
        (provider, path) => Route::of_call(provider.unwrap_or_default(), path.unwrap_or_default()),
    };
    Facts::of(Call {
        route,
        model: log.model.clone(),
        request: log.request.text.as_deref(),
        response: log.response.text.as_deref(),
        success,
        cached: log.cached,
        metrics: None,
    })
}

/// A hit of the gateway's cache is written with a cost of 0, which is no price that anybody asked.
fn cost(log: &CloudflareLog) -> Option<Usd> {
    log.cost.filter(|cost| !log.cached || *cost != Usd::ZERO)
}

/// Some figures of `usage_metadata`, which are parts of the totals.
#[derive(Default, Deserialize)]
struct WireUsage {
    input_cached_tokens: Option<Whole>,
    output_reasoning_tokens: Option<Whole>,
}

/// The row's own totals count. Their parts are the answer's, where those come to the same totals, else the row's.
fn tokens(log: &CloudflareLog, facts: &Facts) -> (Tokens, Flags) {
    let read = facts.usage.tokens;
    let total = |count: Option<u64>| count.and_then(|count| i64::try_from(count).ok());
    let totals = (log.tokens_in, log.tokens_out);
    if totals == (None, None) || totals == (total(read.total_in()), total(read.total_out())) {
        return (read, facts.flags());
    }
    let impossible = || (Tokens::default(), [Flag::ImpossibleUsage].into_iter().collect());
    parts(log).map_or_else(impossible, |tokens| (tokens, Flags::default()))
}

/// The totals with what is known of their parts; `None` where a part is more than the whole.
fn parts(log: &CloudflareLog) -> Option<Tokens> {
    let usage: WireUsage = match &log.usage_json {
        Some(json) => serde_json::from_str(json).ok()?,
        None => WireUsage::default(),
    };
    let sides = [
        (log.tokens_in, usage.input_cached_tokens, TokenBucket::UncachedInput, TokenBucket::CacheRead),
        (log.tokens_out, usage.output_reasoning_tokens, TokenBucket::TextOutput, TokenBucket::Reasoning),
    ];
    let mut tokens = Tokens::default();
    for (total, part, rest_bucket, part_bucket) in sides {
        let Some(total) = total else { continue };
        let part = part.map(|Whole(count)| count);
        let rest = u64::try_from(total.checked_sub(part.unwrap_or(0))?).ok()?;
        tokens.set(rest_bucket, rest).ok()?;
        if let Some(part) = part {
            tokens.set(part_bucket, u64::try_from(part).ok()?).ok()?;
        }
    }
    Some(tokens)
}

/// When a call began that ended at `end`.
pub(super) fn before(end: Timestamp, duration_ms: Option<u64>) -> Timestamp {
    let millis = i64::try_from(duration_ms.unwrap_or(0)).unwrap_or(0);
    Timestamp::from_millis(end.millis() - millis).unwrap_or(end)
}

fn event_id(started_at: Timestamp, id: &str, arrival: &Arrival<'_>) -> EventId {
    let (account, gateway) = (arrival.scope.account_id.as_str(), arrival.scope.gateway_id.as_str());
    let dialect = Dialect::CloudflareLog.as_str();
    EventId::derive(started_at, &[account.as_bytes(), gateway.as_bytes(), dialect.as_bytes(), id.as_bytes()])
}

fn bodies(request: Head, response: Head) -> Bodies {
    let size = |head: &Head| {
        let whole = head.text.as_ref().filter(|_| head.complete == Some(true));
        head.size.or(whole.map(|text| text.len() as u64))
    };
    Bodies {
        request_size: size(&request),
        response_size: size(&response),
        request: request.text,
        response: response.text,
        request_content_type: request.content_type,
        response_content_type: response.content_type,
    }
}
