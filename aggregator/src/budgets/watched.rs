//! The budgets of a gateway, with what is known of each.

use std::collections::{BTreeMap, BTreeSet};

use weir_budget::{Budget, BudgetId, Terms};
use weir_sql::Sum;

use super::alerts::Told;
use super::rest::Rest;
use super::sums::Sums;

/// The budgets of a gateway.
#[derive(Debug, Default)]
pub(super) struct Gateway {
    pub(super) budgets: BTreeMap<BudgetId, Watched>,
    /// Minutes that are to be read.
    pub(super) touched: BTreeSet<i64>,
    /// From ClickHouse, where it does not answer.
    pub(super) rest: Rest,
}

/// A budget, with what is known of it.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) budget: Budget,
    pub(super) sums: Sums,
    /// By threshold, where it was looked at.
    pub(super) told: BTreeMap<u16, Told>,
    /// Whether the past is read.
    pub(super) is_loaded: bool,
    /// Whether there is more or less of it since it was looked at.
    pub(super) is_changed: bool,
    /// From a statement that ClickHouse refuses.
    pub(super) rest: Rest,
}

impl Gateway {
    /// Takes `budgets` in the place of those that were there, and keeps what is known of those that count the same.
    pub(super) fn update(&mut self, budgets: Vec<Budget>, now_ms: i64) {
        let mut before = std::mem::take(&mut self.budgets);
        for budget in budgets {
            let watched = match before.remove(&budget.id) {
                Some(known) if counts_the_same(&known.budget.terms, &budget.terms) => {
                    let is_changed = known.is_changed || known.budget != budget;
                    Watched { budget, is_changed, ..known }
                }
                _ => Watched::new(budget, now_ms),
            };
            self.budgets.insert(watched.budget.id.clone(), watched);
        }
    }

    /// Remembers that rows of these minutes were stored or changed.
    pub(super) fn touch(&mut self, minutes: BTreeSet<i64>) {
        self.touched.extend(minutes);
    }

    /// Whether minutes are to be read.
    pub(super) fn is_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Whether the past of any is to be read.
    pub(super) fn has_new(&self) -> bool {
        self.budgets.values().any(Watched::is_new)
    }
}

impl Watched {
    fn new(budget: Budget, now_ms: i64) -> Self {
        let sums = Sums::new(budget.terms.window.clone(), now_ms);
        let (told, rest) = (BTreeMap::new(), Rest::default());
        Self { budget, sums, told, is_loaded: false, is_changed: false, rest }
    }

    /// Whether its past is to be read.
    pub(super) fn is_new(&self) -> bool {
        !self.is_loaded && !self.rest.is_on()
    }

    pub(super) fn sum(&self) -> Sum<'_> {
        Sum { filter: &self.budget.terms.filter, measure: self.budget.terms.measure }
    }
}

fn counts_the_same(one: &Terms, other: &Terms) -> bool {
    (&one.filter, one.measure, &one.window) == (&other.filter, other.measure, &other.window)
}
