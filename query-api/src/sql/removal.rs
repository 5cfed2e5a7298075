//! Removals by age that were asked for.

use weir_event::Scope;
use weir_sql::{Bind, Select, Statement};

const REMOVALS_FINAL: &str = "removals FINAL";
const COLUMNS: &str = "id, toUnixTimestamp64Milli(before) AS before_ms, toUnixTimestamp64Milli(asked_at) AS asked_at_ms, state, \
    worker, total, rows, toUnixTimestamp64Milli(seen_at) AS seen_at_ms";

/// One removal of a tenant.
#[must_use]
pub fn removal(scope: &Scope, id: &str) -> Statement {
    let mut select = Select::new(COLUMNS, REMOVALS_FINAL, scope);
    let id = select.bind(Bind::Text(id.to_owned()));
    select.push(format_args!(" AND id = {id}")).finish()
}

/// The last `limit` removals of a tenant, the newest first; only those that are not over, where `unfinished`.
#[must_use]
pub fn removals(scope: &Scope, unfinished: bool, limit: u32) -> Statement {
    let rest = if unfinished { " AND state != 'done'" } else { "" };
    Select::new(COLUMNS, REMOVALS_FINAL, scope)
        .push(format_args!("{rest} ORDER BY id DESC LIMIT {limit}"))
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_is_of_the_tenant_and_what_is_asked_is_bound() {
        let scope = Scope::parse("acc", "gw").unwrap();
        let hostile = "' OR 1=1 --";
        for statement in [removal(&scope, hostile), removals(&scope, true, 3), removals(&scope, false, 3)] {
            assert!(statement.text().contains("account_id = {account_id:String} AND gateway_id = "));
            assert!(!statement.text().contains(hostile));
        }
        let binds = removal(&scope, hostile);
        assert!(binds.binds().any(|(_, bind)| *bind == Bind::Text(hostile.to_owned())));
    }
}
