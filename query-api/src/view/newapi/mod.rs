//! Rows and statistics as new-api's API shows them.

mod go_json;
mod hour;
mod other;
mod row;
mod usage;

pub use hour::HourView;
pub use row::{Audience, RowView, UserId};
pub use usage::UsageView;
