//! Budgets: how much may be used of a gateway in a time, and the alerts of what was.
//!
//! The query API reads a body into [`Terms`] ([`Terms::from_json`]) and stores them; the aggregator reads what is stored
//! ([`Budget::from_row`]), sums up what was used, and writes an [`Alert`] where a threshold is crossed. Both know the same
//! times ([`Window::bounds`]) and the same amounts. No I/O.

mod alert;
mod amount;
mod anomaly;
mod body;
mod budget;
mod calendar;
mod measure;
mod window;

pub use alert::{
    ALERTS_AGE_MAX, ALERTS_BYTES_MAX, ALERTS_PER_THRESHOLD_MAX, ALERTS_STREAM, ALERTS_SUBJECTS, Alert,
    AlertData, BUDGETS_SUBJECT, WEBHOOKS_SUBJECT, WebhooksAnswer, WebhooksRequest,
};
pub use amount::{Amount, AmountError};
pub use anomaly::{Anomaly, AnomalyData};
pub use body::Problem;
pub use budget::{Budget, BudgetId, BudgetIdError, StoredError, Terms};
pub use calendar::{Calendar, Period, Zone, ZoneError};
pub use measure::Measure;
pub use window::Window;
