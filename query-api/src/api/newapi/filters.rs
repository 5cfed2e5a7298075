//! Which rows are asked for: parameters as conditions of the shared filter.
//!
//! What a row shows and what it is found by are the same. A row without a requested model shows the one that answered; one
//! that was stored before `attributes` had a place for them has some texts in its metadata.

use jiff::Timestamp as Instant;
use weir_event::{Dialect as Form, EventKind};
use weir_filter::{
    Comparison, Condition, Filter, FilterError, FlagField, Node, TextField, TextTest, Texts, TimeField,
};

use super::dialect::Dialect;
use super::parameters::Parameters;
use super::pattern::{PatternError, pattern};

/// The parameters do not say which rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// A pattern that is not looked for.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// More than is supported at once.
    #[error(transparent)]
    Filter(#[from] FilterError),
}

/// Who asks for rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// An admin, who may ask for a user's.
    Admin,
    /// A user, who gets their own alone.
    User,
}

/// What statistics are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StatFilters {
    /// Of all the time that is asked for.
    pub(super) total: Filter,
    /// Whatever time is asked for.
    pub(super) lately: Filter,
}

/// The rows of a list.
pub(super) fn list(dialect: Dialect, reader: Asker, parameters: &Parameters) -> Result<Filter, Refused> {
    let mut nodes = match parameters.number("type") {
        0 => Vec::new(),
        number => vec![of_type(dialect, number)],
    };
    nodes.extend(within(parameters));
    nodes.extend(named(dialect, reader, parameters)?);
    if reader == Asker::Admin {
        nodes.extend(channel(parameters));
    }
    if dialect.knows_request_ids() {
        nodes.extend(equal(parameters, "request_id", TextField::RequestId));
        nodes.extend(parameters.text("upstream_request_id").map(upstream_request_id));
    }
    Ok(Filter::new(Node::And(nodes))?)
}

/// What is counted: consumption alone, whatever type is asked for.
pub(super) fn stat(dialect: Dialect, reader: Asker, parameters: &Parameters) -> Result<StatFilters, Refused> {
    let mut nodes = vec![of_kind(EventKind::Consume)];
    nodes.extend(named(dialect, reader, parameters)?);
    nodes.extend(channel(parameters));
    let lately = Filter::new(Node::And(nodes.clone()))?;
    nodes.extend(within(parameters));
    Ok(StatFilters { total: Filter::new(Node::And(nodes))?, lately })
}

/// What a search finds: rows of the type that is its word, and for admins those too whose content begins with it, in which
/// `%` and `_` stand for others.
pub(super) fn search(dialect: Dialect, reader: Asker, keyword: &str) -> Result<Filter, Refused> {
    let of_type = keyword.parse().map_or_else(|_| nothing(), |number| of_type(dialect, number));
    let found = match reader {
        Asker::Admin => Node::Or(vec![of_type, content(&TextTest::Like(begins_with(keyword)))]),
        Asker::User => of_type,
    };
    Ok(Filter::new(found)?)
}

/// Everything of a kind.
pub(super) fn kind(kind: EventKind) -> Result<Filter, Refused> {
    Ok(Filter::new(of_kind(kind))?)
}

/// Everything of a kind that ended at a time, in milliseconds since 1970, or later; at any time where there is none.
pub(super) fn since(kind: EventKind, from_ms: Option<i64>) -> Result<Filter, Refused> {
    let from = from_ms
        .map(|from_ms| ended(Comparison::Gte, Instant::from_millisecond(from_ms).unwrap_or(Instant::MAX)));
    let nodes = std::iter::once(of_kind(kind)).chain(from).collect();
    Ok(Filter::new(Node::And(nodes))?)
}

/// The pattern of what begins with a pattern. A `\` at its end is none that takes the meaning of what follows.
fn begins_with(pattern: &str) -> String {
    let backslashes = pattern.len() - pattern.trim_end_matches('\\').len();
    format!("{pattern}{}%", if backslashes % 2 == 1 { "\\" } else { "" })
}

/// The hours that began from `start` to `end`, in seconds since 1970; of a user where one is named.
pub(super) fn hours(start: i64, end: i64, user_name: Option<&str>) -> Result<Filter, Refused> {
    const HOUR: i64 = 3_600;
    let first = start.saturating_add(HOUR - 1).div_euclid(HOUR) * HOUR;
    let past_last = end.div_euclid(HOUR).saturating_add(1).saturating_mul(HOUR);
    let mut nodes = vec![
        of_kind(EventKind::Consume),
        ended_s(Comparison::Gte, first),
        ended_s(Comparison::Lt, past_last),
    ];
    nodes.extend(user_name.map(|name| text(TextField::UserName, TextTest::Eq(name.to_owned()))));
    Ok(Filter::new(Node::And(nodes))?)
}

