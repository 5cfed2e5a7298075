//! How rows of `logs` go by their age: in stages, of which the ledger says how many there were and not which. No I/O.
//!
//! A stage is what ended within some minutes of one month and was stored in hours that are over. The same steps as for rows
//! that are chosen one by one, each of which may be taken again, see [`crate::deletion`]:
//!
//! 1. The ledger gets an [`Entry`] for each hour, source, gateway and day, as begun.
//! 2. Bodies go, then annotations, of the rows of the stage and no others.
//! 3. The rows go.
//! 4. The aggregator is told of their minutes.
//! 5. The entries are in the ledger as told.
//!
//! **An entry is a fact and not a difference**: of the rows that were stored in an hour, how many there ever were that ended on
//! a day before a minute. Nothing is stored in an hour that is over, so it is the same number whoever counts, however much of
//! the stage is gone already: rows that are there, and rows of which the ledger says that they were taken out one by one. What
//! it says of those is absorbed: it counts no longer, whether it was entered before or comes later. So it makes no difference
//! in which order a stage, a deletion by filter and the repair of a race come to the same row.
//!
//! Its version is twice the number of rows once it is told, and one less before: of two entries the one that knows of more
//! rows is in force, and `version < 2 * deleted` is what is to be finished, as it is for single rows.

mod entry;

use std::fmt;

use clickhouse::Row;
use serde::Deserialize;
use weir_event::{EventId, Scope, Timestamp};

pub use self::entry::{BegunRow, Entry, Found, SUBJECT, absorbed};
use crate::BODY_TABLES;
use crate::deletion::{IS_CORRECTION, Removal, seconds};

/// An hour is over when it ended this long ago, in minutes: no write of it is under way any more.
pub const HOUR_OVER_MIN: u32 = 15;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Rows that a replay stored bear the time of the rows whose place they took: they may come at any time. They go one by one.
const OF_NO_REPLAY: &str = "write_id % 2 = 0";

/// Whose rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach<'s> {
    /// One tenant's. Statements have the placeholders `{account_id:String}` and `{gateway_id:String}`.
    Tenant(&'s Scope),
    /// Everybody's.
    All,
}

/// What goes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The first minute.
    pub from: Timestamp,
    /// The minute after the last, within the same month.
    pub until: Timestamp,
    /// Only what was stored in hours before this one.
    pub stored_before: Timestamp,
}

/// What there is of a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Row, Deserialize)]
pub struct Extent {
    /// Rows.
    pub rows: u64,
    /// The first and the last time that one was stored, in epoch milliseconds.
    pub stored: (i64, i64),
    /// The first and the last time that one began, in epoch milliseconds.
    pub started: (i64, i64),
}

impl Reach<'_> {
    /// The condition, with a space behind it where it goes on.
    fn condition(self) -> &'static str {
        match self {
            Self::Tenant(_) => "account_id = {account_id:String} AND gateway_id = {gateway_id:String} AND ",
            Self::All => "",
        }
    }
}

impl Stage {
    /// Gives an [`Extent`].
    #[must_use]
    pub fn extent(&self, reach: Reach<'_>) -> String {
        let times = |column: &str| {
            format!("(toUnixTimestamp64Milli(min({column})), toUnixTimestamp64Milli(max({column})))")
        };
        format!(
            "SELECT count() AS rows, {} AS stored, {} AS started FROM logs WHERE {}",
            times("ingested_at"),
            times("started_at"),
            self.rows(reach)
        )
    }

