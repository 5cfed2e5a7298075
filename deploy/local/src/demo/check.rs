//! What the figures must be, and whether they are.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

/// The figures of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ModelTotals {
    pub(super) requests: u64,
    pub(super) tokens_in: u64,
    pub(super) tokens_out: u64,
    /// USD, of the requests that have a price.
    pub(super) cost: Decimal,
    pub(super) unpriced: u64,
}

/// Figures by model.
pub(super) type Totals = BTreeMap<String, ModelTotals>;

/// Providers by model.
pub(super) type Providers = BTreeMap<String, String>;

/// What a batch must come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    /// The model of the record that stands as it is.
    pub(super) seed_model: String,
    /// Its figures, however often it was pushed: this run is not the first, and it is one event.
    pub(super) seed: ModelTotals,
    /// What the others add.
    pub(super) moved: Totals,
    /// Who ran each model.
    pub(super) providers: Providers,
}

impl ModelTotals {
    pub(super) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.tokens_in += other.tokens_in;
        self.tokens_out += other.tokens_out;
        self.cost += other.cost;
        self.unpriced += other.unpriced;
    }
}

impl Expected {
    /// What the figures must be after a push, from what they were before.
    pub(super) fn after(&self, before: &Totals) -> Totals {
        let mut totals = before.clone();
        for (model, added) in &self.moved {
            totals.entry(model.clone()).or_default().add(added);
        }
        totals.insert(self.seed_model.clone(), self.seed.clone());
        totals
    }

    /// The models whose provider is not the one that ran them.
    pub(super) fn wrong_providers(&self, found: &Providers) -> Vec<String> {
        let wrong = self.providers.iter().filter(|(model, provider)| found.get(*model) != Some(provider));
        wrong.map(|(model, provider)| format!("provider of {model}: must be {provider}")).collect()
    }

    /// What the windows must be after a push. The seed's record is years old: no window has it.
    pub(super) fn live_after(&self, before: &Totals) -> Totals {
        let mut totals = before.clone();
        for (model, added) in &self.moved {
            totals.entry(model.clone()).or_default().add(added);
        }
        totals
    }
}

/// The differences between what was found and what it must be, one line each.
pub(super) fn differences(what: &str, found: &Totals, expected: &Totals) -> Vec<String> {
    let models = found.keys().chain(expected.keys()).collect::<std::collections::BTreeSet<_>>();
    let none = ModelTotals::default();
    let differing = models.into_iter().filter_map(|model| {
        let (found, expected) = (found.get(model).unwrap_or(&none), expected.get(model).unwrap_or(&none));
        (found != expected).then(|| format!("{what} of {model}: found {found:?}, must be {expected:?}"))
    });
    differing.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(cost: &str) -> ModelTotals {
        let cost = Decimal::from_str_exact(cost).unwrap();
        ModelTotals { requests: 1, tokens_in: 2, tokens_out: 3, cost, unpriced: 0 }
    }

    #[test]
    fn the_seed_is_one_event_and_the_others_add_up() {
        let moved = Totals::from([("b".to_owned(), one("0.2"))]);
        let expected =
            Expected { seed_model: "a".to_owned(), seed: one("0.1"), moved, ..Expected::default() };
        let first = expected.after(&Totals::new());
        let second = expected.after(&first);
        assert_eq!(second["a"], one("0.1"));
        assert_eq!((second["b"].requests, second["b"].cost.to_string()), (2, "0.4".to_owned()));
    }

    #[test]
    fn a_wrong_or_missing_provider_is_found() {
        let providers = Providers::from([("a".to_owned(), "p".to_owned()), ("b".to_owned(), "p".to_owned())]);
        let expected = Expected { providers: providers.clone(), ..Expected::default() };
        assert!(expected.wrong_providers(&providers).is_empty());
        let found = Providers::from([("a".to_owned(), "q".to_owned())]);
        assert_eq!(
            expected.wrong_providers(&found),
            ["provider of a: must be p", "provider of b: must be p"]
        );
    }

    #[test]
    fn a_difference_names_the_model_and_both_figures() {
        let found = Totals::from([("a".to_owned(), one("0.1"))]);
        let expected = Totals::from([("a".to_owned(), one("0.2")), ("b".to_owned(), one("0.1"))]);
        let lines = differences("cost", &found, &expected);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("cost of a: found") && lines[1].starts_with("cost of b: found"));
        assert!(differences("cost", &found, &found).is_empty());
    }
}
