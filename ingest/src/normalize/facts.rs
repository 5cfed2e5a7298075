//! What the route and the bodies of a call say together, whichever source tells of it.

use weir_event::{Flag, Flags, TokenBucket, Tokens, Unit, Units, Usd};
use weir_service::telemetry::chain;

use super::answer::Answer;
use super::api::{Api, CHAT, KEPT, OCR, SPEECH, Usage};
use super::question::Question;
use super::route::Route;
use crate::decode::MetricsLine;
use crate::text::{LINE_MAX, NAME_MAX, shorten};

/// A call of a model, as a source tells of it.
pub(super) struct Call<'s> {
    pub(super) route: Route,
    /// The model that was asked for, where the source names it itself.
    pub(super) model: Option<String>,
    pub(super) request: Option<&'s str>,
    pub(super) response: Option<&'s str>,
    /// Whether it went well.
    pub(super) success: bool,
    /// Whether the gateway answered from its own cache.
    pub(super) cached: bool,
    pub(super) metrics: Option<&'s MetricsLine>,
}

/// What the URL, the bodies and the metrics line say together.
pub(super) struct Facts {
    pub(super) route: Route,
    pub(super) question: Question,
    pub(super) answer: Answer,
    pub(super) metrics_model: Option<String>,
    pub(super) cached: bool,
    pub(super) streamed: bool,
    pub(super) usage: Usage,
    usage_error: Option<String>,
}

impl Facts {
    pub(super) fn of(call: Call<'_>) -> Self {
        let Call { route, model, request, response, success, cached, metrics } = call;
        let mut question = request.map(Question::read).unwrap_or_default();
        question.model = model.or(question.model);
        let route = chosen(route, &mut question);
        let api = route.api.unwrap_or(&CHAT);
        let answer = response.map(|body| Answer::read(body, api)).unwrap_or_default();
        let streamed = answer.streamed || question.stream == Some(true);
        let (mut usage, usage_error) = if cached {
            (no_usage(), None)
        } else {
            match answer.usage(api) {
                Some(Ok(usage)) => (usage, None),
                Some(Err(error)) => (Usage::default(), Some(chain(&error))),
                // The worker counts whatever it reads, also what was counted when it was made.
                None if *api == KEPT => (Usage::default(), None),
                None => {
                    let tokens = metrics.map(|line| measured_tokens(line, &route, question.stream));
                    (Usage { tokens: tokens.unwrap_or_default(), ..Usage::default() }, None)
                }
            }
        };
        if success && !cached {
            asked_units(api, &question, &mut usage.units);
        }
        let metrics_model = metrics
            .map(|line| line.model.clone())
            .filter(|model| !model.is_empty() && model != "unknown")
            .map(|model| shorten(model, NAME_MAX));
        Self { route, question, answer, metrics_model, cached, streamed, usage, usage_error }
    }

    pub(super) fn flags(&self) -> Flags {
        self.usage_error.iter().map(|_| Flag::ImpossibleUsage).collect()
    }

    /// How the provider ran it, where that is not its standard.
    pub(super) fn service_tier(&self) -> Option<String> {
        const STANDARD: [&str; 5] = ["auto", "default", "on_demand", "standard", "standard_only"];
        let told = self.usage.service_tier.as_ref().or(self.answer.service_tier.as_ref());
        // An answer that was cut may not come to it. The wish is the best that is known then.
        let word = told.or(self.question.service_tier.as_ref())?;
        let word = word.to_ascii_lowercase();
        (!STANDARD.contains(&word.as_str())).then_some(word)
    }

    /// What the provider says that it charged. A hit of the gateway's cache repeats what it said before.
    pub(super) fn charge(&self) -> Option<Usd> {
        let (charge, usage) = self.route.charge.zip(self.answer.usage_json.as_deref())?;
        charge(usage).filter(|_| !self.cached)
    }

    /// What went wrong. A provider may tell of an error in the middle of a stream that began with a 200; a bare text
    /// is an error only where the status says so.
    pub(super) fn error(&self, success: bool, exception: Option<&str>) -> Option<String> {
        let plain_text = self.answer.plain_text.as_deref().filter(|_| !success);
        let told = [self.answer.error.as_deref(), plain_text, exception, self.usage_error.as_deref()];
        told.into_iter().flatten().next().map(|error| shorten(error.to_owned(), LINE_MAX))
    }
}

/// Whom the URL leads to, and where it leaves that open, whom the request does.
fn chosen(mut route: Route, question: &mut Question) -> Route {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_again_is_not_counted_again() {
        let check = |path: &str, expected: (Option<u64>, Option<u64>)| {
            let line = MetricsLine {
                model: "gpt-4o".to_owned(),
                tokens_in: 100,
                tokens_out: 50,
                cached: false,
                status_code: 200,
            };
            let usage = Facts::of(Call {
                route: Route::of(&format!("https://gw.example/openai/v1/{path}")),
                model: None,
                request: None,
                response: None,
                success: true,
                cached: false,
                metrics: Some(&line),
            })
            .usage;
            assert_eq!((usage.tokens.total_in(), usage.tokens.total_out()), expected, "{path}");
        };
        check("chat/completions", (Some(100), Some(50)));
        check("chat/completions/chatcmpl-1", (None, None));
        check("responses/resp_1", (None, None));
    }
}
