//! Query strings, as clients send them.

use super::*;
use crate::api::cloudflare::envelope::Step;

fn parse(raw: &str) -> ListQuery {
    ListQuery::parse(raw).unwrap_or_else(|issues| panic!("{raw}: {issues:?}"))
}

fn refused(raw: &str, parameter: &str, message: &str) {
    let issues = ListQuery::parse(raw).unwrap_err();
    assert_eq!(issues, [Issue::of_query(parameter, message)], "{raw}");
}

#[test]
fn nothing_asked_is_the_newest_twenty() {
    let query = parse("");
    assert_eq!(query.page, Page { number: 1, per_page: 20 });
    assert_eq!(query.order, Order { column: Column::CreatedAt, direction: Direction::Descending });
    assert_eq!(query.filter, Filter::default());
}

#[test]
fn pages_are_read_and_bounded() {
    assert_eq!(parse("page=3&per_page=50").page, Page { number: 3, per_page: 50 });
    assert_eq!(parse("per_page=1&page=18446744073709551615").page.number, u64::MAX);
    refused("per_page=51", "per_page", "Number must be less than or equal to 50");
    refused("per_page=99999999999999999999", "per_page", "Number must be less than or equal to 50");
    refused("per_page=0", "per_page", "Number must be greater than or equal to 1");
    refused("page=0", "page", "Number must be greater than or equal to 1");
    refused("page=-1", "page", "Number must be greater than or equal to 1");
    for bad in ["", "1.5", "1e3", "%2B1", "one", "%31x", "١"] {
        refused(&format!("page={bad}"), "page", "Expected a whole number");
    }
}

#[test]
fn order_is_one_of_six_columns_and_the_newer_direction_wins() {
    for name in ["created_at", "provider", "model", "model_type", "success", "cached"] {
        let query = parse(&format!("order_by={name}&order_by_direction=asc"));
        assert_eq!((query.order.column.name(), query.order.direction), (name, Direction::Ascending));
    }
    assert_eq!(parse("direction=asc").order.direction, Direction::Ascending);
    assert_eq!(parse("direction=asc&order_by_direction=desc").order.direction, Direction::Descending);
    let expected = "Invalid enum value. Expected 'created_at' | 'provider' | 'model' | 'model_type' | 'success' | 'cached'";
    for bad in ["cost", "CREATED_AT", "id", "", "created_at%20DESC", "1;DROP%20TABLE%20logs"] {
        refused(&format!("order_by={bad}"), "order_by", expected);
    }
    refused("direction=down", "direction", "Invalid enum value. Expected 'asc' | 'desc'");
}

#[test]
fn simple_conditions_are_all_required() {
    let check = |raw: &str, expected: &str| assert_eq!(parse(raw).filter.to_string(), expected, "{raw}");
    check(
        "success=true&cached=false&model=gpt-4o+mini&provider=&start_date=2024-09-30T09:00:00Z",
        "success = true and cached = false and model = \"gpt-4o mini\" and provider = \"\" \
         and created_at >= \"2024-09-30T09:00:00Z\"",
    );
    check("feedback=1", "feedback = 1");
    check("feedback=-1", "feedback = -1");
    check("feedback=0", "feedback = 0 or not feedback exists");
    check("min_cost=0.01&max_cost=1e-1", "cost >= 0.01 and cost <= 0.1");
    check(
        "min_duration=5&max_tokens_in=1&min_tokens_out=0&max_total_tokens=7.0",
        "duration_ms >= 5 and tokens_in <= 1 \
        and tokens_out >= 0 and tokens <= 7",
    );
    check("search=c-102", "metadata.value contains \"c-102\"");
    check("search=", "");
    check(
        "cached=true&filters.key=model&filters.operator=eq&filters.value=a&page=2",
        "cached = true and model = \"a\"",
    );
    refused("success=1", "success", "Expected boolean: 'true' or 'false'");
    refused("min_cost=cheap", "min_cost", "Expected a number");
}

#[test]
fn dates_are_read_as_every_sdk_sends_them() {
    let check = |date: &str, expected: &str| {
        let filter = parse(&format!("end_date={date}")).filter;
        assert_eq!(filter.to_string(), format!("created_at <= \"{expected}\""), "{date}");
    };
    check("2024-09-30T09:00:00%2B00:00", "2024-09-30T09:00:00Z");
    check("2024-09-30T09:00:00.123456%2B00:00", "2024-09-30T09:00:00.123456Z");
    check("2024-09-30T09:00:00", "2024-09-30T09:00:00Z");
    check("2024-09-30T09:00:00Z", "2024-09-30T09:00:00Z");
    check("2024-09-30T17:00:00%2B08:00", "2024-09-30T09:00:00Z");
    check("2024-09-30T09:00:00+00:00", "2024-09-30T09:00:00Z");
    for bad in [
        "",
        "2024-09-30",
        "2024-09-30[%2B05:30]",
        "2024-09-30T09:00:00[America/New_York]",
        "yesterday",
        "1727686800",
        "2024-13-01T00:00:00Z",
    ] {
        refused(&format!("end_date={bad}"), "end_date", "Expected a date and time as in RFC 3339");
    }
}

#[test]
fn what_cannot_be_honoured_yet_is_refused_by_name() {
    refused("feedback=2", "feedback", "Invalid enum value. Expected '-1' | '0' | '1'");
}

#[test]
fn what_nobody_knows_is_refused_by_name() {
    refused("modle=x", "modle", "Unrecognized parameter 'modle'");
    refused("filtersx=1", "filtersx", "Unrecognized parameter 'filtersx'");
    let long = "x".repeat(100_000);
    let short = "x".repeat(filters::NAME_CHARS_MAX);
    refused(&long, &short, &format!("Unrecognized parameter '{short}'"));
}

#[test]
fn a_repeat_is_refused_and_not_guessed_at() {
    refused("page=1&page=2", "page", "Parameter is given more than once");
    refused("model=a&model=a", "model", "Parameter is given more than once");
}

#[test]
fn every_problem_is_told_at_once() {
    let issues = ListQuery::parse("page=0&per_page=51&feedback=true&page=2&filters.key=a").unwrap_err();
    let places: Vec<_> = issues.iter().map(|issue| issue.path[1].clone()).collect();
    assert_eq!(places, ["page", "per_page", "feedback", "page", "filters"].map(Step::from));
    let issues = ListQuery::parse("model=%ff").unwrap_err();
    assert_eq!(issues[0].path, ["query".into()]);
}
