//! xAI: adds reasoning to the completion in chats, and states what it charged.

use serde::Deserialize;
use weir_event::Usd;

use super::{Call, Provider, by_path};
use crate::normalize::api::{self, Count};

pub(super) const PROVIDER: Provider =
    Provider { name: "grok", also: &["xai", "x-ai"], hosts: &["api.x.ai", "*.api.x.ai"], call };
/// How its chats are read.
pub(super) use api::XAI_CHAT as API;

#[derive(Deserialize)]
struct WireCharge {
    cost_in_usd_ticks: Option<Count>,
}

fn call(path: &str) -> Call<'_> {
    let call = by_path(path);
    let api = if *call.api == api::CHAT { &API } else { call.api };
    Call { api, charge: Some(charge), ..call }
}

/// All that was billed, tools included, in ticks: ten billion of them are a dollar.
fn charge(usage: &str) -> Option<Usd> {
    let Count(ticks) = serde_json::from_str::<WireCharge>(usage).ok()?.cost_in_usd_ticks?;
    Usd::rounded_from_json_number(&format!("{ticks}e-10")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_exact() {
        let check = |usage: &str, expected: Option<&str>| {
            assert_eq!(charge(usage).map(|cost| cost.to_string()).as_deref(), expected, "{usage}");
        };
        check(r#"{"cost_in_usd_ticks":37756000}"#, Some("0.0037756"));
        check(r#"{"cost_in_usd_ticks":1}"#, Some("0.0000000001"));
        check(r#"{"cost_in_usd_ticks":0}"#, Some("0"));
        check(r#"{"cost_in_usd_ticks":18446744073709551615}"#, Some("1844674407.3709551615"));
        check(r#"{"cost_in_usd_ticks":-1}"#, None);
        check(r#"{"cost_in_usd_ticks":null}"#, None);
        check("{}", None);
    }
}
