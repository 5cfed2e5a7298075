//! Budgets, as they were agreed.

use weir_budget::BudgetId;
use weir_event::Scope;
use weir_sql::{Bind, Select, Statement};
use weir_store::{BudgetRow, columns};

const BUDGETS_FINAL: &str = "budgets FINAL";

/// All of a tenant: rows of [`BudgetRow`] by id.
#[must_use]
pub fn budgets(scope: &Scope) -> Statement {
    Select::new(&columns::<BudgetRow>(), BUDGETS_FINAL, scope)
        .push(format_args!(" AND NOT deleted ORDER BY id"))
        .finish()
}

/// One of a tenant.
#[must_use]
pub fn budget(scope: &Scope, id: &BudgetId) -> Statement {
    let mut select = Select::new(&columns::<BudgetRow>(), BUDGETS_FINAL, scope);
    let id = select.bind(Bind::Text(id.to_string()));
    select.push(format_args!(" AND NOT deleted AND id = {id}")).finish()
}
