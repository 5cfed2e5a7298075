//! What parameters come to, as filters print it.

use super::*;

const OF_NAME: &str = r#"(model_requested = "gpt-4o" or model_requested = "" and model = "gpt-4o")"#;

fn parameters(query: &str) -> Parameters {
    Parameters::parse(query).unwrap()
}

fn check_list(dialect: Dialect, asker: Asker, query: &str, expected: &str) {
    let filter = list(dialect, asker, &parameters(query)).unwrap();
    assert_eq!(filter.to_string(), expected, "{dialect:?} {query}");
    assert_eq!(expected.parse(), Ok(filter), "{query}");
}

#[test]
fn every_parameter_of_a_list_is_a_condition() {
    for dialect in Dialect::ALL {
        let check = |query, expected: &str| check_list(dialect, Asker::Admin, query, expected);
        check("", "");
        check("type=0&start_timestamp=0&end_timestamp=x&channel=&username=", "");
        check("type=2", r#"kind = "consume""#);
        check("type=8", r#"kind = """#);
        check("type=-1", r#"kind = """#);
        check("start_timestamp=1700000000", r#"created_at >= "2023-11-14T22:13:20Z""#);
        check("end_timestamp=1700000000", r#"created_at < "2023-11-14T22:13:21Z""#);
        check("username=mina&token_name=a%25", r#"user_name = "mina" and token_name = "a%""#);
        check("model_name=gpt-4o", &OF_NAME[1..OF_NAME.len() - 1]);
        check("channel=12&group=vip", r#"group = "vip" and channel_id = "12""#);
        check("channel=-3", r#"channel_id = "-3""#);
    }
}

#[test]
fn kinds_have_the_numbers_of_their_dialect() {
    for (dialect, expected) in [
        (Dialect::Documented, ["error", "system"]),
        (Dialect::Upstream09, ["system", "error"]),
        (Dialect::Upstream10, ["system", "error"]),
    ] {
        for (number, kind) in [(4, expected[0]), (5, expected[1]), (1, "topup"), (6, "refund"), (7, "login")]
        {
            check_list(dialect, Asker::User, &format!("type={number}"), &format!("kind = \"{kind}\""));
        }
    }
}

#[test]
fn a_user_asks_for_no_one_else_and_for_no_channel() {
    for dialect in Dialect::ALL {
        check_list(dialect, Asker::User, "username=other&channel=7&group=vip", r#"group = "vip""#);
        let query = parameters("username=other&channel=7&type=1&end_timestamp=5");
        let filters = stat(dialect, Asker::User, &query).unwrap();
        assert_eq!(filters.lately.to_string(), r#"kind = "consume" and channel_id = "7""#);
        let total = r#"kind = "consume" and channel_id = "7" and created_at < "1970-01-01T00:00:06Z""#;
        assert_eq!(filters.total.to_string(), total);
    }
}

#[test]
fn patterns_are_those_of_their_dialect() {
    for dialect in [Dialect::Documented, Dialect::Upstream09] {
        let expected = r#"model_requested like "gpt_4%" or model_requested = "" and model like "gpt_4%""#;
        check_list(dialect, Asker::Admin, "model_name=gpt_4%25", expected);
        check_list(dialect, Asker::Admin, "username=a%25", r#"user_name = "a%""#);
    }
    let check = |query, expected| check_list(Dialect::Upstream10, Asker::Admin, query, expected);
    check("username=mi%25", r#"user_name like "mi%""#);
    check("username=mi_a", r#"user_name = "mi_a""#);
    let refused = |query: &str| list(Dialect::Upstream10, Asker::Admin, &parameters(query)).unwrap_err();
    assert_eq!(refused("username=%25"), Refused::Pattern(PatternError::Short));
    assert_eq!(refused("model_name=a%25%25b&username=%25"), Refused::Pattern(PatternError::Adjacent));
}

#[test]
fn ids_of_requests_are_looked_for_where_the_dialect_has_them() {
    let query = "request_id=r&upstream_request_id=u";
    check_list(Dialect::Upstream09, Asker::User, query, "");
    for dialect in [Dialect::Documented, Dialect::Upstream10] {
        let expected = r#"request_id = "r" and (upstream_request_id = "u" or dialect = "new_api_log" and upstream_request_id = "" and metadata["upstream_request_id"] = "u")"#;
        check_list(dialect, Asker::User, query, expected);
    }
}

#[test]
fn times_beyond_all_measure_are_no_error() {
    for dialect in Dialect::ALL {
        for (name, value) in [("start", i64::MAX), ("end", i64::MAX), ("start", i64::MIN), ("end", i64::MIN)]
        {
            let query = parameters(&format!("{name}_timestamp={value}"));
            assert!(list(dialect, Asker::User, &query).is_ok());
        }
        assert!(hours(i64::MIN, i64::MAX, None).is_ok() && hours(i64::MAX, i64::MIN, None).is_ok());
    }
}

#[test]
fn hours_are_those_that_began_within() {
    let check = |start, end, expected: (&str, &str)| {
        let filter = hours(start, end, Some("mina")).unwrap();
        let (first, past) = expected;
        let expected = format!(
            "kind = \"consume\" and created_at >= \"{first}\" and created_at < \"{past}\" and user_name = \"mina\""
        );
        assert_eq!(filter.to_string(), expected);
    };
    check(0, 0, ("1970-01-01T00:00:00Z", "1970-01-01T01:00:00Z"));
    check(1, 3_599, ("1970-01-01T01:00:00Z", "1970-01-01T01:00:00Z"));
    check(3_600, 7_200, ("1970-01-01T01:00:00Z", "1970-01-01T03:00:00Z"));
}

#[test]
fn a_search_is_for_a_type_and_by_admins_for_content_too() {
    let search = |asker, keyword| search(Dialect::Documented, asker, keyword).unwrap().to_string();
    assert_eq!(search(Asker::User, "4"), r#"kind = "error""#);
    assert_eq!(search(Asker::User, "error"), r#"kind = """#);
    let of_admin = search(Asker::Admin, "err");
    assert!(of_admin.starts_with(r#"kind = "" or success = false and error like "err%" or "#), "{of_admin}");
    assert!(search(Asker::Admin, "").contains(r#"content like "%""#));
    for keyword in [r"a\", r"a\\"] {
        assert!(search(Asker::Admin, keyword).contains(r#"content like "a\\\\%""#), "{keyword}");
    }
}
