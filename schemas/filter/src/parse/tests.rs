//! The text form: what it means, what is wrong with it, and that it comes back as it was.

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::testing::filters;
use crate::{Comparison, Condition, FlagField, NumberField, NumberTest, TextField, TextTest};

fn root(text: &str) -> Node {
    match text.parse::<Filter>() {
        Ok(filter) => filter.root().cloned().unwrap_or(Node::And(Vec::new())),
        Err(error) => panic!("{text}: {error}"),
    }
}

fn problems(text: &str) -> Vec<(usize, String)> {
    match text.parse::<Filter>() {
        Err(ParseError::Problems(problems)) => {
            problems.into_iter().map(|problem| (problem.at, problem.what)).collect()
        }
        other => panic!("{text}: {other:?}"),
    }
}

fn contains(field: TextField, part: &str) -> Node {
    Node::Is(Condition::Text(Texts::Of(field), TextTest::Contains(part.to_owned())))
}

fn flag(field: FlagField, value: bool) -> Node {
    Node::Is(Condition::Flag(field, value))
}

#[test]
fn conditions_are_read_as_what_they_say() {
    let team = Condition::Text(Texts::Entry("team".to_owned()), TextTest::Eq("search".to_owned()));
    let cost = NumberTest::Compare(Comparison::Gt, Decimal::new(1, 2));
    assert_eq!(
        root(r#"model contains "gpt" and cost > 0.01 and metadata["team"] = "search""#),
        Node::And(vec![
            contains(TextField::Model, "gpt"),
            Node::Is(Condition::Number(NumberField::Cost, cost)),
            Node::Is(team),
        ])
    );
    assert_eq!(root(""), Node::And(Vec::new()));
    assert_eq!(root(" \n"), Node::And(Vec::new()));
    assert_eq!(root("cached != true"), flag(FlagField::Cached, false));
}

#[test]
fn and_binds_closer_than_or_and_not_closest() {
    let (a, b, c) =
        (flag(FlagField::Cached, true), flag(FlagField::Success, true), flag(FlagField::Streamed, true));
    let (text_a, text_b, text_c) = ("cached = true", "success = true", "streamed = true");
    let not = |node: &Node| Node::Not(Box::new(node.clone()));
    assert_eq!(
        root(&format!("{text_a} or {text_b} and {text_c}")),
        Node::Or(vec![a.clone(), Node::And(vec![b.clone(), c.clone()])])
    );
    assert_eq!(
        root(&format!("({text_a} or {text_b}) and {text_c}")),
        Node::And(vec![Node::Or(vec![a.clone(), b.clone()]), c.clone()])
    );
    assert_eq!(root(&format!("not {text_a} and {text_b}")), Node::And(vec![not(&a), b.clone()]));
    assert_eq!(root(&format!("not ({text_a} and {text_b})")), not(&Node::And(vec![a, b])));
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_place() {
    assert_eq!(
        problems(r#"modle = "a" and cost > "b" or (success contains "x" and cached = true)"#),
        [
            (0, "there is no field 'modle'".to_owned()),
            (16, "'cost' is compared with a number of up to 28 digits".to_owned()),
            (31, "'success' is a flag and does not admit 'contains', only '=', '!='".to_owned()),
        ]
    );
}

#[test]
fn each_mistake_has_its_message() {
    for (text, expected) in [
        ("model", "at byte 5: expected an operator, found the end"),
        ("model =", "at byte 7: expected a text in double quotes, a number, true or false, found the end"),
        ("model = gpt", "at byte 8: expected a text in double quotes, a number, true or false, found 'gpt'"),
        ("(cached = true", "at byte 14: expected ')', found the end"),
        ("cached = true)", "at byte 13: expected 'and', 'or' or the end, found ')'"),
        ("cached = true cached = true", "at byte 14: expected 'and', 'or' or the end, found 'cached'"),
        (r#"model = "a"#, "at byte 8: a text without its closing quote; at byte 10: expected a text"),
        (r#"model = "\x""#, "at byte 8: a text with an escape that JSON does not have"),
        ("cost > 1_0", "at byte 7: not a number of up to 28 digits"),
        ("cost > 1 ; drop", "at byte 9: not a part of a filter"),
        (r#"metadata = "x""#, "at byte 0: there is no field 'metadata'"),
        ("metadata[team] = 1", "at byte 9: expected the name of an entry in double quotes, found 'team'"),
        (r#"created_at > "2024-09-30""#, "at byte 0: 'created_at' is compared with a time as in RFC 3339"),
        ("model in ()", "at byte 10: expected a text in double quotes"),
        (r#"model contains """#, "at byte 0: 'contains' on 'model' takes a text that is not empty"),
        ("and", "at byte 0: expected a field, found 'and'; at byte 3: expected a field, found the end"),
    ] {
        let said = text.parse::<Filter>().map_err(|error| error.to_string());
        assert!(said.as_ref().is_err_and(|said| said.contains(expected)), "{text}: {said:?}");
    }
}

#[test]
fn nesting_without_end_is_refused() {
    let deep = "(".repeat(30_000);
    assert!(deep.parse::<Filter>().is_err());
    let long = format!("model = \"{}\"", "x".repeat(Filter::TEXT_BYTES_MAX));
    assert_eq!(long.parse::<Filter>(), Err(ParseError::Long));
}

#[test]
fn a_filter_of_the_greatest_depth_is_read_as_it_was_printed() {
    // Each step is a "not" and an "or".
    let other = flag(FlagField::Success, true);
    let deep = (0..Filter::DEPTH_MAX / 2).fold(flag(FlagField::Cached, true), |node, _| {
        Node::Not(Box::new(Node::Or(vec![node, other.clone()])))
    });
    let filter = Filter::new(deep).unwrap();
    assert_eq!(filter.to_string().parse(), Ok(filter));
    let parentheses = "(".repeat(Filter::DEPTH_MAX) + "cached = true" + &")".repeat(Filter::DEPTH_MAX);
    assert_eq!(root(&parentheses), flag(FlagField::Cached, true));
    assert_eq!(problems(&"§".repeat(10_000)).len(), PROBLEMS_MAX);
}

proptest! {
    #[test]
    fn what_is_printed_is_parsed_as_the_same(filter in filters()) {
        let text = filter.to_string();
        prop_assert_eq!(text.parse::<Filter>(), Ok(filter), "{}", text);
    }

    #[test]
    fn no_text_panics(text in r#"[ a-z_."()\[\]<>=!,0-9\\é-]{0,60}|(model|cost|and|or|not|in|exists|\(|\)|"a"|1|=|<| ){0,20}"#) {
        let _ = text.parse::<Filter>();
    }
}
