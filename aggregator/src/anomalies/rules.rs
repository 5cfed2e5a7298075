//! What is too much, and how that is configured.

use std::time::Duration;

use weir_budget::{Amount, Measure};
use weir_service::config::{Key, Reader, Reported};

use super::figures::Figures;
use crate::webhooks::Endpoints;

const FACTOR: &str = "aggregator.anomaly_factor";
const WINDOW: &str = "aggregator.anomaly_window";
const SPEND_FLOOR: &str = "aggregator.anomaly_spend_floor";
const ERRORS_FLOOR: &str = "aggregator.anomaly_errors_floor";
const COOL_DOWN: &str = "aggregator.anomaly_cool_down";
const WEBHOOKS: &str = "aggregator.anomaly_webhooks";

/// Amounts have 18 decimals.
const ONE: i128 = 1_000_000_000_000_000_000;

/// What is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnomalyRules {
    factor: u32,
    window: Duration,
    spend_floor: Amount,
    errors_floor: u64,
    cool_down: Duration,
    webhooks: Vec<String>,
}

impl AnomalyRules {
    /// The keys.
    pub(crate) const KEYS: [Key; 6] = [
        Key::new(
            FACTOR,
            "how many times what an API token used to spend, or to fail, is told of; none if not set",
        ),
        Key::new(WINDOW, "the last time that is held against the past of a token").default("15m"),
        Key::new(SPEND_FLOOR, "US dollars in that time below which nothing is told of").default("1"),
        Key::new(ERRORS_FLOOR, "failed calls in that time below which nothing is told of").default("20"),
        Key::new(COOL_DOWN, "how long nothing more is told of the same of a token").default("1h"),
        Key::new(
            WEBHOOKS,
            "webhooks that are told, by their names in the file, comma-separated; none if not set",
        ),
    ];

    /// Reads the settings. `None` where there is no factor.
    pub(crate) fn read(reader: &mut Reader) -> Result<Option<Self>, Reported> {
        const MINUTE: Duration = Duration::from_mins(1);
        const DAY: Duration = Duration::from_hours(24);
        let factor = reader.get_optional::<u32>(FACTOR);
        let window = reader.get_in(WINDOW, MINUTE..=DAY);
        let spend_floor = reader.get::<String>(SPEND_FLOOR);
        let errors_floor = reader.get::<u64>(ERRORS_FLOOR);
        let cool_down = reader.get_in(COOL_DOWN, MINUTE..=30 * DAY);
        let webhooks = reader.get_list::<String>(WEBHOOKS);
        let spend_floor = spend_floor.and_then(|text| {
            text.parse::<Amount>().map_err(|error| reader.reject(SPEND_FLOOR, format!("is {error}")))
        });
        let Some(factor) = factor? else { return Ok(None) };
        reader.require((2..=1_000_000).contains(&factor), FACTOR, "is not from 2 to 1000000")?;
        let (window, cool_down) = (window?, cool_down?);
        let (spend_floor, errors_floor) = (spend_floor?, errors_floor?);
        Ok(Some(Self { factor, window, spend_floor, errors_floor, cool_down, webhooks: webhooks? }))
    }

    /// Notes every name that is none of `endpoints`: what is unusual would reach nobody there.
    pub(crate) fn require_webhooks(&self, endpoints: &Endpoints, reader: &mut Reader) {
        let names: Vec<_> = endpoints.iter().map(|(name, _)| name.as_str()).collect();
        for unknown in self.webhooks.iter().filter(|name| !names.contains(&name.as_str())) {
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            reader.reject(
                WEBHOOKS,
                format!("{unknown:?} is not in aggregator.webhooks_file, which has {names}"),
            );
        }
    }

    /// How long the last time is.
    pub(super) fn window_ms(&self) -> i64 {
        i64::try_from(self.window.as_millis()).unwrap_or(i64::MAX)
    }

    /// How long nothing more is told of the same.
    pub(super) fn cool_down_ms(&self) -> u64 {
        u64::try_from(self.cool_down.as_millis()).unwrap_or(u64::MAX)
    }

    /// Who is told.
    pub(crate) fn webhooks(&self) -> &[String] {
        &self.webhooks
    }

    /// What there is too much of, with how much and how much there used to be: of money by the time, which was `past_ms` long;
    /// of failures by the calls. A token that never failed is taken to have failed once.
    pub(super) fn judge(
        &self,
        now: &Figures,
        past: &Figures,
        past_ms: i64,
    ) -> Vec<(Measure, Amount, Amount)> {
        let usual_cost =
            past.cost.units().saturating_mul(self.window_ms().into()) / i128::from(past_ms.max(1));
        let usual_errors = (i128::from(past.errors.max(1)) * ONE).saturating_mul(now.requests.into())
            / i128::from(past.requests.max(1));
        let errors = i128::from(now.errors) * ONE;
        let is_much = |value: i128, usual: i128| value > usual.saturating_mul(self.factor.into());
        let mut found = Vec::new();
        if now.cost >= self.spend_floor && is_much(now.cost.units(), usual_cost) {
            found.push((Measure::Cost, now.cost, Amount::from_units(usual_cost)));
        }
        if now.errors >= self.errors_floor && is_much(errors, usual_errors) {
            found.push((Measure::Errors, Amount::from_units(errors), Amount::from_units(usual_errors)));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn figures(requests: u64, errors: u64, cost: &str) -> Figures {
        Figures { first_ms: 0, requests, errors, cost: cost.parse().unwrap() }
    }

    fn check(now: Figures, past: Figures, expected: &[(Measure, &str)]) {
        let rules = AnomalyRules {
            factor: 4,
            window: Duration::from_mins(15),
            spend_floor: "1".parse().unwrap(),
            errors_floor: 10,
            cool_down: Duration::from_hours(1),
            webhooks: Vec::new(),
        };
        let found = rules.judge(&now, &past, 100 * HOUR_MS);
        let found: Vec<_> = found.iter().map(|(measure, _, usual)| (*measure, usual.to_string())).collect();
        let expected: Vec<_> =
            expected.iter().map(|(measure, usual)| (*measure, (*usual).to_owned())).collect();
        assert_eq!(found, expected, "{now:?} {past:?}");
    }

    #[test]
    fn a_token_is_held_against_its_own_past() {
        // 100 hours are 400 times 15 minutes.
        let past = figures(40_000, 400, "200");
        check(figures(100, 1, "2"), past, &[]);
        check(figures(100, 1, "2.000000000000000001"), past, &[(Measure::Cost, "0.5")]);
        check(figures(200, 10, "0"), past, &[(Measure::Errors, "2")]);
        // As many failures of more calls are usual, and few are no news.
        check(figures(250, 10, "0"), past, &[]);
        check(figures(9, 9, "0.99"), figures(40_000, 0, "0"), &[]);
        check(
            figures(20, 10, "1"),
            figures(40_000, 0, "0"),
            &[(Measure::Cost, "0"), (Measure::Errors, "0.0005")],
        );
    }
}
