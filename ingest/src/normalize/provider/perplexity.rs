//! Perplexity: bills reasoning, citations and searches on top of the completion, and states what it charged.

use serde::Deserialize;
use serde_json::value::RawValue;
use weir_event::Usd;

use super::{Call, Provider, amount, by_path};
use crate::normalize::api;

pub(super) const PROVIDER: Provider =
    Provider { name: "perplexity-ai", also: &["perplexity"], hosts: &["api.perplexity.ai"], call };
/// How its chats are read.
pub(super) use api::PERPLEXITY_CHAT as API;

#[derive(Deserialize)]
struct WireUsage<'a> {
    #[serde(borrow)]
    cost: Option<WireCost<'a>>,
}

#[derive(Deserialize)]
struct WireCost<'a> {
    currency: Option<String>,
    #[serde(borrow)]
    total_cost: Option<&'a RawValue>,
}

fn call(path: &str) -> Call<'_> {
    let call = by_path(path);
    let api = if *call.api == api::CHAT { &API } else { call.api };
    Call { api, charge: Some(charge), ..call }
}

/// The total, the fee of the request included: it depends on how much of the web was to be searched, which nothing
/// else in an answer tells.
fn charge(usage: &str) -> Option<Usd> {
    let cost = serde_json::from_str::<WireUsage<'_>>(usage).ok()?.cost?;
    let in_dollars = cost.currency.is_none_or(|currency| currency == "USD");
    amount(cost.total_cost.filter(|_| in_dollars)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_charge() {
        let check = |usage: &str, expected: Option<&str>| {
            assert_eq!(charge(usage).map(|cost| cost.to_string()).as_deref(), expected, "{usage}");
        };
        check(
            r#"{"prompt_tokens":14,"cost":{"input_tokens_cost":4.2e-05,"output_tokens_cost":0.00858,"request_cost":0.006,"total_cost":0.014622}}"#,
            Some("0.014622"),
        );
        check(r#"{"cost":{"currency":"USD","total_cost":0.5}}"#, Some("0.5"));
        check(r#"{"cost":{"currency":"EUR","total_cost":0.5}}"#, None);
        check(r#"{"cost":0.5}"#, None);
        check(r#"{"cost":{}}"#, None);
        check("{}", None);
    }
}
