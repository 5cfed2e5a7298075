//! What the ledger says of rows that went by age.

use clickhouse::Row;
use serde::Deserialize;
use weir_event::{GatewayId, Scope, Timestamp};

use super::{DAY_MS, DAY_OF_ENTRY, HOUR_MS, OF_NO_REPLAY, Stage};
use crate::LedgerRow;
use crate::deletion::{IS_CORRECTION, seconds};

/// What the subject of an entry begins with.
pub const SUBJECT: &str = "deleted:";

/// How many rows an hour, source, gateway and day have in a stage.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct Found {
    account_id: String,
    gateway_id: String,
    hour: u32,
    source: String,
    day: u32,
    /// What an entry says that is there already; 0 where there is none.
    entered: u64,
    version: u64,
    entered_until: u32,
    /// Rows of which the ledger says nothing, and rows of which it says one by one that they are gone: before
    /// `entered_until`, and from there on.
    fresh_below: u64,
    corrected_below: u64,
    fresh_above: u64,
    corrected_above: u64,
}

/// What the ledger says of rows that went by age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    account_id: String,
    gateway_id: String,
    hour: u32,
    source: String,
    day: u32,
    until: u32,
    rows: u64,
    subject: String,
    /// Whether all of its rows are of the stage: only then it is told when the stage is.
    is_whole: bool,
}

/// Corrections that are absorbed by an entry: a statement that gives `columns` of them. The ledger without them is what
/// counts. `bounds` is a condition on hours, and whatever else the corrections and their entries have in common.
#[must_use]
pub fn absorbed(columns: &str, bounds: &str) -> String {
    format!(
        "SELECT {columns} FROM ( \
            SELECT *, intDiv(toUInt32(toUnixTimestamp(minute)), 86400) * 86400 AS day \
            FROM ledger FINAL WHERE {bounds} AND {IS_CORRECTION} AND {OF_NO_REPLAY} \
        ) AS correction INNER JOIN ( \
            SELECT account_id, gateway_id, hour, source, toUInt64({DAY_OF_ENTRY}) AS day, minute AS entered_until \
            FROM ledger FINAL WHERE {bounds} AND startsWith(subject, '{SUBJECT}') \
        ) AS entry USING (account_id, gateway_id, hour, source, day) \
        WHERE correction.minute < entry.entered_until"
    )
}

impl Found {
    /// What the ledger is to say of a stage that ends at `until`.
    #[must_use]
    pub fn entry(self, until: Timestamp) -> Entry {
        let rows = self.ever();
        let day_end = self.day.saturating_add(seconds(DAY_MS));
        let until = seconds(until.millis()).min(day_end);
        // Another one takes more of the day, and has begun.
        let is_whole = until >= self.entered_until || !self.is_begun();
        let until = until.max(self.entered_until);
        let subject = format!("{SUBJECT}{}:{}", self.gateway_id, self.day);
        let Self { account_id, gateway_id, hour, source, day, .. } = self;
        Entry { account_id, gateway_id, hour, source, day, until, rows, subject, is_whole }
    }

    /// How many rows go that no other removal has begun to take.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.fresh_above + if self.is_begun() { 0 } else { self.fresh_below }
    }

    /// How many rows there ever were.
    fn ever(&self) -> u64 {
        let below = if self.is_begun() {
            // Some of them are gone.
            self.entered.max(self.fresh_below + self.corrected_below)
        } else {
            // All of them are gone, and corrections among them: what is there came later.
            self.entered + self.fresh_below
        };
        below + self.fresh_above + self.corrected_above
    }

    fn is_begun(&self) -> bool {
        self.version < 2 * self.entered
    }
}

impl Entry {
    /// The row of the ledger, as begun or as told.
    #[must_use]
    pub fn row(&self, is_told: bool) -> LedgerRow<'_> {
        let rows = i64::try_from(self.rows).unwrap_or(i64::MAX);
        LedgerRow {
            hour: self.hour,
            source: &self.source,
            account_id: &self.account_id,
            write_id: 0,
            subject: &self.subject,
            stored: -rows,
            deleted: rows,
            gateway_id: &self.gateway_id,
            minute: self.until,
            version: (2 * self.rows).saturating_sub(u64::from(!is_told)),
            ..LedgerRow::default()
        }
    }
}

/// An entry that was begun, as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct BegunRow {
    hour: u32,
    source: String,
    account_id: String,
    subject: String,
    deleted: i64,
    gateway_id: String,
    minute: u32,
}

impl BegunRow {
    /// Whose it is, and the entry; `None` where it is none of ours.
    #[must_use]
    pub fn entry(self) -> Option<(Scope, Entry)> {
        let scope = Scope::parse(&self.account_id, &self.gateway_id).ok()?;
        let (gateway, day) = self.subject.strip_prefix(SUBJECT)?.rsplit_once(':')?;
        gateway.parse::<GatewayId>().ok().filter(|gateway| *gateway == scope.gateway_id)?;
        let entry = Entry {
            day: day.parse().ok()?,
            rows: u64::try_from(self.deleted).ok()?,
            until: self.minute,
            account_id: self.account_id,
            gateway_id: self.gateway_id,
            hour: self.hour,
            source: self.source,
            subject: self.subject,
            is_whole: true,
        };
        Some((scope, entry))
    }
}

impl Entry {
    /// Whether it is told when its stage is.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The minutes that it is of, and the hour that it is of as the last one.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        let time = |seconds: u32| Timestamp::from_millis(i64::from(seconds) * 1_000).ok();
        let stored_before = time(self.hour)?.saturating_add_millis(HOUR_MS.unsigned_abs());
        Some(Stage { from: time(self.day)?, until: time(self.until)?, stored_before })
    }
}

#[cfg(test)]
mod tests;
