//! A row of `budgets`.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

/// A row of `budgets`, as it is written and read. Its version is the server's time, which the server fills in; that of a
/// row which says that a budget is gone is ahead of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns are described in the migration")]
pub struct BudgetRow {
    pub account_id: String,
    pub gateway_id: String,
    pub id: String,
    pub name: String,
    pub filter: String,
    pub measure: String,
    /// In units of 10^-18.
    pub limit: i128,
    pub window_s: u32,
    pub period: String,
    pub timezone: String,
    pub thresholds: Vec<u16>,
    pub cool_down_s: u32,
    pub webhooks: Vec<String>,
    pub enabled: bool,
    pub deleted: bool,
}
