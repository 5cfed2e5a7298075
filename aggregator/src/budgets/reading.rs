//! Reads what is used of the budgets of a gateway: many in one statement, and one by one where that is refused.

use std::collections::{BTreeMap, BTreeSet};

use weir_budget::BudgetId;
use weir_event::Scope;
use weir_service::telemetry::chain;
use weir_sql::Steps;

use super::error::BudgetsError;
use super::store::{SpentStep, Store};
use super::sums::Step;
use super::watched::{Gateway, Watched};

/// Budgets in one statement, at most, and how long their filters may be together, in bytes.
const BUDGETS_PER_STATEMENT: usize = 50;
const FILTER_BYTES_PER_STATEMENT: usize = 64 * 1_024;
/// Minutes that are this far apart are asked for apart, so that what lies between is not read.
const GAP_MS: i64 = 3_600_000;
/// Minutes in one statement, and statements until others have their turn.
const MINUTES_PER_STATEMENT: usize = 500;
const STATEMENTS_AT_ONCE: usize = 4;
const MINUTE_MS: i64 = 60_000;

/// What is read of budgets.
enum Part<'p> {
    /// All that counts at this time, in epoch milliseconds.
    Past(i64),
    /// These minutes of each.
    Minutes(&'p BTreeMap<BudgetId, BTreeSet<i64>>),
}

impl Gateway {
    /// Reads what was touched, of the budgets whose past is read. Gives how many were refused, which have to be read anew.
    pub(super) async fn read(&mut self, scope: &Scope, store: &Store) -> Result<u64, BudgetsError> {
        let mut refused = 0;
        for _ in 0..STATEMENTS_AT_ONCE {
            let minutes = self.next_minutes();
            if minutes.is_empty() {
                break;
            }
            let needs = |watched: &Watched| -> BTreeSet<i64> {
                minutes.iter().flat_map(|minute| watched.sums.minutes_of(*minute)).collect()
            };
            let needed: BTreeMap<BudgetId, BTreeSet<i64>> = self
                .budgets
                .iter()
                .filter(|(_, watched)| watched.is_loaded)
                .map(|(id, watched)| (id.clone(), needs(watched)))
                .filter(|(_, minutes)| !minutes.is_empty())
                .collect();
            let ids: Vec<_> = needed.keys().cloned().collect();
            for ids in self.chunks(&ids) {
                refused += self.take(scope, store, &ids, &Part::Minutes(&needed)).await?;
            }
            self.touched.retain(|minute| !minutes.contains(minute));
        }
        Ok(refused)
    }

    /// Reads the past of budgets that are new: of those that are kept by the same steps together. Gives how many were refused.
    pub(super) async fn load(
        &mut self,
        scope: &Scope,
        store: &Store,
        now_ms: i64,
    ) -> Result<u64, BudgetsError> {
        let mut new: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (id, watched) in self.budgets.iter_mut().filter(|(_, watched)| watched.is_new()) {
            watched.move_on(now_ms);
            let kind = (watched.sums.fine_ms(), watched.budget.terms.window.is_sliding());
            new.entry(kind).or_default().push(id.clone());
        }
        let mut refused = 0;
        for ids in new.into_values() {
            for ids in self.chunks(&ids) {
                refused += self.take(scope, store, &ids, &Part::Past(now_ms)).await?;
            }
        }
        Ok(refused)
    }

