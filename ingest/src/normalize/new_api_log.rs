//! Puts an event together from a row of new-api's log.
//!
//! What was charged is the row's own (`quota`). Its counts overlap in a way that depends on whose API was called, and its
//! `other` says which: they are taken apart here. Who ran the model a row does not say, so its cost is unknown.

use serde::Deserialize;
use serde_json::Number;
use weir_event::{
    Attributes, Bodies, Caller, Dialect, EventId, EventKind, Flag, Flags, TokenBucket, Tokens, Unit, Units,
    UsageEvent,
};

use super::arrival::Arrival;
use super::cloudflare_log::before;
use super::event::CALL_MAX_MS;
use super::route::Route;
use crate::decode::figure::Whole;
use crate::decode::lenient::{Lenient, taken, whole};
use crate::decode::{NewApiLog, RowIdentity};
use crate::text::{LINE_MAX, NAME_MAX, head, shorten};

/// What the types 4 and 5 of new-api's log mean: its documentation and its code differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NewApiTypes {
    /// 4 is an error and 5 is the system, as the documentation has it.
    #[default]
    Documented,
    /// 4 is the system and 5 is an error, as the code has it.
    Upstream,
}

/// What `other` says of a request. Its figures are parts of the row's: one that cannot be read leaves them unknown.
#[derive(Default, Deserialize)]
struct Other {
    cache_tokens: Option<Whole>,
    cache_creation_tokens: Option<Whole>,
    cache_creation_tokens_5m: Option<Whole>,
    cache_creation_tokens_1h: Option<Whole>,
    cache_write_tokens: Option<Whole>,
    image: Option<Lenient<bool>>,
    /// Of the input, whatever it is called.
    image_output: Option<Whole>,
    ws: Option<Lenient<bool>>,
    audio: Option<Lenient<bool>>,
    audio_input: Option<Whole>,
    audio_output: Option<Whole>,
    audio_input_token_count: Option<Whole>,
    claude: Option<Lenient<bool>>,
    usage_semantic: Option<Lenient<String>>,
    web_search_call_count: Option<Lenient<Whole>>,
    file_search_call_count: Option<Lenient<Whole>>,
    frt: Option<Lenient<Number>>,
    is_model_mapped: Option<Lenient<bool>>,
    upstream_model_name: Option<Lenient<String>>,
    request_path: Option<Lenient<String>>,
    status_code: Option<Lenient<u16>>,
}

/// The event that a row tells of.
pub(super) fn of_new_api_log(log: NewApiLog, arrival: &Arrival<'_>) -> UsageEvent {
    let kind = kind(log.row_type, arrival.new_api_types);
    let other = read_other(log.other.as_deref());
    let counted = other.as_ref().and_then(|other| tokens(&log, other));
    let flags =
        if counted.is_some() { Flags::default() } else { [Flag::ImpossibleUsage].into_iter().collect() };
    let other = other.unwrap_or_default();
    let units = units(&other);
    let took_ms =
        log.use_time_s.and_then(|seconds| seconds.checked_mul(1_000)).filter(|millis| *millis <= CALL_MAX_MS);
    // It is in the id, so what kind of row it is must not matter: two readers may number the kinds in two ways.
    let started_at = before(log.ended_at, took_ms);
    let duration_ms = took_ms.filter(|_| kind.is_call());
    let path = taken(other.request_path);
    let route = path.map_or_else(Route::default, |path| Route::of_call("", &path));
    let success = kind != EventKind::Error;
    let tokens = counted.unwrap_or_default();
    UsageEvent {
        id: event_id(&log, started_at, arrival),
        scope: arrival.scope.clone(),
        source: arrival.source,
        dialect: Dialect::NewApiLog,
        event_id: match &log.identity {
            RowIdentity::Id(id) => Some(id.to_string()),
            RowIdentity::Named(name) => Some(name.clone()),
            RowIdentity::Request(_) | RowIdentity::Digest(_) => None,
        },
        ray_id: None,
        kind,
        started_at,
        created_at: log.ended_at,
        duration_ms,
        time_to_first_token_ms: taken(other.frt).and_then(|millis| u64::try_from(whole(&millis)?).ok()),
        provider: None,
        model: answered(&log, taken(other.is_model_mapped), taken(other.upstream_model_name))
            .filter(|_| kind == EventKind::Consume),
        model_type: None,
        request_type: route.request_type,
        path: route.path.map(|path| shorten(path, LINE_MAX)),
        step: None,
        status_code: taken(other.status_code).filter(|status| *status > 0),
        success,
        cached: false,
        streamed: log.is_stream,
        truncated: false,
        tokens,
        units,
        service_tier: None,
        provided_cost: None,
        custom_cost: None,
        quota: log.quota,
        quota_ratios: None,
        metadata: None,
        attributes: attributes(&log, success, &tokens).known(),
        error: log.content.filter(|_| !success),
        request_id: log.request_id,
        model_requested: log.model_name,
        caller: Caller {
            user_id: log.user_id,
            user_name: log.user_name,
            token_id: log.token_id,
            token_name: log.token_name,
            group: log.group,
            channel_id: log.channel_id,
            ip: log.ip,
            ..Caller::default()
        },
        usage_json: log.other,
        bodies: Bodies::default(),
        flags,
    }
}

