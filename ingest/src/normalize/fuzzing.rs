//! What the fuzz targets call: the readers of bodies by themselves, whatever route leads to them. Built for them alone.

use super::answer::Answer;
use super::api::{ALL, Usage};
use super::provider::PROVIDERS;
use super::question::Question;
use crate::text::{LINE_MAX, NAME_MAX};

/// Reads the body of an answer in every API.
pub fn answer(body: &str) {
    for api in ALL {
        let answer = Answer::read(body, api);
        for (text, characters_max) in [
            (&answer.id, NAME_MAX),
            (&answer.model, NAME_MAX),
            (&answer.error, LINE_MAX),
            (&answer.plain_text, LINE_MAX),
            (&answer.service_tier, NAME_MAX),
        ] {
            assert!(text.as_ref().is_none_or(|text| text.chars().count() <= characters_max));
        }
        if let Some(Ok(usage)) = answer.usage(api) {
            check(&usage);
        }
    }
}

/// Takes a usage object apart in every API, and as every provider that states its charge.
pub fn usage(json: &str) {
    for api in ALL {
        if let Ok(usage) = (api.usage)(json) {
            check(&usage);
        }
    }
    for provider in PROVIDERS {
        let charge = (provider.call)("v1/chat/completions").charge;
        assert!(charge.and_then(|charge| charge(json)).is_none_or(|amount| amount >= weir_event::Usd::ZERO));
    }
}

/// Reads the body of a request.
pub fn question(body: &str) {
    let question = Question::read(body);
    for text in [&question.model, &question.user, &question.service_tier] {
        assert!(text.as_ref().is_none_or(|text| text.chars().count() <= NAME_MAX));
    }
}

/// The sums hold whatever was reported: no bucket is beyond its bound.
fn check(usage: &Usage) {
    let all = usage.tokens.total_in().unwrap_or(0) + usage.tokens.total_out().unwrap_or(0);
    assert_eq!(all, usage.tokens.iter().map(|(_, count)| count).sum::<u64>());
}
