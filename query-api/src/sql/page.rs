//! One page of log entries, in a total order.

use std::fmt;

use weir_event::Scope;
use weir_filter::Filter;
use weir_sql::{Annotated, Bind, LOGS, Select, Statement};

use super::column::Column;
use super::entry::columns;

/// Which page, and of what size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// From 1.
    pub number: u64,
    /// Entries on a page, from 1.
    pub per_page: u32,
}

/// The order of a list. Entries that are equal in `column` are ordered by time and id, in the same direction, so that
/// no entry is on two pages or on none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// What to order by first.
    pub column: Column,
    /// Which way.
    pub direction: Direction,
}

/// A page that lies within the entries of one value of the order's column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run<'v> {
    /// The value, as text.
    pub value: &'v str,
    /// The entries with it that are before the page.
    pub before: u64,
    /// Entries on the page.
    pub per_page: u32,
}

/// Which way a list runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The least first.
    Ascending,
    /// The greatest first.
    Descending,
}

impl Page {
    /// The same, held at what ClickHouse takes, which is past every table's end.
    fn offset(self) -> i64 {
        i64::try_from(self.before()).unwrap_or(i64::MAX)
    }

    /// The entries before the page.
    #[must_use]
    pub fn before(self) -> u64 {
        self.number.saturating_sub(1).saturating_mul(self.per_page.into())
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ascending => "ASC",
            Self::Descending => "DESC",
        })
    }
}

/// A page of entries: rows of [`super::ENTRY_COLUMNS`], none past the end.
#[must_use]
pub fn page(scope: &Scope, filter: &Filter, annotated: Annotated, order: Order, page: Page) -> Statement {
    let Order { column, direction } = order;
    let by_time = by_time(direction);
    let by = if column == Column::CreatedAt { by_time } else { format!("{column} {direction}, {by_time}") };
    let (limit, offset) = (page.per_page, page.offset());
    Select::new(&columns(), LOGS, scope)
        .filter(filter, annotated)
        .push(format_args!(" ORDER BY {by} LIMIT {limit} OFFSET {offset}"))
        .finish()
}

/// The values of the column that a list is ordered by, in that order: rows of `value`, as text, and how many `entries` have it.
#[must_use]
pub fn values(scope: &Scope, filter: &Filter, annotated: Annotated, order: Order) -> Statement {
    let Order { column, direction } = order;
    Select::new(&format!("toString({column}) AS value, count() AS entries"), LOGS, scope)
        .filter(filter, annotated)
        .push(format_args!(" GROUP BY {column} ORDER BY {column} {direction}"))
        .finish()
}

/// A page that lies within the entries of one value: for these the order is that of the table,
/// and the page is read without sorting them all.
#[must_use]
pub fn page_of_value(
    scope: &Scope,
    filter: &Filter,
    annotated: Annotated,
    order: Order,
    run: Run<'_>,
) -> Statement {
    let Order { column, direction } = order;
    let Run { value, before, per_page } = run;
    let mut select = Select::new(&columns(), LOGS, scope);
    let value = select.bind(match column {
        Column::Success | Column::Cached => Bind::Flag(value == "true"),
        // What else a list may be ordered by is a text.
        _ => Bind::Text(value.to_owned()),
    });
    let by_time = by_time(direction);
    select
        .push(format_args!(" AND {column} = {value}"))
        .filter(filter, annotated)
        .push(format_args!(" ORDER BY {by_time} LIMIT {per_page} OFFSET {before}"))
        .finish()
}

fn by_time(direction: Direction) -> String {
    format!("{} {direction}, {} {direction}", Column::CreatedAt, Column::Id)
}
