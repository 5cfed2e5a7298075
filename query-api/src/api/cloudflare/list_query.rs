//! The parameters of `GET /logs`.
//!
//! A parameter that this version cannot honour is an error and never ignored: a list that was to be filtered and is
//! not would be a wrong answer that looks right. That goes for parameters that nobody knows as well, which are most
//! often misspelt ones. The SDKs send none of their own. Every problem is reported at once.

use std::collections::BTreeSet;

use jiff::Timestamp as Instant;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::envelope::Issue;
use crate::api::query_string::QueryString;
use crate::filter::{Condition, Filter, FlagField, TextField};
use crate::sql::{Column, Direction, Order, Page};

const PER_PAGE_DEFAULT: u32 = 20;
const PER_PAGE_MAX: u32 = 50;
/// Unknown names are repeated to the client up to this length.
const NAME_CHARS_MAX: usize = 64;

/// What a list asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListQuery {
    pub(super) filter: Filter,
    pub(super) order: Order,
    pub(super) page: Page,
}

/// A parameter that is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parameter {
    Page,
    PerPage,
    OrderBy,
    OrderByDirection,
    Direction,
    MetaInfo,
    StartDate,
    EndDate,
    Flag(FlagField),
    Text(TextField),
}

/// What has been read so far.
#[derive(Default)]
struct Draft {
    page: Option<u64>,
    per_page: Option<u32>,
    column: Option<Column>,
    order_by_direction: Option<Direction>,
    direction: Option<Direction>,
    filter: Filter,
}

/// Parameters of the contract that come with the filter grammar.
const NOT_YET: &[&str] = &[
    "search",
    "feedback",
    "min_cost",
    "max_cost",
    "min_duration",
    "max_duration",
    "min_tokens_in",
    "max_tokens_in",
    "min_tokens_out",
    "max_tokens_out",
    "min_total_tokens",
    "max_total_tokens",
];

impl ListQuery {
    /// Reads a raw query string.
    pub(super) fn parse(raw: &str) -> Result<Self, Vec<Issue>> {
        let parameters = QueryString::parse(raw).map_err(|error| {
            vec![Issue { path: vec!["query".to_owned()], ..Issue::of_query("", error.to_string()) }]
        })?;
        let (mut draft, mut issues, mut seen) = (Draft::default(), Vec::new(), BTreeSet::new());
        for (name, value) in parameters.iter() {
            let read = match Parameter::from_name(name) {
                Ok(_) if !seen.insert(name) => Err("Parameter is given more than once".to_owned()),
                Ok(parameter) => draft.read(parameter, value),
                Err(message) => Err(message),
            };
            issues.extend(read.err().map(|message| Issue::of_query(&shortened(name), message)));
        }
        if issues.is_empty() { Ok(draft.finish()) } else { Err(issues) }
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
            "start_date" => Self::StartDate,
            "end_date" => Self::EndDate,
            "success" => Self::Flag(FlagField::Success),
            "cached" => Self::Flag(FlagField::Cached),
            "provider" => Self::Text(TextField::Provider),
            "model" => Self::Text(TextField::Model),
            "model_type" => Self::Text(TextField::ModelType),
            "request_content_type" => Self::Text(TextField::RequestContentType),
            "response_content_type" => Self::Text(TextField::ResponseContentType),
            // Any other name is the client's, not ours.
            _ if NOT_YET.contains(&name) || is_filters(name) => {
                return Err(format!("Parameter '{}' is not supported yet", shortened(name)));
            }
            _ => return Err(format!("Unrecognized parameter '{}'", shortened(name))),
        })
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
            Parameter::StartDate => self.filter.require(Condition::created_from(instant(value)?)),
            Parameter::EndDate => self.filter.require(Condition::created_to(instant(value)?)),
            Parameter::Flag(field) => self.filter.require(Condition::Flag(field, flag(value)?)),
            Parameter::Text(field) => self.filter.require(Condition::Text(field, value.to_owned())),
        }
        Ok(())
    }

    /// Newest first unless asked otherwise. `direction` is the older name of `order_by_direction`, which wins.
    fn finish(self) -> ListQuery {
        ListQuery {
            filter: self.filter,
            order: Order {
                column: self.column.unwrap_or(Column::CreatedAt),
                direction: self.order_by_direction.or(self.direction).unwrap_or(Direction::Descending),
            },
            page: Page {
                number: self.page.unwrap_or(1),
                per_page: self.per_page.unwrap_or(PER_PAGE_DEFAULT),
            },
        }
    }
}

/// `filters` in all its forms on the wire: one JSON text, the SDKs' dotted names, indexed brackets.
fn is_filters(name: &str) -> bool {
    name.strip_prefix("filters").is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
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
    columns.into_iter().find(|column| column.name() == value).ok_or_else(|| {
        let names: Vec<_> = columns.iter().map(|column| format!("'{column}'")).collect();
        format!("Invalid enum value. Expected {}", names.join(" | "))
    })
}

fn direction(value: &str) -> Result<Direction, String> {
    match value {
        "asc" => Ok(Direction::Ascending),
        "desc" => Ok(Direction::Descending),
        // Any other word is the client's, not ours.
        _ => Err("Invalid enum value. Expected 'asc' | 'desc'".to_owned()),
    }
}

fn flag(value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| "Expected boolean: 'true' or 'false'".to_owned())
}

/// A number from 1 to `max`, in Cloudflare's words where it is not.
fn whole_number<T>(value: &str, max: T) -> Result<T, String>
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

/// A date and a time. Python sends naive times without an offset; they are UTC.
fn instant(value: &str) -> Result<Instant, String> {
    let naive = || {
        // A date alone would be a time that was not asked for.
        let time = value.contains(':').then(|| value.parse::<DateTime>().ok()).flatten()?;
        time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    };
    let parsed = value.parse::<Instant>().ok().or_else(naive);
    parsed.ok_or_else(|| "Expected a date and time as in RFC 3339".to_owned())
}

fn shortened(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