/// What a type means. The decoder lets no other through.
fn kind(row_type: i64, types: NewApiTypes) -> EventKind {
    match (row_type, types) {
        (1, _) => EventKind::Topup,
        (2, _) => EventKind::Consume,
        (3, _) => EventKind::Manage,
        (4, NewApiTypes::Documented) | (5, NewApiTypes::Upstream) => EventKind::Error,
        (6, _) => EventKind::Refund,
        (7, _) => EventKind::Login,
        _ => EventKind::System, // The other one of 4 and 5.
    }
}

/// Nothing, and what new-api writes to users in its place, says nothing; `None` where something cannot be read.
fn read_other(json: Option<&str>) -> Option<Other> {
    match json.map(str::trim) {
        None | Some("" | "null") => Some(Other::default()),
        Some(json) if json.starts_with('{') => serde_json::from_str(json).ok(),
        Some(_) => None,
    }
}

/// The model behind the one that was asked for, where new-api was told to call another.
fn answered(log: &NewApiLog, is_mapped: Option<bool>, upstream: Option<String>) -> Option<String> {
    let upstream = upstream.filter(|name| is_mapped == Some(true) && !name.is_empty());
    upstream.map(|name| shorten(name, NAME_MAX)).or_else(|| log.model_name.clone())
}

/// The counts of a row in disjoint buckets; `None` where its parts are more than the whole. A row without any count has
/// none: new-api writes 0 for what it does not count.
fn tokens(log: &NewApiLog, other: &Other) -> Option<Tokens> {
    let is_true = |flag: &Option<Lenient<bool>>| matches!(flag, Some(Lenient(Some(true))));
    let prompt = u64::try_from(log.prompt_tokens).ok()?;
    let completion = u64::try_from(log.completion_tokens).ok()?;
    let cache_read = count(other.cache_tokens)?;
    let (written, written_for_long) = cache_writes(other)?;
    let images = if is_true(&other.image) { count(other.image_output)? } else { 0 };
    let (audio_in, audio_out) = if is_true(&other.ws) || is_true(&other.audio) {
        (count(other.audio_input)?, count(other.audio_output)?)
    } else {
        (count(other.audio_input_token_count)?, 0)
    };
    let within_prompt = if is_anthropic(other) { 0 } else { cache_read.checked_add(written)? };
    let uncached = prompt.checked_sub(within_prompt)?.checked_sub(images)?.checked_sub(audio_in)?;
    let text_out = completion.checked_sub(audio_out)?;
    let mut tokens = Tokens::default();
    let parts = [
        (TokenBucket::CacheRead, cache_read),
        (TokenBucket::CacheWrite5m, written - written_for_long),
        (TokenBucket::CacheWrite1h, written_for_long),
        (TokenBucket::ImageInput, images),
        (TokenBucket::AudioInput, audio_in),
        (TokenBucket::AudioOutput, audio_out),
    ];
    for (bucket, count) in parts.into_iter().filter(|(_, count)| *count > 0) {
        tokens.set(bucket, count).ok()?;
    }
    if !tokens.is_empty() || prompt > 0 || completion > 0 {
        tokens.set(TokenBucket::UncachedInput, uncached).ok()?;
        tokens.set(TokenBucket::TextOutput, text_out).ok()?;
    }
    Some(tokens)
}

