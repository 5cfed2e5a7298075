//! A filter as SQL. It lets the rows through that [`Filter::matches`] does: every condition is true or false and never
//! NULL, so that `NOT` is the opposite.

use std::borrow::Cow;
use std::fmt::Write;

use jiff::Timestamp as Instant;
use weir_event::{EventId, Timestamp};
use weir_filter::like::{Piece, literally, pieces};
use weir_filter::{
    Comparison, Condition, EntrySide, Filter, FlagField, Node, TextField, TextTest, Texts, TimeField,
    variants,
};

use super::annotated::Annotated;
use super::number::number;
use super::statement::{Bind, Select};

/// What no row meets.
pub(super) const NEVER: &str = "false";
/// What every row meets.
pub(super) const ALWAYS: &str = "true";

/// The column of both sides.
const ENTRIES: &str = "metadata_text";

/// Where a value is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// In the row of `logs`.
    Row,
    /// In an annotation, of the field that is asked for.
    Annotation,
}

impl Select {
    /// Keeps the rows that the filter lets through, of a tenant that has annotations of these fields.
    #[must_use]
    pub fn filter(mut self, filter: &Filter, annotated: Annotated) -> Self {
        self.annotated = annotated;
        let all = match filter.root() {
            None => &[][..],
            Some(Node::And(nodes)) => nodes,
            Some(node) => std::slice::from_ref(node),
        };
        for node in all {
            let text = self.node(node);
            self = self.push(format_args!(" AND {text}"));
        }
        self
    }

    /// The whole filter as one condition.
    pub(super) fn all_of(&mut self, filter: &Filter) -> String {
        filter.root().map_or_else(|| ALWAYS.to_owned(), |root| self.node(root))
    }

    fn node(&mut self, node: &Node) -> String {
        match node {
            Node::And(nodes) => self.joined(nodes, " AND "),
            Node::Or(nodes) => self.joined(nodes, " OR "),
            Node::Not(node) => format!("(NOT {})", self.node(node)),
            Node::Is(condition) => self.condition(condition),
        }
    }

    fn joined(&mut self, nodes: &[Node], between: &str) -> String {
        let texts: Vec<_> = nodes.iter().map(|node| self.node(node)).collect();
        format!("({})", texts.join(between))
    }

    /// A condition on what one of the two sides has.
    pub(super) fn condition_on(&mut self, side: Side, condition: &Condition) -> String {
        match condition {
            Condition::Text(Texts::Of(TextField::Id), test) => self.id(test),
            Condition::Text(Texts::Of(field), test) => self.text(&column(*field), test),
            Condition::Text(Texts::AnyEntry(EntrySide::Key), test) => {
                self.texts(&format!("mapKeys({ENTRIES})"), test)
            }
            Condition::Text(Texts::AnyEntry(EntrySide::Value), test) => {
                self.texts(&format!("mapValues({ENTRIES})"), test)
            }
            Condition::Text(Texts::Entry(name), test) => self.entry(name, test),
            Condition::Number(field, test) => number(self, side, *field, test),
            Condition::Time(field, comparison, instant) => self.time(*field, *comparison, *instant),
            Condition::Flag(FlagField::CustomCost, is_custom) => {
                format!("(cost_source = 'custom') = {is_custom}")
            }
            Condition::Flag(
                field @ (FlagField::Authentication | FlagField::Wholesale | FlagField::CompatibilityMode),
                value,
            ) => format!("({} = 'true') = {value}", attribute(field.name())),
            Condition::Flag(field, value) => {
                let value = self.bind(Bind::Flag(*value));
                format!("{} = {value}", field.name())
            }
        }
    }

    /// A text that is never NULL: a column, or a variable.
    fn text(&mut self, expression: &str, test: &TextTest) -> String {
        match test {
            TextTest::Eq(value) => format!("{expression} = {}", self.bind_text(value)),
            TextTest::Neq(value) => format!("{expression} != {}", self.bind_text(value)),
            TextTest::In(values) => format!("{expression} IN {}", self.bind(Bind::Texts(values.clone()))),
            TextTest::Contains(part) => self.part(expression, part, "", "> 0"),
            TextTest::StartsWith(part) => self.part(expression, part, "^", "= 1"),
            TextTest::Like(pattern) => format!("{expression} LIKE {}", self.bind_text(&like(pattern))),
            TextTest::Exists => format!("{expression} != ''"),
        }
    }

    /// Several texts, of which one has to pass.
    fn texts(&mut self, array: &str, test: &TextTest) -> String {
        match test {
            TextTest::Eq(value) => format!("has({array}, {})", self.bind_text(value)),
            TextTest::Neq(value) => format!("(NOT has({array}, {}))", self.bind_text(value)),
            TextTest::In(values) => format!("hasAny({array}, {})", self.bind(Bind::Texts(values.clone()))),
            TextTest::Contains(_) | TextTest::StartsWith(_) | TextTest::Like(_) => {
                format!("arrayExists(text -> {}, {array})", self.text("text", test))
            }
            TextTest::Exists => format!("notEmpty({array})"),
        }
    }

    /// The value of one entry, which may not be there.
    fn entry(&mut self, name: &str, test: &TextTest) -> String {
        let name = self.bind_text(name);
        let is_there = format!("mapContains({ENTRIES}, {name})");
        let found = format!("{ENTRIES}[{name}]");
        match test {
            TextTest::Exists => is_there,
            TextTest::Neq(value) => {
                let is_equal = self.text(&found, &TextTest::Eq(value.clone()));
                format!("(NOT ({is_there} AND {is_equal}))")
            }
            TextTest::Eq(_)
            | TextTest::In(_)
            | TextTest::Contains(_)
            | TextTest::StartsWith(_)
            | TextTest::Like(_) => {
                format!("({is_there} AND {})", self.text(&found, test))
            }
        }
    }

