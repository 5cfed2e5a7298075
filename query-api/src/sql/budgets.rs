//! Budgets, as they were agreed.

use weir_budget::BudgetId;
use weir_event::Scope;
use weir_sql::{Bind, Select, Statement};
use weir_store::{BudgetRow, columns};

const BUDGETS_FINAL: &str = "budgets FINAL";
/// By how much the row that says that a budget is gone is ahead of its time. Whoever read the budget before it was taken away may
/// still write other terms of it, at a later time: for so long that does not bring it back.
const GONE_AHEAD_S: u32 = 3_600;

/// All of a tenant: rows of [`BudgetRow`] by id.
#[must_use]
pub fn budgets(scope: &Scope) -> Statement {
    Select::new(&columns::<BudgetRow>(), BUDGETS_FINAL, scope)
        .push(format_args!(" AND NOT deleted ORDER BY id"))
        .finish()
}

/// How many there are of a tenant (`of_gateway`) and of its whole account (`of_account`), and how many bytes the filters of
/// the latter have (`filter_bytes`).
#[must_use]
pub fn budgets_held(scope: &Scope) -> Statement {
    let text = format!(
        "SELECT countIf(gateway_id = {{gateway_id:String}}) AS of_gateway, count() AS of_account, \
             sum(length(filter)) AS filter_bytes \
         FROM {BUDGETS_FINAL} WHERE account_id = {{account_id:String}} AND NOT deleted"
    );
    let binds = vec![
        ("account_id".to_owned(), Bind::Text(scope.account_id.to_string())),
        ("gateway_id".to_owned(), Bind::Text(scope.gateway_id.to_string())),
    ];
    Statement::new(text, binds)
}

/// One of a tenant.
#[must_use]
pub fn budget(scope: &Scope, id: &BudgetId) -> Statement {
    let mut select = Select::new(&columns::<BudgetRow>(), BUDGETS_FINAL, scope);
    let id = select.bind(Bind::Text(id.to_string()));
    select.push(format_args!(" AND NOT deleted AND id = {id}")).finish()
}

/// Says that one of a tenant is gone.
#[must_use]
pub fn budget_gone(scope: &Scope, id: &BudgetId) -> Statement {
    let text = format!(
        "INSERT INTO budgets (account_id, gateway_id, id, deleted, version) \
         SELECT {{account_id:String}}, {{gateway_id:String}}, {{id:String}}, true, now64(9, 'UTC') + toIntervalSecond({GONE_AHEAD_S})"
    );
    let values = [
        ("account_id", scope.account_id.to_string()),
        ("gateway_id", scope.gateway_id.to_string()),
        ("id", id.to_string()),
    ];
    let binds = values.into_iter().map(|(name, value)| (name.to_owned(), Bind::Text(value)));
    Statement::new(text, binds.collect())
}
