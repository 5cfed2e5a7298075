//! The parameters of `GET /logs`.
//!
//! A parameter that this version cannot honour is an error and never ignored: a list that was to be filtered and is
//! not would be a wrong answer that looks right. That goes for parameters that nobody knows as well, which are most
//! often misspelt ones. The SDKs send none of their own. Every problem is reported at once.

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use weir_filter::{
    EntrySide, Field, Filter, FlagField, Node, NumberField, Operator, TextField, Texts, TimeField, Value,
    number,
};

use super::envelope::Issue;
use super::filters::{self, Caution, shortened};
use super::instant::instant;
use crate::api::query_string::QueryString;
use crate::sql::{Column, Direction, Order, Page};

const PER_PAGE_DEFAULT: u32 = 20;
const PER_PAGE_MAX: u32 = 50;

/// What a list asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListQuery {
    pub(super) filter: Filter,
    pub(super) order: Order,
    pub(super) page: Page,
}

/// A parameter that is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Parameter {
    Page,
    PerPage,
    OrderBy,
    OrderByDirection,
    Direction,
    MetaInfo,
    Search,
    Feedback,
    /// A condition on one field.
    Condition(Field, Operator),
}

/// What has been read so far.
#[derive(Default)]
struct Draft {
    page: Option<u64>,
    per_page: Option<u32>,
    column: Option<Column>,
    order_by_direction: Option<Direction>,
    direction: Option<Direction>,
    conditions: Vec<Node>,
}

impl ListQuery {
    /// Reads a raw query string.
    pub(super) fn parse(raw: &str) -> Result<Self, Vec<Issue>> {
        let parameters = QueryString::parse(raw).map_err(|error| {
            vec![Issue { path: vec!["query".into()], ..Issue::of_query("", error.to_string()) }]
        })?;
        let (mut draft, mut issues, mut seen) = (Draft::default(), Vec::new(), BTreeSet::new());
        for (name, value) in parameters.iter().filter(|(name, _)| !filters::is_part(name)) {
            let read = match Parameter::from_name(name) {
                Ok(_) if !seen.insert(name) => Err("Parameter is given more than once".to_owned()),
                Ok(parameter) => draft.read(parameter, value),
                Err(message) => Err(message),
            };
            issues.extend(read.err().map(|message| Issue::of_query(&shortened(name), message)));
        }
        match filters::read(&parameters, Caution::Lists) {
            Ok(nodes) => draft.conditions.extend(nodes),
            Err(of_filters) => issues.extend(of_filters),
        }
        if issues.is_empty() { draft.finish().map_err(|issue| vec![issue]) } else { Err(issues) }
    }
}

impl Parameter {
    fn from_name(name: &str) -> Result<Self, String> {
        Ok(match name {
            "page" => Self::Page,
            "per_page" => Self::PerPage,
            "order_by" => Self::OrderBy,
            "order_by_direction" => Self::OrderByDirection,
            "direction" => Self::Direction,
            "meta_info" => Self::MetaInfo,
            "search" => Self::Search,
            "feedback" => Self::Feedback,
            "start_date" => Self::Condition(Field::Time(TimeField::CreatedAt), Operator::Gte),
            "end_date" => Self::Condition(Field::Time(TimeField::CreatedAt), Operator::Lte),
            "success" => Self::Condition(Field::Flag(FlagField::Success), Operator::Eq),
            "cached" => Self::Condition(Field::Flag(FlagField::Cached), Operator::Eq),
            "provider" => Self::text(TextField::Provider),
            "model" => Self::text(TextField::Model),
            "model_type" => Self::text(TextField::ModelType),
            "request_content_type" => Self::text(TextField::RequestContentType),
            "response_content_type" => Self::text(TextField::ResponseContentType),
            "min_cost" => Self::Condition(Field::Number(NumberField::Cost), Operator::Gte),
            "max_cost" => Self::Condition(Field::Number(NumberField::Cost), Operator::Lte),
            "min_duration" => Self::Condition(Field::Number(NumberField::DurationMs), Operator::Gte),
            "max_duration" => Self::Condition(Field::Number(NumberField::DurationMs), Operator::Lte),
            "min_tokens_in" => Self::Condition(Field::Number(NumberField::TokensIn), Operator::Gte),
            "max_tokens_in" => Self::Condition(Field::Number(NumberField::TokensIn), Operator::Lte),
            "min_tokens_out" => Self::Condition(Field::Number(NumberField::TokensOut), Operator::Gte),
            "max_tokens_out" => Self::Condition(Field::Number(NumberField::TokensOut), Operator::Lte),
            "min_total_tokens" => Self::Condition(Field::Number(NumberField::Tokens), Operator::Gte),
            "max_total_tokens" => Self::Condition(Field::Number(NumberField::Tokens), Operator::Lte),
            // Any other name is the client's, not ours.
            _ => return Err(format!("Unrecognized parameter '{}'", shortened(name))),
        })
    }

    const fn text(field: TextField) -> Self {
        Self::Condition(Field::Text(Texts::Of(field)), Operator::Eq)
    }
}