    /// Minutes that were touched and lie together, the latest first.
    fn next_minutes(&self) -> BTreeSet<i64> {
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

    /// Takes what is read of these budgets. Where that is refused they are asked for one by one, and those rest whose own
    /// statement is refused: it gives how many.
    async fn take(
        &mut self,
        scope: &Scope,
        store: &Store,
        ids: &[BudgetId],
        part: &Part<'_>,
    ) -> Result<u64, BudgetsError> {
        match self.ask(scope, store, ids, part).await {
            Err(error) if error.is_of_one_statement() => {
                if let [id] = ids {
                    self.refuse(id, &error);
                    return Ok(1);
                }
            }
            taken => return taken.map(|()| 0),
        }
        let mut refused = 0;
        for id in ids {
            match self.ask(scope, store, std::slice::from_ref(id), part).await {
                Err(error) if error.is_of_one_statement() => {
                    self.refuse(id, &error);
                    refused += 1;
                }
                taken => taken?,
            }
        }
        Ok(refused)
    }

    /// Leaves a budget alone for a while; then all of it is read anew.
    fn refuse(&mut self, id: &BudgetId, error: &BudgetsError) {
        let Some(watched) = self.budgets.get_mut(id) else { return };
        watched.is_loaded = false;
        let wait = watched.rest.begin();
        tracing::warn!(budget = %id, error = chain(error), retry_in_ms = wait.as_millis(),
            "a budget cannot be summed up");
    }

    async fn ask(
        &mut self,
        scope: &Scope,
        store: &Store,
        ids: &[BudgetId],
        part: &Part<'_>,
    ) -> Result<(), BudgetsError> {
        let all: Vec<_> = ids.iter().map(|id| &self.budgets[id]).collect();
        let sums: Vec<_> = all.iter().map(|watched| watched.sum()).collect();
        let minutes: Vec<i64> = match part {
            Part::Past(_) => Vec::new(),
            Part::Minutes(needed) => {
                let minutes: BTreeSet<_> = ids.iter().flat_map(|id| needed[id].iter().copied()).collect();
                minutes.into_iter().collect()
            }
        };
        let steps = match part {
            Part::Past(now_ms) => past(&all, *now_ms),
            Part::Minutes(_) => of_minutes(&all, &minutes),
        };
        let read = store.spent(scope, &sums, steps).await?;
        for (n, id) in ids.iter().enumerate() {
            let Some(watched) = self.budgets.get_mut(id) else { continue };
            match part {
                Part::Past(_) => {
                    watched.sums.load(&of_budget(&read, n));
                    watched.is_loaded = true;
                    watched.rest.end();
                }
                Part::Minutes(needed) => watched.sums.replace(&needed[id], &of_budget(&read, n)),
            }
            watched.is_changed = true;
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

/// All that counts of budgets that are kept by the same steps.
fn past(all: &[&Watched], now_ms: i64) -> Steps<'static> {
    let from_ms = all.iter().map(|watched| watched.sums.kept_from()).min().unwrap_or(now_ms);
    let fine_from = all.iter().map(|watched| watched.sums.fine_from()).min().unwrap_or(now_ms);
    let to_ms = all.iter().flat_map(|watched| watched.sums.times(now_ms)).map(|time| time.end).max();
    let to_ms = to_ms.unwrap_or(now_ms);
    let is_by_second = all.iter().any(|watched| watched.sums.fine_ms() < MINUTE_MS);
    let by_second_from_ms = if is_by_second { from_ms } else { to_ms };
    Steps { minutes: &[], from_ms, to_ms, by_second_from_ms, by_minute_from_ms: fine_from.max(from_ms) }
}

/// Minutes that were touched, in order.
fn of_minutes<'m>(all: &[&Watched], minutes: &'m [i64]) -> Steps<'m> {
    let from_ms = minutes.first().copied().unwrap_or(0);
    let to_ms = minutes.last().map_or(from_ms, |last| last + MINUTE_MS);
    let is_by_second = all.iter().any(|watched| watched.sums.fine_ms() < MINUTE_MS);
    let by_second_from_ms = if is_by_second { from_ms } else { to_ms };
    Steps { minutes, from_ms, to_ms, by_second_from_ms, by_minute_from_ms: from_ms }
}

/// The sums of one of the budgets that were asked for.
fn of_budget(read: &[SpentStep], n: usize) -> Vec<Step> {
    let step = |step: &SpentStep| Some(Step { at_ms: step.at_s * 1_000, units: *step.sums.get(n)? });
    read.iter().filter_map(step).collect()
}

#[cfg(test)]
mod tests;