/// What lists and statistics are both filtered by.
fn named(dialect: Dialect, reader: Asker, parameters: &Parameters) -> Result<Vec<Node>, Refused> {
    let mut nodes = Vec::new();
    if let Some(name) = parameters.text("model_name") {
        nodes.push(model_name(&pattern(dialect.patterns(), name)?));
    }
    if let Some(name) = parameters.text("username").filter(|_| reader == Asker::Admin) {
        let test = match dialect.user_patterns() {
            None => TextTest::Eq(name.to_owned()),
            Some(patterns) => pattern(patterns, name)?,
        };
        nodes.push(text(TextField::UserName, test));
    }
    nodes.extend(equal(parameters, "token_name", TextField::TokenName));
    nodes.extend(equal(parameters, "group", TextField::Group));
    Ok(nodes)
}

/// Both bounds are within; 0 is none.
fn within(parameters: &Parameters) -> impl Iterator<Item = Node> {
    let bound = |name| Some(parameters.number(name)).filter(|seconds| *seconds != 0);
    let start = bound("start_timestamp").map(|start| ended_s(Comparison::Gte, start));
    // Rows of other sources have milliseconds.
    let end = bound("end_timestamp").map(|end| ended_s(Comparison::Lt, end.saturating_add(1)));
    start.into_iter().chain(end)
}

fn channel(parameters: &Parameters) -> Option<Node> {
    let channel = Some(parameters.number("channel")).filter(|channel| *channel != 0)?;
    Some(text(TextField::ChannelId, TextTest::Eq(channel.to_string())))
}

fn equal(parameters: &Parameters, name: &str, field: TextField) -> Option<Node> {
    parameters.text(name).map(|value| text(field, TextTest::Eq(value.to_owned())))
}

fn of_type(dialect: Dialect, number: i64) -> Node {
    dialect.kind_of(number).map_or_else(nothing, of_kind)
}

fn of_kind(kind: EventKind) -> Node {
    text(TextField::Kind, TextTest::Eq(kind.as_str().to_owned()))
}

/// Every row is of some kind.
fn nothing() -> Node {
    text(TextField::Kind, TextTest::Eq(String::new()))
}

fn model_name(test: &TextTest) -> Node {
    let unnamed = text(TextField::ModelRequested, TextTest::Eq(String::new()));
    Node::Or(vec![
        text(TextField::ModelRequested, test.clone()),
        Node::And(vec![unnamed, text(TextField::Model, test.clone())]),
    ])
}

fn content(test: &TextTest) -> Node {
    let success = |is| Node::Is(Condition::Flag(FlagField::Success, is));
    Node::Or(vec![
        Node::And(vec![success(false), text(TextField::Error, test.clone())]),
        Node::And(vec![success(true), text(TextField::Content, test.clone())]),
        Node::And(vec![success(true), of_before(TextField::Content, test)]),
    ])
}

fn upstream_request_id(id: &str) -> Node {
    let test = TextTest::Eq(id.to_owned());
    let field = TextField::UpstreamRequestId;
    Node::Or(vec![text(field, test.clone()), of_before(field, &test)])
}

/// The same of a row that has it in its metadata.
fn of_before(field: TextField, test: &TextTest) -> Node {
    let entry = Condition::Text(Texts::Entry(field.name().to_owned()), test.clone());
    Node::And(vec![
        text(TextField::Dialect, TextTest::Eq(Form::NewApiLog.as_str().to_owned())),
        text(field, TextTest::Eq(String::new())),
        Node::Is(entry),
    ])
}

fn text(field: TextField, test: TextTest) -> Node {
    Node::Is(Condition::Text(Texts::Of(field), test))
}

fn ended_s(comparison: Comparison, seconds: i64) -> Node {
    let held = seconds.clamp(Instant::MIN.as_second(), Instant::MAX.as_second());
    ended(comparison, Instant::from_second(held).unwrap_or(Instant::MAX))
}

fn ended(comparison: Comparison, at: Instant) -> Node {
    Node::Is(Condition::Time(TimeField::CreatedAt, comparison, at))
}

#[cfg(test)]
mod tests;
