//! How events lie in ClickHouse: the tables as migrations, and the row types that go with them.
//!
//! DDL, row types and what the rollups sum are one crate so that one change touches all. Money turns into a scaled integer
//! here and nowhere else. No I/O: `ingest` runs the migrations and writes the rows.

mod budget_row;
mod client;
pub mod deletion;
pub mod migrations;
mod money;
pub mod removal;
pub mod rollup;
mod row_binary;
mod rows;

pub use budget_row::BudgetRow;
pub use client::client;
pub use money::{ScaledUsd, UsdRangeError};
pub use row_binary::{RowBinaryError, append_row, columns};
pub use rows::{
    AnnotationRow, BodyRow, CostRevisionRow, DeadLetterRow, LedgerRow, LogRow, ROW_HEADER_BYTES, RemovalRow,
    fill_in_header,
};

/// The tables that bodies may be in: that of today, and that of before, which nothing is added to but by programs of before
/// and what they had put away.
pub const BODY_TABLES: [&str; 2] = ["bodies", "payloads"];
