//! Filters at random, for property tests here and against the engine. Values are few, so that rows made of the same ones
//! meet conditions often enough.

use jiff::Timestamp as Instant;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use rust_decimal::Decimal;

use crate::{EntrySide, Field, Filter, Kind, Node, Operator, Texts, Value};

/// Texts that differ in little: in case, by accents, in what SQL and JSON escape.
pub const TEXTS: [&str; 26] = [
    "",
    "a",
    "A",
    "gpt-4o",
    "GPT-4o",
    "gpt-4o-mini",
    "Ä",
    "ä",
    "straße",
    "STRASSE",
    "ς",
    "Σ",
    "İ",
    "i",
    "K",
    "k",
    "ǆ",
    "ǅ",
    "日本",
    "x\"y\\z",
    "'; --",
    "{p0:String} ?",
    "%_.*[a-z]",
    "g%4_",
    "%-4o\\",
    "\0\n\t",
];

/// Names of metadata.
pub const NAMES: [&str; 6] = ["team", "Team", "a.b", "", "ü", "\"quoted\""];

/// Numbers at the edges of what columns hold, and around small ones.
pub const NUMBERS: [&str; 18] = [
    "0",
    "1",
    "2",
    "-1",
    "0.5",
    "1.5",
    "0.01",
    "0.010000000000000001",
    "0.0100000000000000000001",
    "200",
    "499.5",
    "1000",
    "65535",
    "65536",
    "18446744073709551615",
    "18446744073709551616",
    "79228162514264337593543950335",
    "-79228162514264337593543950335",
];

/// Times around `2024-09-30T09:45:41.328Z`, at the edges, and finer than a row has.
pub const TIMES: [&str; 7] = [
    "2024-09-30T09:45:41.328Z",
    "2024-09-30T09:45:41.3280001Z",
    "2024-09-30T09:45:41.329Z",
    "2024-09-30T09:45:41Z",
    "1999-12-31T23:59:59.999Z",
    "2099-12-31T23:59:59.999999Z",
    "-009999-01-02T01:59:59Z",
];

/// Filters with every field and every operator.
pub fn filters() -> impl Strategy<Value = Filter> {
    let nodes = condition().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..4).prop_map(Node::And),
            vec(inner.clone(), 1..4).prop_map(Node::Or),
            inner.prop_map(|node| Node::Not(Box::new(node))),
        ]
    });
    nodes.prop_map(|node| Filter::new(node).expect("it is small"))
}

fn condition() -> impl Strategy<Value = Node> {
    let entry = select(&NAMES[..]).prop_map(|name| Field::Text(Texts::Entry(name.to_owned())));
    let any_entry = select(EntrySide::ALL).prop_map(|side| Field::Text(Texts::AnyEntry(side)));
    let field = prop_oneof![8 => select(Field::all().collect::<Vec<_>>()), 1 => entry, 1 => any_entry];
    let parts = field.prop_flat_map(|field| {
        let kind = field.kind();
        (Just(field), select(kind.operators()), vec(value(kind), 1..4))
    });
    parts.prop_filter_map("not a condition", |(field, operator, values)| {
        let values = match operator {
            Operator::Exists => &[][..],
            Operator::Lt | Operator::Lte | Operator::Gt | Operator::Gte => &values[..1],
            _ => &values[..],
        };
        Node::condition(&field, operator, values).ok()
    })
}

fn value(kind: Kind) -> BoxedStrategy<Value> {
    match kind {
        Kind::Text => prop_oneof![
            8 => select(&TEXTS[..]).prop_map(|text| Value::Text(text.to_owned())),
            1 => ".{0,6}".prop_map(Value::Text),
            1 => Just(Value::Null),
        ]
        .boxed(),
        Kind::Number => {
            let number = |text: &str| Value::Number(text.parse().expect("it is a number"));
            prop_oneof![
                8 => select(&NUMBERS[..]).prop_map(number),
                1 => (any::<i64>(), 0..28_u32).prop_map(|(digits, scale)| Value::Number(Decimal::new(digits, scale))),
                1 => Just(Value::Null),
            ]
            .boxed()
        }
        Kind::Time => {
            let time = |text: &str| Value::Time(text.parse::<Instant>().expect("it is a time"));
            select(&TIMES[..]).prop_map(time).boxed()
        }
        Kind::Flag => any::<bool>().prop_map(Value::Flag).boxed(),
    }
}
