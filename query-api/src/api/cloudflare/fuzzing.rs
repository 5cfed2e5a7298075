//! What the fuzz targets call. Built for them alone.

use weir_event::Scope;
use weir_filter::Filter;

use super::delete_query::{self, LIMIT_MAX};
use super::list_query::ListQuery;
use super::{filters, patch_body};
use crate::api::query_string::QueryString;
use crate::sql::{self, Annotated, AnnotatedField, Statement};
use crate::store::Choice;

/// Reads the query string of a list. What is understood is a filter that has a text form, and a statement of our own texts.
pub fn list_query(raw: &str) {
    let Ok(query) = ListQuery::parse(raw) else { return };
    assert_eq!(query.filter.to_string().parse::<Filter>(), Ok(query.filter.clone()));
    let Ok(scope) = Scope::parse("acc", "gw") else { return };
    for annotated in [Annotated::NONE, AnnotatedField::ALL.into_iter().collect()] {
        check(&sql::summary(&scope, &query.filter, annotated));
    }
}

/// Reads the query string of a deletion. What is understood is bounded, and one that has any part of a filter has a filter.
pub fn delete_query(raw: &str) {
    let Ok(Choice { filter, order, limit }) = delete_query::parse(raw) else { return };
    assert!(limit <= LIMIT_MAX);
    assert_eq!(filter.to_string().parse::<Filter>(), Ok(filter.clone()));
    let parameters = QueryString::parse(raw).expect("it was read before");
    let has_a_part = parameters.iter().any(|(name, _)| filters::is_part(name));
    assert_eq!(has_a_part, filter != Filter::default());
    let Ok(scope) = Scope::parse("acc", "gw") else { return };
    for annotated in [Annotated::NONE, AnnotatedField::ALL.into_iter().collect()] {
        check(&sql::chosen(&scope, &filter, annotated, order, limit));
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