    /// Gives a [`Found`] for each hour, source, gateway and day that has rows of which the ledger says nothing.
    #[must_use]
    pub fn found(&self, reach: Reach<'_>, extent: &Extent) -> String {
        let corrections = self.corrections(reach, extent);
        let (tenant, hours) = (reach.condition(), extent.hours());
        format!(
            "WITH corrections AS ({corrections}), \
                entries AS ( \
                    SELECT account_id, gateway_id, toUInt32(toUnixTimestamp(hour)) AS hour, source, {DAY_OF_ENTRY} AS day, \
                        toUInt64(deleted) AS entered, version, toUInt32(toUnixTimestamp(minute)) AS entered_until \
                    FROM ledger FINAL WHERE {tenant}{hours} AND startsWith(subject, '{SUBJECT}') \
                ) \
             SELECT account_id, gateway_id, hour, source, day, entered, version, entered_until, \
                sumIf(fresh, minute < entered_until) AS fresh_below, \
                sumIf(corrected, minute < entered_until) AS corrected_below, \
                sumIf(fresh, minute >= entered_until) AS fresh_above, \
                sumIf(corrected, minute >= entered_until) AS corrected_above \
             FROM ( \
                SELECT account_id, gateway_id, hour, source, minute, toUInt32(minute - minute % 86400) AS day, \
                    sum(is_fresh) AS fresh, sum(is_corrected) AS corrected \
                FROM ( \
                    SELECT account_id, gateway_id, toUInt32(toUnixTimestamp(toStartOfHour(ingested_at))) AS hour, source, \
                        toUInt32(toUnixTimestamp(toStartOfMinute(created_at))) AS minute, \
                        count() AS is_fresh, toUInt64(0) AS is_corrected \
                    FROM logs WHERE {} \
                        AND concat(id, toString(write_id)) NOT IN (SELECT concat(subject, toString(write_id)) FROM corrections) \
                    GROUP BY account_id, gateway_id, hour, source, minute \
                    UNION ALL \
                    SELECT account_id, gateway_id, hour, source, minute, toUInt64(0), count() FROM corrections \
                    GROUP BY account_id, gateway_id, hour, source, minute \
                ) GROUP BY account_id, gateway_id, hour, source, minute \
             ) AS counted ANY LEFT JOIN entries USING (account_id, gateway_id, hour, source, day) \
             GROUP BY account_id, gateway_id, hour, source, day, entered, version, entered_until \
             HAVING sum(fresh) > 0",
            self.rows(reach)
        )
    }

    /// Gives two numbers that are others if corrections of the stage's rows were entered in between.
    #[must_use]
    pub fn fingerprint(&self, reach: Reach<'_>, extent: &Extent) -> String {
        let corrections = self.corrections(reach, extent);
        format!("SELECT count() AS rows, sum(cityHash64(subject, write_id)) AS names FROM ({corrections})")
    }

    /// Gives the ids of those of the stage's rows that something hangs on, in order: bodies, or what was said of them since. What
    /// hangs on them is taken out by these and not by a question within the statement, to which each replica would have an
    /// answer of its own.
    #[must_use]
    pub fn attached(&self, reach: Reach<'_>, extent: &Extent) -> String {
        let ids = format!("id IN (SELECT id FROM logs WHERE {})", self.rows(reach));
        let tenant = reach.condition();
        let (first, last) = extent.started;
        let of_table = |table| {
            format!(
                "SELECT id FROM {table} WHERE {tenant}started_at BETWEEN fromUnixTimestamp64Milli({first}, 'UTC') \
                    AND fromUnixTimestamp64Milli({last}, 'UTC') AND {ids} UNION ALL "
            )
        };
        let bodies = BODY_TABLES.map(of_table).concat();
        format!(
            "SELECT DISTINCT id FROM ({bodies}SELECT id FROM annotations WHERE {tenant}{ids}) ORDER BY id"
        )
    }

    /// Takes out the rows.
    #[must_use]
    pub fn removal(&self, reach: Reach<'_>) -> Removal {
        Removal::of("logs", Some(&month(self.from).to_string()), &self.rows(reach))
    }

    /// Gives the tenants and minutes, in epoch seconds, that have a rollup: those that the stage's rows are of, at least.
    #[must_use]
    pub fn minutes(&self, reach: Reach<'_>) -> String {
        format!(
            "SELECT DISTINCT account_id, gateway_id, toUInt32(toUnixTimestamp(minute)) AS minute FROM usage_1m \
             WHERE {}minute >= toDateTime({}, 'UTC') AND minute < toDateTime({}, 'UTC') AND requests > 0",
            reach.condition(),
            seconds(self.from.millis()),
            seconds(self.until.millis())
        )
    }

    fn rows(&self, reach: Reach<'_>) -> String {
        format!(
            "{}created_at >= fromUnixTimestamp64Milli({}, 'UTC') AND created_at < fromUnixTimestamp64Milli({}, 'UTC') \
             AND ingested_at < fromUnixTimestamp64Milli({}, 'UTC') AND {OF_NO_REPLAY}",
            reach.condition(),
            self.from.millis(),
            self.until.millis(),
            self.stored_before.millis()
        )
    }