    /// The time in an id leads to its row: the table has a skip index on it.
    fn id(&mut self, test: &TextTest) -> String {
        match test {
            TextTest::Eq(value) => self.ids(std::slice::from_ref(value)),
            TextTest::In(values) => self.ids(values),
            TextTest::Neq(value) => format!("(NOT {})", self.ids(std::slice::from_ref(value))),
            TextTest::Contains(_) | TextTest::StartsWith(_) | TextTest::Like(_) => {
                self.text("toString(id)", test)
            }
            TextTest::Exists => ALWAYS.to_owned(),
        }
    }

    /// Any of `texts`. What cannot be an id is none; compared with a column of fixed length it might become one.
    fn ids(&mut self, texts: &[String]) -> String {
        let ids: Vec<EventId> = texts.iter().filter_map(|text| text.parse().ok()).collect();
        let times = || ids.iter().map(EventId::started_at);
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return NEVER.to_owned() };
        let (first, last) = (self.bind_time(first.millis()), self.bind_time(last.millis()));
        let ids = self.bind(Bind::Texts(ids.iter().map(EventId::to_string).collect()));
        format!("(id IN {ids} AND started_at BETWEEN {first} AND {last})")
    }

    fn time(&mut self, field: TimeField, comparison: Comparison, instant: Instant) -> String {
        const NANOS_PER_MILLI: i128 = 1_000_000;
        let nanos = instant.as_nanosecond();
        let floor = nanos.div_euclid(NANOS_PER_MILLI);
        let is_whole = nanos.rem_euclid(NANOS_PER_MILLI) == 0;
        let ceil = floor + i128::from(!is_whole);
        // Rows are kept in whole milliseconds.
        let (operator, millis) = match comparison {
            Comparison::Eq if !is_whole => return NEVER.to_owned(),
            Comparison::Neq if !is_whole => return ALWAYS.to_owned(),
            Comparison::Eq => ("=", floor),
            Comparison::Neq => ("!=", floor),
            Comparison::Lt => ("<", ceil),
            Comparison::Lte => ("<=", floor),
            Comparison::Gt => (">", floor),
            Comparison::Gte => (">=", ceil),
        };
        let millis = self.bind_time(bounded(millis));
        format!("{} {operator} {millis}", field.name())
    }

    /// A part of a text, in either case. ASCII letters have a function for it, of which the others have too old a table.
    fn part(&mut self, expression: &str, part: &str, anchor: &str, position: &str) -> String {
        if part.is_ascii() {
            format!("positionCaseInsensitive({expression}, {}) {position}", self.bind_text(part))
        } else {
            format!("match({expression}, {})", self.bind_text(&pattern(part, anchor)))
        }
    }

    fn bind_text(&mut self, text: &str) -> String {
        self.bind(Bind::Text(text.to_owned()))
    }

    /// A time, in epoch milliseconds.
    pub(super) fn bind_time(&mut self, millis: i64) -> String {
        let millis = self.bind(Bind::Millis(millis));
        format!("fromUnixTimestamp64Milli({millis}, 'UTC')")
    }
}

/// What a field is in a statement about rows: never `NULL`.
#[must_use]
pub fn column(field: TextField) -> Cow<'static, str> {
    match field {
        TextField::Id => "toString(id)".into(),
        // A word of SQL.
        TextField::Group => "`group`".into(),
        TextField::DlpAction
        | TextField::PromptId
        | TextField::PromptVersionId
        | TextField::Content
        | TextField::UpstreamRequestId => attribute(field.name()).into(),
        _ => field.name().into(),
    }
}

/// The text of what is an entry of one column; empty where it is not given.
#[must_use]
pub fn attribute(name: &'static str) -> String {
    format!("attributes['{name}']")
}

/// A pattern as ClickHouse has it, which refuses one that ends in the middle of an escape.
fn like(pattern: &str) -> String {
    pieces(pattern).into_iter().fold(String::with_capacity(pattern.len()), |mut like, piece| {
        match piece {
            Piece::Any => like.push('%'),
            Piece::One => like.push('_'),
            Piece::Same(letter) => like.push_str(&literally(letter.encode_utf8(&mut [0; 4]))),
        }
        like
    })
}

/// A regular expression of RE2 for a part of a text: for every letter all of its variants, and nothing with a meaning.
fn pattern(part: &str, anchor: &str) -> String {
    part.chars().fold(anchor.to_owned(), |mut pattern, letter| {
        match variants(letter).as_slice() {
            [_] if letter.is_alphanumeric() => pattern.push(letter),
            [_] => drop(write!(pattern, "\\x{{{:x}}}", u32::from(letter))),
            letters => pattern.extend(["[", &String::from_iter(letters), "]"]),
        }
        pattern
    })
}

/// Holds a time within one millisecond of what a row can have: the same rows are on either side of it, and the
/// storage can represent it.
fn bounded(millis: i128) -> i64 {
    let (earliest, latest) = (Timestamp::MIN.millis() - 1, Timestamp::MAX.millis() + 1);
    i64::try_from(millis.clamp(earliest.into(), latest.into())).expect("both bounds are 64 bits wide")
}
