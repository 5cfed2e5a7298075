//! What the fuzz targets call. Built for them alone.

use weir_event::Scope;
use weir_filter::Filter;

use super::list_query::ListQuery;
use super::patch_body;
use crate::sql::{self, Annotated, AnnotatedField, Statement};

/// Reads the query string of a list. What is understood is a filter that has a text form, and a statement of our own texts.
pub fn list_query(raw: &str) {
    let Ok(query) = ListQuery::parse(raw) else { return };
    assert_eq!(query.filter.to_string().parse::<Filter>(), Ok(query.filter.clone()));
    let (Ok(account_id), Ok(gateway_id)) = ("acc".parse(), "gw".parse()) else { return };
    let scope = Scope { account_id, gateway_id };
    for annotated in [Annotated::NONE, AnnotatedField::ALL.into_iter().collect()] {
        check(&sql::summary(&scope, &query.filter, annotated));
    }
}

/// Reads the body of a patch. What is understood is asked for by the body that it prints.
pub fn patch_body(raw: &[u8]) {
    let Ok(annotations) = patch_body::read(raw) else { return };
    let read = patch_body::read(annotations.to_body().as_bytes());
    assert!(read.is_ok_and(|read| read == annotations));
}

fn check(statement: &Statement) {
    for (name, _) in statement.binds() {
        assert!(statement.text().contains(&format!("{{{name}:")), "{name} is not in the statement");
    }
    let placeholders = statement.text().matches('{').count();
    assert!(placeholders >= statement.binds().count());
    let is_ours = |letter: char| letter.is_ascii_alphanumeric() || " _,(){}[]:='<>!`*+->.".contains(letter);
    assert!(statement.text().chars().all(is_ours), "{}", statement.text());
}
