//! The statistics.

use serde::Serialize;

use crate::store::NewApiUsage;

/// What was used, in all and within the last minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UsageView {
    /// Quota units.
    pub quota: i128,
    /// Requests within the last minute.
    pub rpm: u64,
    /// Input and output tokens within the last minute.
    pub tpm: i128,
}

impl From<NewApiUsage> for UsageView {
    fn from(usage: NewApiUsage) -> Self {
        Self { quota: usage.quota, rpm: usage.requests, tpm: usage.tokens }
    }
}
