//! The parameters of `DELETE /logs`.
//!
//! Nothing is passed over here, and nothing guessed at: a condition that was lost would delete what it was to keep. So the
//! parameters are the four of the contract and no others, not even those of a list, and `filters` that say nothing are
//! refused: whoever sends them means some logs and not all.

use std::collections::BTreeSet;

use weir_filter::{Filter, Node};

use super::envelope::Issue;
use super::filters::{self, Caution, shortened};
use super::list_query::{direction, one_of, whole_number};
use crate::api::query_string::QueryString;
use crate::sql::{Column, Direction, OrderBy};
use crate::store::Choice;

/// How many logs one deletion takes, at most.
pub(super) const LIMIT_MAX: u32 = 10_000;

const ORDERS: [(&str, OrderBy); 11] = [
    ("created_at", OrderBy::Column(Column::CreatedAt)),
    ("provider", OrderBy::Column(Column::Provider)),
    ("model", OrderBy::Column(Column::Model)),
    ("model_type", OrderBy::Column(Column::ModelType)),
    ("success", OrderBy::Column(Column::Success)),
    ("cached", OrderBy::Column(Column::Cached)),
    ("cost", OrderBy::Column(Column::Cost)),
    ("tokens_in", OrderBy::Column(Column::TokensIn)),
    ("tokens_out", OrderBy::Column(Column::TokensOut)),
    ("duration", OrderBy::Column(Column::DurationMs)),
    ("feedback", OrderBy::Feedback),
];

/// Reads a raw query string. Without parameters it is the oldest 10,000 logs.
pub(super) fn parse(raw: &str) -> Result<Choice, Vec<Issue>> {
    let parameters = QueryString::parse(raw).map_err(|error| {
        vec![Issue { path: vec!["query".into()], ..Issue::of_query("", error.to_string()) }]
    })?;
    let (mut limit, mut by, mut way) = (LIMIT_MAX, OrderBy::Column(Column::CreatedAt), Direction::Ascending);
    let (mut issues, mut seen) = (Vec::new(), BTreeSet::new());
    for (name, value) in parameters.iter().filter(|(name, _)| !filters::is_part(name)) {
        let read = match name {
            _ if !seen.insert(name) => Err("Parameter is given more than once".to_owned()),
            "limit" => whole_number(value, LIMIT_MAX).map(|number| limit = number),
            "order_by" => one_of(&ORDERS, value).map(|order| by = order),
            "order_by_direction" => direction(value).map(|direction| way = direction),
            // Any other name is the client's, not ours.
            _ => Err(format!("Unrecognized parameter '{}'", shortened(name))),
        };
        issues.extend(read.err().map(|message| Issue::of_query(&shortened(name), message)));
    }
    match conditions(&parameters) {
        Ok(filter) if issues.is_empty() => Ok(Choice { filter, order: (by, way), limit }),
        Ok(_) => Err(issues),
        Err(of_filters) => Err(issues.into_iter().chain(of_filters).collect()),
    }
}

fn conditions(parameters: &QueryString) -> Result<Filter, Vec<Issue>> {
    let nodes = filters::read(parameters, Caution::Deletes)?;
    if nodes.is_empty() && parameters.iter().any(|(name, _)| filters::is_part(name)) {
        let message = "Array must contain at least 1 element(s); leave filters away to delete any logs";
        return Err(vec![Issue::of_query("filters", message)]);
    }
    Filter::new(Node::And(nodes)).map_err(|error| vec![Issue::of_query("filters", error.to_string())])
}

#[cfg(test)]
mod tests {
    use super::super::envelope::Step;
    use super::*;

    fn choice(raw: &str) -> (String, (OrderBy, Direction), u32) {
        let Choice { filter, order, limit } = parse(raw).unwrap_or_else(|issues| panic!("{raw}: {issues:?}"));
        (filter.to_string(), order, limit)
    }

    #[track_caller]
    fn refused(raw: &str, parameter: &str, message: &str) {
        let issues = parse(raw).map(|choice| panic!("{raw}: {choice:?}")).unwrap_err();
        let place = issues.iter().find(|issue| issue.path[1] == Step::from(parameter));
        assert!(place.is_some_and(|issue| issue.message.contains(message)), "{raw}: {issues:?}");
    }

    #[test]
    fn without_parameters_it_is_the_oldest_ten_thousand() {
        let oldest = (OrderBy::Column(Column::CreatedAt), Direction::Ascending);
        assert_eq!(choice(""), (String::new(), oldest, 10_000));
    }

    #[test]
    fn every_order_of_the_contract_is_known() {
        for (name, by) in ORDERS {
            let raw = format!("limit=1&order_by={name}&order_by_direction=desc");
            assert_eq!(choice(&raw), (String::new(), (by, Direction::Descending), 1));
        }
        refused("order_by=duration_ms", "order_by", "Invalid enum value. Expected 'created_at' | ");
        refused("order_by_direction=up", "order_by_direction", "Expected 'asc' | 'desc'");
    }

    #[test]
    fn limits_out_of_range_are_refused() {
        assert_eq!(choice("limit=10000").2, 10_000);
        for bad in ["0", "10001", "-1", "", "1.5", "1e3", "99999999999999999999"] {
            refused(&format!("limit={bad}"), "limit", "");
        }
    }

    #[test]
    fn what_a_list_takes_and_a_deletion_does_not_is_refused_by_its_name() {
        for name in [
            "page",
            "per_page",
            "search",
            "direction",
            "start_date",
            "model",
            "min_cost",
            "meta_info",
            "filter",
            "Limit",
            "",
        ] {
            refused(&format!("{name}=1"), name, "Unrecognized parameter");
        }
        refused("limit=1&limit=1", "limit", "more than once");
        refused("filters=[]", "filters", "at least 1 element");
        refused("filters=", "filters", "");
        refused("filters[]=", "filters[]", "Expected filters[0][key]");
        assert!(parse("model=%ff").is_err());
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let issues = parse("limit=0&page=1&order_by=x&filters=[]").unwrap_err();
        let places: Vec<_> = issues.iter().map(|issue| issue.path[1].clone()).collect();
        assert_eq!(places, ["limit", "page", "order_by", "filters"].map(Step::from));
    }

    #[test]
    fn filters_of_one_meaning_are_read() {
        let json = r#"filters=[{"key":"model","operator":"neq","value":["a",""]},{"key":"provider","operator":"eq","value":["x"]}]"#;
        assert_eq!(choice(json).0, r#"not model in ("a", "") and provider = "x""#);
        let grouped = "filters.key=provider&filters.key=cost&filters.operator=eq&filters.operator=gt&filters.value=openai\
            &filters.value=anthropic&filters.value=0.01&limit=10&order_by=cost&order_by_direction=asc";
        assert_eq!(choice(grouped).0, r#"provider in ("openai", "anthropic") and cost > 0.01"#);
    }
}
