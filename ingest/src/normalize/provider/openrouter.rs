//! `OpenRouter`: sells the models of others under their makers' names, and states what it charged.

use serde::Deserialize;
use serde_json::value::RawValue;
use weir_event::Usd;

use super::{Call, Provider, amount, by_path};
use crate::decode::lenient::{Lenient, taken};

pub(super) const PROVIDER: Provider =
    Provider { name: "openrouter", also: &["open-router"], hosts: &["openrouter.ai"], call };

#[derive(Deserialize)]
struct WireCharge<'a> {
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
    is_byok: Option<Lenient<bool>>,
    #[serde(borrow)]
    cost_details: Option<Lenient<WireUpstream<'a>>>,
}

#[derive(Deserialize)]
struct WireUpstream<'a> {
    #[serde(borrow)]
    upstream_inference_cost: Option<&'a RawValue>,
}

fn call(path: &str) -> Call<'_> {
    Call { charge: Some(charge), ..by_path(path) }
}

/// `cost` is what was taken from the caller's credits. With a provider's key of the caller's own that is `OpenRouter`'s
/// fee alone, and the provider bills the rest: together they are what the request cost. A fee without the rest is not.
fn charge(usage: &str) -> Option<Usd> {
    let wire: WireCharge<'_> = serde_json::from_str(usage).ok()?;
    let cost = amount(wire.cost?)?;
    if taken(wire.is_byok) != Some(true) {
        return Some(cost);
    }
    cost.checked_add(amount(taken(wire.cost_details)?.upstream_inference_cost?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_charge_is_all_that_the_request_cost() {
        let check = |usage: &str, expected: Option<&str>| {
            assert_eq!(charge(usage).map(|cost| cost.to_string()).as_deref(), expected, "{usage}");
        };
        check(
            r#"{"cost":4e-05,"is_byok":false,"cost_details":{"upstream_inference_cost":4e-05}}"#,
            Some("0.00004"),
        );
        check(r#"{"cost":0.0033382500000000002,"is_byok":null}"#, Some("0.00333825"));
        check(r#"{"cost":0}"#, Some("0"));
        check(r#"{"cost":0.05,"is_byok":true,"cost_details":{"upstream_inference_cost":1}}"#, Some("1.05"));
        check(r#"{"cost":0,"is_byok":true,"cost_details":{"upstream_inference_cost":0.25}}"#, Some("0.25"));
        for unknown in [
            r#"{"cost":0.05,"is_byok":true,"cost_details":{"upstream_inference_cost":null}}"#,
            r#"{"cost":0.05,"is_byok":true}"#,
            r#"{"cost":null}"#,
            r#"{"cost":"0.05"}"#,
            r#"{"cost":-1}"#,
            r#"{"cost":1e99}"#,
            "{}",
        ] {
            check(unknown, None);
        }
    }
}
