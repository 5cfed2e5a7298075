//! Puts an event together from a trace record.

use weir_event::{
    Bodies, Caller, EventId, EventKind, Flag, Flags, Scope, Source, Timestamp, TokenBucket, Tokens, Unit,
    Units, UsageEvent, Usd,
};
use weir_service::telemetry::chain;

use super::answer::Answer;
use super::api::{Api, CHAT, OCR, SPEECH, Usage};
use super::question::Question;
use super::route::Route;
use crate::decode::{Identity, LoggedBody, MetricsLine, TraceRecord, TracedHeaders};
use crate::text::{LINE_MAX, NAME_MAX, shorten};

/// The event that a trace record tells of.
#[must_use]
pub fn normalize(record: TraceRecord, scope: &Scope, source: Source) -> UsageEvent {
    let facts = Facts::of(&record);
    let (created_at, duration_ms) = end_of_call(&record);
    let (status_code, success) = status(&record);
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
        provider: facts.provider,
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
        bodies: bodies(record.console.request, record.console.response, &record.headers),
        caller: caller(record.headers, facts.question.user),
        flags,
    }
}

/// What the URL, the bodies and the metrics line say together.
struct Facts {
    /// Who answered: the route's provider, unless its answer has the form of malacca's fallback.
    provider: Option<String>,
    route: Route,
    question: Question,
    answer: Answer,
    metrics_model: Option<String>,
    cached: bool,
    streamed: bool,
    usage: Usage,
    usage_error: Option<String>,
}

impl Facts {
    fn of(record: &TraceRecord) -> Self {
        let console = &record.console;
        let mut question =
            console.request.as_ref().map(|body| Question::read(&body.text)).unwrap_or_default();
        let route = route(record.url.as_deref(), &mut question);
        let api = route.api.unwrap_or(&CHAT);
        let answer = console.response.as_ref().map(|body| Answer::read(&body.text, api)).unwrap_or_default();
        let metrics = console.metrics.as_ref();
        let cached = metrics.is_some_and(|line| line.cached);
        let streamed = answer.streamed || question.stream == Some(true);
        let (mut usage, usage_error) = if cached {
            (no_usage(), None)
        } else {
            match answer.usage(api) {
                Some(Ok(usage)) => (usage, None),
                Some(Err(error)) => (Usage::default(), Some(chain(&error))),
                None => {
                    let tokens = metrics.map(|line| measured_tokens(line, &route, question.stream));
                    (Usage { tokens: tokens.unwrap_or_default(), ..Usage::default() }, None)
                }
            }
        };
        if status(record).1 && !cached {
            asked_units(api, &question, &mut usage.units);
        }
        let metrics_model = metrics
            .map(|line| line.model.clone())
            .filter(|model| !model.is_empty() && model != "unknown")
            .map(|model| shorten(model, NAME_MAX));
        let provider =
            if answer.by_workers_ai { Some(WORKERS_AI.to_owned()) } else { route.provider.clone() };
        Self { provider, route, question, answer, metrics_model, cached, streamed, usage, usage_error }
    }

    fn flags(&self) -> Flags {
        self.usage_error.iter().map(|_| Flag::ImpossibleUsage).collect()
    }

    /// How the provider ran it, where that is not its standard.
    fn service_tier(&self) -> Option<String> {
        const STANDARD: [&str; 5] = ["auto", "default", "on_demand", "standard", "standard_only"];
        let told = self.usage.service_tier.as_ref().or(self.answer.service_tier.as_ref());
        // An answer that was cut may not come to it. The wish is the best that is known then.
        let word = told.or(self.question.service_tier.as_ref())?;
        let word = word.to_ascii_lowercase();
        (!STANDARD.contains(&word.as_str())).then_some(word)
    }

    /// What the provider says that it charged. A hit of the gateway's cache repeats what it said before.
    fn charge(&self) -> Option<Usd> {
        let (charge, usage) = self.route.charge.zip(self.answer.usage_json.as_deref())?;
        charge(usage).filter(|_| !self.cached)
    }

    /// What went wrong. A provider may tell of an error in the middle of a stream that began with a 200; a bare text
    /// is an error only where the status says so.
    fn error(&self, success: bool, exception: Option<&str>) -> Option<String> {
        let plain_text = self.answer.plain_text.as_deref().filter(|_| !success);
        let told = [self.answer.error.as_deref(), plain_text, exception, self.usage_error.as_deref()];
        told.into_iter().flatten().next().map(|error| shorten(error.to_owned(), LINE_MAX))
    }
}

/// The status, and whether it went well.
fn status(record: &TraceRecord) -> (Option<u16>, bool) {
    let status = record.status_code.or(record.console.metrics.as_ref().map(|line| line.status_code));
    let success = status.is_none_or(|status| (200..300).contains(&status))
        && record.outcome.as_deref().is_none_or(|outcome| outcome == "ok");
    (status, success)
}

/// Whom the URL leads to, and where it leaves that open, whom the request does.
fn route(url: Option<&str>, question: &mut Question) -> Route {
    let mut route = url.map(Route::of).unwrap_or_default();
    if let (None, Some((provider, path))) = (route.api, &question.step) {
        route = Route::of_call(provider, path);
    }
    route.choose(&mut question.model);
    route
}

/// What is billed of the request itself, once it was answered.
fn asked_units(api: &Api, question: &Question, units: &mut Units) {
    let asked = if *api == SPEECH {
        [(Unit::InputCharacters, question.input_characters.unwrap_or(0)), (Unit::InputPages, 0)]
    } else if *api == OCR && question.annotated {
        // Annotated pages have a price of their own, which includes the reading.
        [(Unit::AnnotatedPages, units.get(Unit::InputPages)), (Unit::InputPages, 0)]
    } else {
        return;
    };
    for (unit, count) in asked {
        // A count beyond all measure is as good as none.
        let _ = units.set(unit, count);
    }
}

/// A hit of the gateway's cache is logged with the body and usage of the answer that was cached: counting them again
/// would bill them twice. What the provider did for it is nothing.
fn no_usage() -> Usage {
    let mut usage = Usage::default();
    for bucket in [TokenBucket::UncachedInput, TokenBucket::TextOutput] {
        usage.tokens.set(bucket, 0).expect("0 is below the limit");
    }
    usage
}

/// The counts of the metrics line, where they are the provider's own. Two zeros are the worker's way of not knowing,
/// and for answers that Azure streamed it estimates from words: an estimate is not a count.
fn measured_tokens(line: &MetricsLine, route: &Route, stream: Option<bool>) -> Tokens {
    let mut tokens = Tokens::default();
    let unknown = line.tokens_in == 0 && line.tokens_out == 0;
    let estimated =
        route.provider.as_deref().is_none_or(|provider| provider == "azure-openai") && stream != Some(false);
    if !unknown && !estimated {
        for (bucket, count) in
            [(TokenBucket::UncachedInput, line.tokens_in), (TokenBucket::TextOutput, line.tokens_out)]
        {
            // A count beyond all measure is as good as none.
            let _ = tokens.set(bucket, count);
        }
    }
    tokens
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
const CALL_MAX_MS: u64 = 86_400_000;
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
