//! The budgets of all gateways, with what is known of each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;
use weir_budget::{Budget, BudgetId, Terms};
use weir_event::Scope;
use weir_sql::{Steps, Sum};

use super::alerts::Told;
use super::error::BudgetsError;
use super::store::{SpentStep, Store};
use super::sums::{Step, Sums};

/// Budgets in one statement, at most, and how long their filters may be together, in bytes.
const BUDGETS_PER_STATEMENT: usize = 50;
const FILTER_BYTES_PER_STATEMENT: usize = 64 * 1_024;
/// Minutes that are this far apart are asked for apart, so that what lies between is not read.
const GAP_MS: i64 = 3_600_000;
/// Minutes in one statement, and statements until others have their turn.
const MINUTES_PER_STATEMENT: usize = 500;
const STATEMENTS_AT_ONCE: usize = 4;
/// How long a gateway whose budgets cannot be summed up is left alone.
const REST: Duration = Duration::from_secs(10);
const MINUTE_MS: i64 = 60_000;

/// All budgets, by gateway.
#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) gateways: BTreeMap<Scope, Gateway>,
}

/// The budgets of a gateway.
#[derive(Debug, Default)]
pub(super) struct Gateway {
    pub(super) budgets: BTreeMap<BudgetId, Watched>,
    touched: BTreeSet<i64>,
    rests_until: Option<Instant>,
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
}

impl Board {
    /// Takes `budgets` in the place of those that were there, and keeps what is known of those that count the same.
    pub(super) fn update(&mut self, budgets: Vec<Budget>, now_ms: i64) {
        let mut before = std::mem::take(&mut self.gateways);
        for budget in budgets {
            let known = before.get_mut(&budget.scope);
            let known = known.and_then(|gateway| gateway.budgets.remove(&budget.id));
            let watched = match known {
                Some(known) if counts_the_same(&known.budget.terms, &budget.terms) => {
                    let is_changed = known.is_changed || known.budget != budget;
                    Watched { budget, is_changed, ..known }
                }
                _ => Watched::new(budget, now_ms),
            };
            let gateway = self.gateways.entry(watched.budget.scope.clone()).or_default();
            gateway.budgets.insert(watched.budget.id.clone(), watched);
        }
        for (scope, gateway) in &mut self.gateways {
            if let Some(known) = before.remove(scope) {
                (gateway.touched, gateway.rests_until) = (known.touched, known.rests_until);
            }
        }
    }

    /// Remembers that rows of these minutes were stored or changed, where anybody has a budget.
    pub(super) fn touch(&mut self, scope: &Scope, minutes: BTreeSet<i64>) {
        if let Some(gateway) = self.gateways.get_mut(scope) {
            gateway.touched.extend(minutes);
        }
    }

    /// How many budgets there are.
    pub(super) fn len(&self) -> usize {
        self.gateways.values().map(|gateway| gateway.budgets.len()).sum()
    }
}

impl Watched {
    fn new(budget: Budget, now_ms: i64) -> Self {
        let sums = Sums::new(budget.terms.window.clone(), now_ms);
        Self { budget, sums, told: BTreeMap::new(), is_loaded: false, is_changed: false }
    }

    fn sum(&self) -> Sum<'_> {
        Sum { filter: &self.budget.terms.filter, measure: self.budget.terms.measure }
    }
}

impl Gateway {
    /// Whether it is left alone for now.
    pub(super) fn rests(&self) -> bool {
        self.rests_until.is_some_and(|until| Instant::now() < until)
    }

    /// Leaves it alone for a while; then all of it is read anew.
    pub(super) fn rest(&mut self) {
        self.rests_until = Some(Instant::now() + REST);
        self.touched.clear();
        self.budgets.values_mut().for_each(|watched| watched.is_loaded = false);
    }

    /// Whether something is to be read.
    pub(super) fn is_behind(&self) -> bool {
        !self.touched.is_empty() || self.budgets.values().any(|watched| !watched.is_loaded)
    }

    /// Reads what is not known yet, and what was touched.
    pub(super) async fn catch_up(
        &mut self,
        scope: &Scope,
        store: &Store,
        now_ms: i64,
    ) -> Result<(), BudgetsError> {
        self.load(scope, store, now_ms).await?;
        for _ in 0..STATEMENTS_AT_ONCE {
            let minutes = self.next_minutes();
            if minutes.is_empty() {
                break;
            }
            self.read(scope, store, &minutes).await?;
            self.touched.retain(|minute| !minutes.contains(minute));
        }
        Ok(())
    }