/// What was written to the cache, and the part of it that is kept for an hour. The whole has two names, and goes without
/// saying where its parts are given.
fn cache_writes(other: &Other) -> Option<(u64, u64)> {
    let for_long = count(other.cache_creation_tokens_1h)?;
    let parts = count(other.cache_creation_tokens_5m)?.checked_add(for_long)?;
    let told = [count(other.cache_creation_tokens)?, count(other.cache_write_tokens)?];
    let whole = told.into_iter().find(|count| *count > 0).unwrap_or(parts);
    (whole >= parts).then_some((whole, for_long))
}

/// A count that is not below zero.
fn count(figure: Option<Whole>) -> Option<u64> {
    figure.map_or(Some(0), |Whole(count)| u64::try_from(count).ok())
}

/// Whether the prompt is without what the cache served or took.
fn is_anthropic(other: &Other) -> bool {
    match &other.usage_semantic {
        Some(Lenient(Some(semantic))) => semantic == "anthropic",
        _ => matches!(other.claude, Some(Lenient(Some(true)))), // Older versions say only this.
    }
}

/// Searches that are charged on top.
fn units(other: &Other) -> Units {
    let mut units = Units::default();
    for (unit, count) in [
        (Unit::WebSearches, &other.web_search_call_count),
        (Unit::FileSearches, &other.file_search_call_count),
    ] {
        let Some(Lenient(Some(Whole(count)))) = count else { continue };
        // A count beyond all measure is as good as none.
        let _ = units.set(unit, u64::try_from(*count).unwrap_or(0));
    }
    units
}

/// What a row has that an event has no field for, with its counts where the buckets do not add up to them.
fn attributes(log: &NewApiLog, success: bool, tokens: &Tokens) -> Attributes {
    let unlike =
        |count: i64, sum: Option<u64>| (u64::try_from(count) != Ok(sum.unwrap_or(0))).then_some(count);
    Attributes {
        content: log.content.clone().filter(|_| success),
        channel_name: log.channel_name.clone(),
        upstream_request_id: log.upstream_request_id.clone(),
        prompt_tokens: unlike(log.prompt_tokens, tokens.total_in()),
        completion_tokens: unlike(log.completion_tokens, tokens.total_out()),
        ..Attributes::default()
    }
}

/// A request that was tried again has a row for each attempt, which differ in where it was sent, when, and what came of
/// it.
fn event_id(log: &NewApiLog, started_at: weir_event::Timestamp, arrival: &Arrival<'_>) -> EventId {
    let (account, gateway) = (arrival.scope.account_id.as_str(), arrival.scope.gateway_id.as_str());
    let mut key = vec![account.as_bytes(), gateway.as_bytes(), Dialect::NewApiLog.as_str().as_bytes()];
    let numbers = [log.ended_at.millis(), log.row_type].map(i64::to_le_bytes);
    let number;
    match &log.identity {
        RowIdentity::Id(id) => {
            number = id.to_string();
            key.extend([b"id".as_slice(), number.as_bytes()]);
        }
        RowIdentity::Request(request_id) => {
            let [channel, content] =
                [&log.channel_id, &log.content].map(|text| text.as_deref().unwrap_or_default());
            // As much of it as was once kept, so that a row that is there already is known again.
            let texts = [channel, head(content, LINE_MAX)];
            key.extend([b"request".as_slice(), request_id.as_bytes(), &numbers[0], &numbers[1]]);
            key.extend(texts.map(str::as_bytes));
        }
        RowIdentity::Named(name) => key.extend([b"event".as_slice(), name.as_bytes()]),
        RowIdentity::Digest(digest) => key.extend([b"digest".as_slice(), digest]),
    }
    EventId::derive(started_at, &key)
}