impl Draft {
    fn read(&mut self, parameter: Parameter, value: &str) -> Result<(), String> {
        match parameter {
            Parameter::Page => self.page = Some(whole_number(value, u64::MAX)?),
            Parameter::PerPage => self.per_page = Some(whole_number(value, PER_PAGE_MAX)?),
            Parameter::OrderBy => self.column = Some(column(value)?),
            Parameter::OrderByDirection => self.order_by_direction = Some(direction(value)?),
            Parameter::Direction => self.direction = Some(direction(value)?),
            // What it asks for is always there.
            Parameter::MetaInfo => drop(flag(value)?),
            // Empty, it is a box that nothing was typed into.
            Parameter::Search if value.is_empty() => {}
            Parameter::Search => {
                let values = Field::Text(Texts::AnyEntry(EntrySide::Value));
                self.require(&values, Operator::Contains, &[Value::Text(value.to_owned())])?;
            }
            Parameter::Feedback => {
                self.require(&Field::Number(NumberField::Feedback), Operator::Eq, feedback(value)?)?;
            }
            Parameter::Condition(field, operator) => {
                let value = match field {
                    Field::Text(_) => Value::Text(value.to_owned()),
                    Field::Number(_) => Value::Number(number(value).ok_or("Expected a number")?),
                    Field::Time(_) => Value::Time(instant(value)?),
                    Field::Flag(_) => Value::Flag(flag(value)?),
                };
                self.require(&field, operator, &[value])?;
            }
        }
        Ok(())
    }

    fn require(&mut self, field: &Field, operator: Operator, values: &[Value]) -> Result<(), String> {
        self.conditions.push(Node::condition(field, operator, values).map_err(|error| error.to_string())?);
        Ok(())
    }

    /// Newest first unless asked otherwise. `direction` is the older name of `order_by_direction`, which wins.
    fn finish(self) -> Result<ListQuery, Issue> {
        let filter = Filter::new(Node::And(self.conditions));
        Ok(ListQuery {
            filter: filter.map_err(|error| Issue::of_query("filters", error.to_string()))?,
            order: Order {
                column: self.column.unwrap_or(Column::CreatedAt),
                direction: self.order_by_direction.or(self.direction).unwrap_or(Direction::Descending),
            },
            page: Page {
                number: self.page.unwrap_or(1),
                per_page: self.per_page.unwrap_or(PER_PAGE_DEFAULT),
            },
        })
    }
}

fn column(value: &str) -> Result<Column, String> {
    let columns = [
        Column::CreatedAt,
        Column::Provider,
        Column::Model,
        Column::ModelType,
        Column::Success,
        Column::Cached,
    ];
    one_of(&columns.map(|column| (column.name(), column)), value)
}

pub(super) fn direction(value: &str) -> Result<Direction, String> {
    one_of(&[("asc", Direction::Ascending), ("desc", Direction::Descending)], value)
}

/// What `value` names.
pub(super) fn one_of<T: Copy>(choices: &[(&str, T)], value: &str) -> Result<T, String> {
    let found = choices.iter().find(|(name, _)| *name == value);
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("'{name}'")).collect();
        format!("Invalid enum value. Expected {}", names.join(" | "))
    })
}

/// A thumb. 0 is neither of the two, whether or not that was said.
fn feedback(value: &str) -> Result<&'static [Value], String> {
    match value {
        "1" => Ok(&[Value::Number(Decimal::ONE)]),
        "-1" => Ok(&[Value::Number(Decimal::NEGATIVE_ONE)]),
        "0" => Ok(&[Value::Number(Decimal::ZERO), Value::Null]),
        // Any other word is the client's, not ours.
        _ => Err("Invalid enum value. Expected '-1' | '0' | '1'".to_owned()),
    }
}

fn flag(value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| "Expected boolean: 'true' or 'false'".to_owned())
}

/// A number from 1 to `max`, in Cloudflare's words where it is not.
pub(super) fn whole_number<T>(value: &str, max: T) -> Result<T, String>
where
    T: TryFrom<u64> + Into<u64> + Copy,
{
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        let negative = value.strip_prefix('-').is_some_and(|rest| rest.parse::<u64>().is_ok());
        let expected =
            if negative { "Number must be greater than or equal to 1" } else { "Expected a whole number" };
        return Err(expected.to_owned());
    }
    let too_great = || format!("Number must be less than or equal to {}", max.into());
    match value.parse::<u64>() {
        Ok(0) => Err("Number must be greater than or equal to 1".to_owned()),
        Ok(number) if number <= max.into() => T::try_from(number).map_err(|_| too_great()),
        Ok(_) | Err(_) => Err(too_great()),
    }
}

/// What is wrong with the query string of a list.
#[cfg(test)]
pub(in crate::api) fn problems(raw: &str) -> Vec<String> {
    let issues = ListQuery::parse(raw).err().unwrap_or_default();
    issues.into_iter().map(|issue| issue.message).collect()
}

#[cfg(test)]
mod tests;
