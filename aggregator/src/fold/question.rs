//! What is asked of the windows, understood.

use rust_decimal::Decimal;
use weir_event::bus::{LiveRequest, Top};
use weir_event::{Dimension, Metadata, Scope, Timestamp};
use weir_filter::{
    Condition, Field, Filter, FlagField, Node, NumberField, ParseError, Row, TextField, Texts, TimeField,
};

/// A checked [`LiveRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Whose windows.
    pub scope: Scope,
    /// What series have to be.
    pub(super) filter: Filter,
    /// What rows are by.
    pub(super) group_by: Vec<Dimension>,
    /// Which rows.
    pub(super) top: Option<Top>,
}

/// Why a question is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// The filter is not one.
    #[error("filter is not understood")]
    Filter(#[source] ParseError),
    /// The filter asks for what windows are not told apart by.
    #[error("filter asks for {0}; live windows know token, model, provider, user_id and channel_id")]
    Field(String),
}

impl Question {
    /// Everything of a tenant, by these dimensions.
    #[must_use]
    pub fn of(scope: Scope, group_by: Vec<Dimension>) -> Self {
        Self { scope, filter: Filter::default(), group_by, top: None }
    }

    /// Whether all of the tenant's calls are meant, as one.
    pub(super) fn is_total(&self) -> bool {
        self.group_by.is_empty() && self.filter.root().is_none()
    }

    /// Whether no two series are one row.
    pub(super) fn is_finest(&self) -> bool {
        Dimension::ALL.iter().all(|dimension| self.group_by.contains(dimension))
    }

    /// Which rows are enough of those of one shard: another shard may have a part of a row that is no API token's.
    pub(crate) fn top_of_parts(&self) -> Option<Top> {
        self.top.filter(|_| self.group_by.contains(&Dimension::Token))
    }

    /// Whether a series of these names, in the order of [`Dimension::ALL`], is meant.
    pub(super) fn is_about(&self, names: [&str; 5]) -> bool {
        self.filter.matches(&Names(names))
    }
}

impl TryFrom<LiveRequest> for Question {
    type Error = QuestionError;

    fn try_from(request: LiveRequest) -> Result<Self, Self::Error> {
        let LiveRequest { scope, filter, group_by, top } = request;
        let filter = if filter.is_empty() {
            Filter::default()
        } else {
            filter.parse::<Filter>().map_err(QuestionError::Filter)?
        };
        match filter.root().and_then(unknown_field) {
            Some(field) => Err(QuestionError::Field(field)),
            None => Ok(Self { scope, filter, group_by, top }),
        }
    }
}

/// The first field that series do not have.
fn unknown_field(node: &Node) -> Option<String> {
    let field = match node {
        Node::And(nodes) | Node::Or(nodes) => return nodes.iter().find_map(unknown_field),
        Node::Not(node) => return unknown_field(node),
        Node::Is(Condition::Text(Texts::Of(field), _)) if place(*field).is_some() => return None,
        Node::Is(Condition::Text(texts, _)) => Field::Text(texts.clone()),
        Node::Is(Condition::Number(field, _)) => Field::Number(*field),
        Node::Is(Condition::Time(field, ..)) => Field::Time(*field),
        Node::Is(Condition::Flag(field, _)) => Field::Flag(*field),
    };
    Some(field.to_string())
}

/// Which of a series' names a field is.
fn place(field: TextField) -> Option<usize> {
    let dimension = match field {
        TextField::Token => Dimension::Token,
        TextField::Model => Dimension::Model,
        TextField::Provider => Dimension::Provider,
        TextField::UserId => Dimension::User,
        TextField::ChannelId => Dimension::Channel,
        // Windows are not told apart by anything else.
        _ => return None,
    };
    Dimension::ALL.iter().position(|other| *other == dimension)
}

/// A series, asked as a row. A question is only made of what it has.
struct Names<'n>([&'n str; 5]);

impl Row for Names<'_> {
    fn text(&self, field: TextField) -> &str {
        place(field).map_or("", |place| self.0[place])
    }

    fn number(&self, _: NumberField) -> Option<Decimal> {
        None
    }

    fn time(&self, _: TimeField) -> Timestamp {
        Timestamp::MIN
    }

    fn flag(&self, _: FlagField) -> bool {
        false
    }

    fn metadata(&self) -> Option<&Metadata> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(filter: &str) -> Result<Question, QuestionError> {
        let scope = Scope { account_id: "acc".parse().unwrap(), gateway_id: "gw".parse().unwrap() };
        LiveRequest { scope, filter: filter.to_owned(), group_by: Vec::new(), top: None }.try_into()
    }

    #[test]
    fn a_filter_asks_for_the_names_of_a_series() {
        let check = |filter, expected| {
            let names = ["team-a", "gpt-4o", "openai", "7", "12"];
            assert_eq!(question(filter).unwrap().is_about(names), expected, "{filter}");
        };
        check("", true);
        check(r#"token = "team-a" and model starts_with "gpt" and provider = "openai""#, true);
        check(r#"user_id = "7" and channel_id = "12""#, true);
        check(r#"not (user_id = "7" or channel_id = "13")"#, false);
        check(r#"token = "gpt-4o""#, false);
    }

    #[test]
    fn what_windows_do_not_know_is_refused_by_name() {
        let check = |filter, expected: &str| {
            let error = question(filter).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(r#"token = "a" and (cost > 1 or model = "b")"#, "asks for cost;");
        check(r#"not metadata["team"] = "x""#, r#"asks for metadata["team"];"#);
        check(r#"user_name = "x""#, "asks for user_name;");
        check("success = true", "asks for success;");
        check(r#"created_at > "2024-01-01T00:00:00Z""#, "asks for created_at;");
        check("token =", "not understood");
    }
}
