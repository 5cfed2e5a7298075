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
