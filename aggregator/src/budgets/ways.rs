//! Which of the webhooks that budgets name lead nowhere: such a budget looks as if somebody were told.

use std::time::Duration;

use tokio::time::Instant;
use weir_budget::Budget;

use super::metrics::BudgetMetrics;
use crate::webhooks::{Endpoints, NoWay};

/// Between two lines of log, for it is tenants who say what there is to tell.
const DISTANCE: Duration = Duration::from_mins(1);

/// Tells of them, and whenever there are others.
#[derive(Debug)]
pub(super) struct Ways {
    endpoints: Endpoints,
    metrics: BudgetMetrics,
    /// How many were told of, and when.
    told: Option<(usize, Instant)>,
}

impl Ways {
    pub(super) const fn new(endpoints: Endpoints, metrics: BudgetMetrics) -> Self {
        Self { endpoints, metrics, told: None }
    }

    /// Looks at all budgets.
    pub(super) fn look<'b>(&mut self, budgets: impl Iterator<Item = &'b Budget>) {
        let (mut unknown, mut foreign, mut example) = (0, 0, None);
        for budget in budgets {
            for name in &budget.terms.webhooks {
                match self.endpoints.way(name, &budget.scope.account_id) {
                    Ok(()) => continue,
                    Err(NoWay::Unknown) => unknown += 1,
                    Err(NoWay::Foreign) => foreign += 1,
                }
                example = example.or(Some((budget, name)));
            }
        }
        self.metrics.set_without_way(NoWay::Unknown, unknown);
        self.metrics.set_without_way(NoWay::Foreign, foreign);
        let is_told =
            self.told.is_some_and(|(count, at)| count == unknown + foreign || at.elapsed() < DISTANCE);
        if let Some((budget, webhook)) = example.filter(|_| !is_told) {
            self.told = Some((unknown + foreign, Instant::now()));
            tracing::warn!(
                unknown,
                foreign,
                webhook,
                account_id = %budget.scope.account_id,
                budget = %budget.id,
                "budgets name webhooks that are not configured, or not for their account: this one among them"
            );
        }
    }
}
