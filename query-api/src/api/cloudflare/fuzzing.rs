//! What the fuzz targets call. Built for them alone.

use weir_event::Scope;
use weir_filter::Filter;

use super::list_query::ListQuery;
use crate::sql;

/// Reads the query string of a list. What is understood is a filter that has a text form, and a statement of our own texts.
pub fn list_query(raw: &str) {
    let Ok(query) = ListQuery::parse(raw) else { return };
    assert_eq!(query.filter.to_string().parse::<Filter>(), Ok(query.filter.clone()));
    let (Ok(account_id), Ok(gateway_id)) = ("acc".parse(), "gw".parse()) else { return };
    let statement = sql::summary(&Scope { account_id, gateway_id }, &query.filter);
    for (name, _) in statement.binds() {
        assert!(statement.text().contains(&format!("{{{name}:")), "{name} is not in the statement");
    }
    let placeholders = statement.text().matches('{').count();
    assert!(placeholders >= statement.binds().count());
    let is_ours = |letter: char| letter.is_ascii_alphanumeric() || " _,(){}[]:='<>!`*+->.".contains(letter);
    assert!(statement.text().chars().all(is_ours), "{}", statement.text());
}
