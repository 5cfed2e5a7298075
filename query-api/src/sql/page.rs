//! One page of log entries, in a total order.

use std::fmt;

use weir_event::Scope;
use weir_filter::Filter;

use super::annotations::Annotated;
use super::column::Column;
use super::entry::columns;
use super::statement::{LOGS, Select, Statement};

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

/// Which way a list runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The least first.
    Ascending,
    /// The greatest first.
    Descending,
}

impl Page {
    /// The entries before the page; held at what ClickHouse takes, which is past every table's end.
    fn offset(self) -> i64 {
        let before = self.number.saturating_sub(1).saturating_mul(self.per_page.into());
        i64::try_from(before).unwrap_or(i64::MAX)
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
    let by_time = format!("{} {direction}, {} {direction}", Column::CreatedAt, Column::Id);
    let by = if column == Column::CreatedAt { by_time } else { format!("{column} {direction}, {by_time}") };
    let (limit, offset) = (page.per_page, page.offset());
    Select::new(&columns(), LOGS, scope)
        .filter(filter, annotated)
        .push(format_args!(" ORDER BY {by} LIMIT {limit} OFFSET {offset}"))
        .finish()
}