    /// The past of budgets that are new: those that are kept by the same steps together.
    async fn load(&mut self, scope: &Scope, store: &Store, now_ms: i64) -> Result<(), BudgetsError> {
        let mut new: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (id, watched) in self.budgets.iter().filter(|(_, watched)| !watched.is_loaded) {
            let kind = (watched.sums.fine_ms(), watched.budget.terms.window.is_sliding());
            new.entry(kind).or_default().push(id.clone());
        }
        for ((fine_ms, _), ids) in new {
            for ids in self.chunks(&ids) {
                let all: Vec<_> = ids.iter().map(|id| &self.budgets[id]).collect();
                let sums: Vec<_> = all.iter().map(|watched| watched.sum()).collect();
                let from_ms = all.iter().map(|watched| watched.sums.kept_from()).min().unwrap_or(now_ms);
                let fine_from = all.iter().map(|watched| watched.sums.fine_from()).min().unwrap_or(now_ms);
                let to_ms =
                    all.iter().flat_map(|watched| watched.sums.times(now_ms)).map(|time| time.end).max();
                let to_ms = to_ms.unwrap_or(now_ms);
                let by_second_from_ms = if fine_ms < MINUTE_MS { from_ms } else { to_ms };
                let by_minute_from_ms = fine_from.max(from_ms);
                let steps = Steps { minutes: &[], from_ms, to_ms, by_second_from_ms, by_minute_from_ms };
                let read = store.spent(scope, &sums, steps).await?;
                for (n, id) in ids.iter().enumerate() {
                    if let Some(watched) = self.budgets.get_mut(id) {
                        watched.sums.load(&of_budget(&read, n));
                        (watched.is_loaded, watched.is_changed) = (true, true);
                    }
                }
            }
        }
        Ok(())
    }

    /// Minutes that were touched and lie together, the latest first.
    fn next_minutes(&mut self) -> BTreeSet<i64> {
        let mut minutes = BTreeSet::new();
        for minute in self.touched.iter().rev() {
            let is_near = minutes.first().is_none_or(|first: &i64| first - minute < GAP_MS);
            if !is_near || minutes.len() == MINUTES_PER_STATEMENT {
                break;
            }
            minutes.insert(*minute);
        }
        minutes
    }

    async fn read(
        &mut self,
        scope: &Scope,
        store: &Store,
        touched: &BTreeSet<i64>,
    ) -> Result<(), BudgetsError> {
        let needs = |watched: &Watched| -> BTreeSet<i64> {
            touched.iter().flat_map(|minute| watched.sums.minutes_of(*minute)).collect()
        };
        let needed: BTreeMap<BudgetId, BTreeSet<i64>> = self
            .budgets
            .iter()
            .map(|(id, watched)| (id.clone(), needs(watched)))
            .filter(|(_, minutes)| !minutes.is_empty())
            .collect();
        let ids: Vec<_> = needed.keys().cloned().collect();
        for ids in self.chunks(&ids) {
            let minutes: BTreeSet<i64> = ids.iter().flat_map(|id| needed[id].iter().copied()).collect();
            let (Some(first), Some(last)) = (minutes.first(), minutes.last()) else { continue };
            let (from_ms, to_ms) = (*first, *last + MINUTE_MS);
            let all: Vec<_> = ids.iter().map(|id| &self.budgets[id]).collect();
            let is_by_second = all.iter().any(|watched| watched.sums.fine_ms() < MINUTE_MS);
            let sums: Vec<_> = all.iter().map(|watched| watched.sum()).collect();
            let minutes: Vec<_> = minutes.into_iter().collect();
            let by_second_from_ms = if is_by_second { from_ms } else { to_ms };
            let steps =
                Steps { minutes: &minutes, from_ms, to_ms, by_second_from_ms, by_minute_from_ms: from_ms };
            let read = store.spent(scope, &sums, steps).await?;
            for (n, id) in ids.iter().enumerate() {
                if let Some(watched) = self.budgets.get_mut(id) {
                    watched.sums.replace(&needed[id], &of_budget(&read, n));
                    watched.is_changed = true;
                }
            }
        }
        Ok(())
    }

    /// These budgets, as many together as one statement may have.
    fn chunks(&self, ids: &[BudgetId]) -> Vec<Vec<BudgetId>> {
        let (mut chunks, mut bytes) = (Vec::<Vec<_>>::new(), 0);
        for id in ids {
            let length = self.budgets[id].budget.terms.filter.to_string().len();
            bytes += length;
            match chunks.last_mut() {
                Some(last) if last.len() < BUDGETS_PER_STATEMENT && bytes <= FILTER_BYTES_PER_STATEMENT => {
                    last.push(id.clone());
                }
                _ => {
                    bytes = length;
                    chunks.push(vec![id.clone()]);
                }
            }
        }
        chunks
    }
}

fn counts_the_same(one: &Terms, other: &Terms) -> bool {
    (&one.filter, one.measure, &one.window) == (&other.filter, other.measure, &other.window)
}

/// The sums of one of the budgets that were asked for.
fn of_budget(read: &[SpentStep], n: usize) -> Vec<Step> {
    let step = |step: &SpentStep| Some(Step { at_ms: step.at_s * 1_000, units: *step.sums.get(n)? });
    read.iter().filter_map(step).collect()
}
