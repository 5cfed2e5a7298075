//! The budgets of a gateway, with what is known of each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;
use weir_budget::{Budget, BudgetId, Terms};
use weir_sql::Sum;

use super::alerts::Told;
use super::rest::Rest;
use super::store::Agreed;
use super::sums::Sums;

/// So long after the last word of a minute it is read once more: a replica may be behind the one that took the rows.
const AGAIN: [Duration; 2] = [Duration::from_secs(3), Duration::from_mins(1)];

/// The budgets of a gateway.
#[derive(Debug, Default)]
pub(super) struct Gateway {
    pub(super) budgets: BTreeMap<BudgetId, Watched>,
    /// Minutes that are to be read.
    pub(super) touched: BTreeSet<i64>,
    /// Minutes that are to be read once more, and when, by each of [`AGAIN`].
    again: [BTreeMap<i64, Instant>; AGAIN.len()],
    /// From ClickHouse, where it does not answer.
    pub(super) rest: Rest,
}

/// A budget, with what is known of it.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) budget: Budget,
    /// Since when it has these terms, as far as we know, in epoch milliseconds. A period that was over by then is none of its.
    pub(super) since_ms: i64,
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
    pub(super) fn update(&mut self, budgets: Vec<Agreed>, now_ms: i64) {
        let mut before = std::mem::take(&mut self.budgets);
        for agreed in budgets {
            let watched = match before.remove(&agreed.budget.id) {
                Some(known) if counts_the_same(&known.budget.terms, &agreed.budget.terms) => {
                    let Agreed { budget, since_ms } = agreed;
                    let is_changed = known.is_changed || known.budget != budget;
                    // Another name is written like other terms, and changes nothing.
                    let is_same = known.budget.terms.fingerprint() == budget.terms.fingerprint();
                    let since_ms = if is_same { known.since_ms.min(since_ms) } else { since_ms };
                    Watched { budget, since_ms, is_changed, ..known }
                }
                _ => Watched::new(agreed, now_ms),
            };
            self.budgets.insert(watched.budget.id.clone(), watched);
        }
    }

    /// Remembers that rows of these minutes were stored or changed. To be called also when there are none, since minutes that were
    /// touched before come up again.
    pub(super) fn touch(&mut self, minutes: BTreeSet<i64>) {
        let now = Instant::now();
        for (again, after) in self.again.iter_mut().zip(AGAIN) {
            self.touched.extend(again.extract_if(.., |_, at| *at <= now).map(|(minute, _)| minute));
            again.extend(minutes.iter().map(|minute| (*minute, now + after)));
        }
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
    fn new(agreed: Agreed, now_ms: i64) -> Self {
        let Agreed { budget, since_ms } = agreed;
        let sums = Sums::new(budget.terms.window.clone(), now_ms);
        let (told, rest) = (BTreeMap::new(), Rest::default());
        Self { budget, since_ms, sums, told, is_loaded: false, is_changed: false, rest }
    }

    /// Has it be looked at as of now. One that the clock went back on may have to be read anew: what was forgotten counts again.
    pub(super) fn move_on(&mut self, now_ms: i64) {
        self.is_loaded &= self.sums.move_on(now_ms);
        self.is_changed = true;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_minute_is_read_again_in_case_it_was_read_too_early() {
        let mut gateway = Gateway::default();
        let mut touched = async |after_s, minutes: &[i64]| {
            tokio::time::advance(Duration::from_secs(after_s)).await;
            gateway.touch(minutes.iter().copied().collect());
            std::mem::take(&mut gateway.touched).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(touched(0, &[5, 6]).await, [5, 6]);
        assert_eq!(touched(2, &[6]).await, [6]);
        assert_eq!(touched(1, &[]).await, [5]);
        assert_eq!(touched(2, &[]).await, [6]);
        assert_eq!(touched(54, &[]).await, [] as [i64; 0]);
        assert_eq!(touched(1, &[]).await, [5]);
        assert_eq!(touched(2, &[]).await, [6]);
        assert_eq!(touched(90, &[]).await, [] as [i64; 0]);
    }
}