    fn corrections(&self, reach: Reach<'_>, extent: &Extent) -> String {
        format!(
            "SELECT account_id, gateway_id, toUInt32(toUnixTimestamp(hour)) AS hour, source, \
                toUInt32(toUnixTimestamp(minute)) AS minute, subject, write_id \
             FROM ledger FINAL WHERE {}{} AND {IS_CORRECTION} AND {OF_NO_REPLAY} \
                AND minute >= toDateTime({}, 'UTC') AND minute < toDateTime({}, 'UTC')",
            reach.condition(),
            extent.hours(),
            seconds(self.from.millis()),
            seconds(self.until.millis())
        )
    }
}

/// The day of an entry, in epoch seconds.
const DAY_OF_ENTRY: &str = "toUInt32OrZero(splitByChar(':', subject)[-1])";

/// Takes out the bodies of all calls of a month that began before `before`, from one of [`BODY_TABLES`].
#[must_use]
pub fn bodies_before(table: &str, month: Timestamp, before: Timestamp) -> Removal {
    let until = before.min(month_after(month)).millis();
    let condition = format!(
        "started_at >= fromUnixTimestamp64Milli({}, 'UTC') AND started_at < fromUnixTimestamp64Milli({until}, 'UTC')",
        month.millis()
    );
    Removal::of(table, Some(&self::month(month).to_string()), &condition)
}

/// Gives the tenants and ids of up to `limit` calls that began before `before`, of which something was said and whose rows are gone.
#[must_use]
pub fn annotated_before(before: Timestamp, limit: u32) -> String {
    // The first characters of an id are its start; nothing sorts before it than zeros.
    let first = EventId::derive(before, &[]);
    format!(
        "SELECT DISTINCT account_id, gateway_id, id FROM annotations \
         WHERE id < toFixedString('{:0<26}', 26) AND id NOT IN ( \
            SELECT id FROM logs WHERE started_at < fromUnixTimestamp64Milli({}, 'UTC') \
         ) ORDER BY account_id, gateway_id, id LIMIT {limit}",
        &first.as_str()[..10],
        before.millis()
    )
}

impl Extent {
    fn hours(&self) -> String {
        let hour = |millis: i64| seconds(millis - millis.rem_euclid(HOUR_MS));
        let (first, last) = self.stored;
        format!("hour BETWEEN toDateTime({}, 'UTC') AND toDateTime({}, 'UTC')", hour(first), hour(last))
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.from.millis(), self.until.millis(), self.stored_before.millis())
    }
}

impl std::str::FromStr for Stage {
    type Err = NotAStage;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let times = text.split(' ').map(|word| Timestamp::from_millis(word.parse().ok()?).ok());
        match times.collect::<Option<Vec<_>>>().as_deref() {
            Some(&[from, until, stored_before]) => Ok(Self { from, until, stored_before }),
            _ => Err(NotAStage),
        }
    }
}

/// A text that names no stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not three times in epoch milliseconds")]
pub struct NotAStage;

/// The start of a time's day, UTC.
#[must_use]
pub fn day_of(time: Timestamp) -> Timestamp {
    let millis = time.millis();
    Timestamp::from_millis(millis - millis.rem_euclid(DAY_MS)).unwrap_or(Timestamp::MIN)
}

/// The start of a time's hour.
#[must_use]
pub fn hour_of(time: Timestamp) -> Timestamp {
    let millis = time.millis();
    Timestamp::from_millis(millis - millis.rem_euclid(HOUR_MS)).unwrap_or(Timestamp::MIN)
}

/// The start of the day after a time's.
#[must_use]
pub fn day_after(time: Timestamp) -> Timestamp {
    day_of(time).saturating_add_millis(DAY_MS.unsigned_abs())
}

/// The start of a month, `YYYYMM`; `None` where it is none.
#[must_use]
pub fn start_of_month(month: u32) -> Option<Timestamp> {
    format!("{:04}-{:02}-01T00:00:00Z", month / 100, month % 100).parse().ok()
}

/// The start of the month after a time's.
#[must_use]
pub fn month_after(time: Timestamp) -> Timestamp {
    let month = month(time);
    let after = if month % 100 == 12 { month + 89 } else { month + 1 };
    start_of_month(after).unwrap_or(Timestamp::MAX)
}

/// The partition of a time, as `YYYYMM`.
#[must_use]
pub fn month(time: Timestamp) -> u32 {
    time.to_string()[..7].replace('-', "").parse().unwrap_or_default()
}
