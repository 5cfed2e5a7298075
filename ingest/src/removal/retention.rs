//! What retention says is kept too long, of all tenants: rows that ended, and bodies whose call began, more than so long ago, by
//! whole days (UTC).
//!
//! Rows go in the same stages as what somebody asks for, a day in each. Where all of a month goes, and nothing of it is too
//! young to be counted by the hour, its parts are dropped instead: those that were there before it was counted.

use std::collections::BTreeSet;
use std::time::Duration;

use clickhouse::Row;
use serde::Deserialize;
use weir_event::{EventId, Scope, Timestamp};
use weir_service::config::{Key, Reader, Reported};
use weir_store::BODY_TABLES;
use weir_store::deletion::{self, ROWS_PER_STATEMENT_MAX};
use weir_store::removal::{self, Reach, Stage, day_of};
use weir_store::rollup::{QUARTERS, ROLLUPS, USAGE_1M};

use super::Remover;
use super::stages::Counted;
use crate::sink::{SinkError, by_scope};

const DAY: Duration = Duration::from_hours(24);
/// From one look to the next while nothing has become too old since.
const LOOK_INTERVAL_MS: i64 = 3_600_000;
/// The same after rollups were dropped: what was being computed of them meanwhile is there by then.
const SETTLING_MS: i64 = 2 * 60_000;
/// Events of which annotations are taken out at a look.
const ANNOTATED_PER_LOOK_MAX: u32 = 100_000;
const LOGS: &str = "ingest.retention_logs";
const BODIES: &str = "ingest.retention_bodies";

/// The keys of retention.
pub(crate) const KEYS: [Key; 2] = [
    Key::new(
        LOGS,
        "how long logs are kept, with their bodies and their share of statistics; for ever if not set",
    ),
    Key::new(BODIES, "how long bodies are kept, if not as long as their logs; as long as these if not set"),
];

/// How long what is kept. What is not said is kept for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retention {
    logs: Option<Duration>,
    bodies: Option<Duration>,
}

/// What retention was at work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    limits: Limits,
    at_ms: i64,
    has_dropped_rollups: bool,
}

/// Before when what is too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    logs: Option<Timestamp>,
    bodies: Option<Timestamp>,
}

#[derive(Row, Deserialize)]
struct DayRow {
    day_ms: i64,
}

#[derive(Row, Deserialize)]
struct AnnotatedRow {
    account_id: String,
    gateway_id: String,
    id: [u8; 26],
}

#[derive(Row, Deserialize)]
struct TenantRow {
    account_id: String,
    gateway_id: String,
}

/// Reads the settings.
pub(crate) fn read(reader: &mut Reader) -> Result<Retention, Reported> {
    let mut limit = |name| {
        let limit: Option<Duration> = reader.get_optional(name)?;
        reader.require(limit.is_none_or(|limit| limit >= DAY), name, "is less than a day")?;
        Ok(limit)
    };
    let (logs, bodies) = (limit(LOGS), limit(BODIES));
    let retention = Retention { logs: logs?, bodies: bodies? };
    let is_longer = retention.logs.is_some_and(|logs| retention.bodies.is_some_and(|bodies| bodies > logs));
    reader.require(!is_longer, BODIES, "is more than ingest.retention_logs: bodies go with their logs")?;
    Ok(retention)
}

impl Retention {
    fn limits(self, now_ms: i64) -> Limits {
        let before = |kept: Duration| {
            let kept_ms = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
            Timestamp::from_millis(now_ms.saturating_sub(kept_ms)).ok().map(day_of)
        };
        let logs = self.logs.and_then(before);
        Limits { logs, bodies: logs.max(self.bodies.and_then(before)) }
    }
}

impl Remover {
    /// Takes out what is too old, once when it becomes so and every hour: it may be stored when it is too old already.
    pub(super) async fn look_for_what_is_kept_too_long(&mut self) -> Result<(), SinkError> {
        let at_ms = self.clock.now_ms();
        let limits = self.retention.limits(at_ms);
        let is_done = |look: &Look| {
            let interval_ms = if look.has_dropped_rollups { SETTLING_MS } else { LOOK_INTERVAL_MS };
            look.limits == limits && at_ms - look.at_ms < interval_ms
        };
        if self.looked.as_ref().is_some_and(is_done) {
            return Ok(());
        }
        let mut has_dropped_rollups = false;
        if let Some(before) = limits.logs {
            has_dropped_rollups = self.retire_logs(before).await?;
        }
        if let Some(before) = limits.bodies {
            self.retire_bodies(before).await?;
        }
        self.looked = Some(Look { limits, at_ms, has_dropped_rollups });
        Ok(())
    }

    /// Tells whether rollups were dropped.
    async fn retire_logs(&self, before: Timestamp) -> Result<bool, SinkError> {
        let stored_before = self.stored_before(Reach::All, before).await?;
        let mut has_dropped = false;
        for month in self.months("logs", before).await? {
            has_dropped |= self.retire_month(month, before, stored_before).await?;
        }
        // What was being computed when the others were dropped was not told of, and nobody would look at it again.
        let mut months = BTreeSet::new();
        for rollup in ROLLUPS {
            months.extend(self.months(rollup.table, before).await?);
        }
        for month in months.into_iter().filter(|month| removal::month_after(*month) <= before) {
            has_dropped |= self.drop_rollups(month).await?;
        }
        self.retire_strays(before, stored_before).await?;
        self.retire_annotations(before).await?;
        Ok(has_dropped)
    }

    /// What was said of calls whose rows are gone, with bodies of theirs that are left. More than a look takes is for the next.
    async fn retire_annotations(&self, before: Timestamp) -> Result<(), SinkError> {
        let statement = removal::annotated_before(before, ANNOTATED_PER_LOOK_MAX);
        let annotated = self.store.client.query_raw(&statement).fetch_all::<AnnotatedRow>();
        let event = |row: &AnnotatedRow| {
            let scope = Scope::parse(&row.account_id, &row.gateway_id).ok()?;
            Some((scope, EventId::try_from(row.id).ok()?))
        };
        let annotated = self.store.within("look for annotations", annotated).await?;
        for (scope, ids) in &by_scope(annotated.iter().filter_map(event)) {
            for ids in ids.chunks(ROWS_PER_STATEMENT_MAX) {
                self.store.remove(Reach::Tenant(scope), &deletion::attachments(ids)).await?;
            }
        }
        Ok(())
    }

    /// Tells whether rollups were dropped.
    async fn retire_month(
        &self,
        month: Timestamp,
        before: Timestamp,
        stored_before: Timestamp,
    ) -> Result<bool, SinkError> {
        let is_whole = removal::month_after(month) <= before;
        let parts = if is_whole { self.parts("logs", month, "").await? } else { Vec::new() };
        let mut counted: Vec<(Stage, Counted)> = Vec::new();
        for stage in self.days(month, before, stored_before).await? {
            let Some(of_stage) = self.count(Reach::All, &stage).await? else { continue };
            tracing::info!(rows = of_stage.taken, day = %stage.from, "logs are kept no longer");
            self.enter(&of_stage, false).await?;
            if is_whole {
                counted.push((stage, of_stage));
            } else {
                self.retire(&stage, &of_stage).await?;
            }
        }
        let mut has_dropped = false;
        if is_whole && self.uncounted(month, stored_before).await? == 0 {
            self.drop_parts("logs", &parts).await?;
            has_dropped = self.drop_rollups(month).await?;
        }
        for (stage, of_stage) in &counted {
            self.retire(stage, of_stage).await?;
        }
        Ok(has_dropped)
    }

    /// Drops the rollups of a month if it has no logs any more: nothing is left to be computed anew, unless it came just now.
    /// Tells whether there were any.
    async fn drop_rollups(&self, month: Timestamp) -> Result<bool, SinkError> {
        let mut rollups = Vec::new();
        // Quarters go first: whatever is told of later, minutes lead to their quarters.
        for rollup in QUARTERS.into_iter().chain([&USAGE_1M]) {
            rollups.push((rollup.table, self.parts(rollup.table, month, "").await?));
        }
        if self.uncounted(month, Timestamp::MIN).await? > 0 {
            return Ok(false);
        }
        let mut has_dropped = false;
        for (table, parts) in &rollups {
            // Without its minutes nobody would look at a quarter again.
            if *table == USAGE_1M.table && self.has_quarters(month).await? {
                break;
            }
            has_dropped |= self.drop_parts(table, parts).await? > 0;
        }
        Ok(has_dropped)
    }

    /// Takes a day out that was entered, as far as it is there, and tells of it. Its bodies go by themselves.
    async fn retire(&self, stage: &Stage, counted: &Counted) -> Result<(), SinkError> {
        self.store.remove(Reach::All, &[stage.removal(Reach::All)]).await?;
        if self.tell(Reach::All, stage).await? { self.enter(counted, true).await } else { Ok(()) }
    }

    /// What replays stored, which may be of any hour.
    async fn retire_strays(&self, before: Timestamp, stored_before: Timestamp) -> Result<(), SinkError> {
        let statement = format!(
            "SELECT DISTINCT account_id, gateway_id FROM logs WHERE created_at < fromUnixTimestamp64Milli({}, 'UTC') \
                AND ingested_at < fromUnixTimestamp64Milli({}, 'UTC') AND write_id % 2 = 1",
            before.millis(),
            stored_before.millis()
        );
        let tenants = self.store.client.query_raw(&statement).fetch_all::<TenantRow>();
        for tenant in self.store.within("look for replayed rows", tenants).await? {
            let Ok(scope) = Scope::parse(&tenant.account_id, &tenant.gateway_id) else { continue };
            while let Some(chosen) = self.choose(&scope, before, stored_before).await? {
                self.take_singly(&scope, &chosen).await?;
            }
        }
        Ok(())
    }

    async fn retire_bodies(&self, before: Timestamp) -> Result<(), SinkError> {
        for table in BODY_TABLES {
            for month in self.months(table, before).await? {
                if removal::month_after(month) <= before {
                    // The row of what was written just now may be about to come.
                    let settled = "AND modification_time < now() - INTERVAL 15 MINUTE";
                    let parts = self.parts(table, month, settled).await?;
                    self.drop_parts(table, &parts).await?;
                }
                self.store.remove(Reach::All, &[removal::bodies_before(table, month, before)]).await?;
            }
        }
        Ok(())
    }

    /// The months that a table has parts of and that began before `before`, by their start.
    async fn months(&self, table: &str, before: Timestamp) -> Result<Vec<Timestamp>, SinkError> {
        const MONTHS: &str = "SELECT DISTINCT toUInt32OrZero(partition_id) AS month FROM system.parts \
            WHERE database = currentDatabase() AND table = ? AND active ORDER BY month";
        let months = self.store.client.query(MONTHS).bind(table).fetch_all::<u32>();
        let months = self.store.within("look for months", months).await?;
        let started = |month: &Timestamp| *month < before;
        Ok(months.into_iter().filter_map(removal::start_of_month).filter(started).collect())
    }

    /// The days of a month that have rows which can be counted by the hour.
    async fn days(
        &self,
        month: Timestamp,
        before: Timestamp,
        stored_before: Timestamp,
    ) -> Result<Vec<Stage>, SinkError> {
        const DAYS: &str = "SELECT DISTINCT toInt64(toUnixTimestamp(toStartOfDay(created_at))) * 1000 AS day_ms FROM logs \
            WHERE created_at >= fromUnixTimestamp64Milli(?) AND created_at < fromUnixTimestamp64Milli(?) \
                AND ingested_at < fromUnixTimestamp64Milli(?) AND write_id % 2 = 0 ORDER BY day_ms";
        let until = before.min(removal::month_after(month));
        let query = self.store.client.query(DAYS).bind(month.millis()).bind(until.millis());
        let days = query.bind(stored_before.millis()).fetch_all::<DayRow>();
        let days = self.store.within("look for days", days).await?;
        let stage = |day: DayRow| {
            let from = Timestamp::from_millis(day.day_ms).ok()?;
            Some(Stage { from, until: removal::day_after(from), stored_before })
        };
        Ok(days.into_iter().filter_map(stage).collect())
    }

    /// How many rows a month has that cannot be counted by the hour.
    async fn uncounted(&self, month: Timestamp, stored_before: Timestamp) -> Result<u64, SinkError> {
        const UNCOUNTED: &str = "SELECT count() FROM logs \
            WHERE created_at >= fromUnixTimestamp64Milli(?) AND created_at < fromUnixTimestamp64Milli(?) \
                AND (ingested_at >= fromUnixTimestamp64Milli(?) OR write_id % 2 = 1)";
        let query = self.store.client.query(UNCOUNTED).bind(month.millis());
        let query = query.bind(removal::month_after(month).millis()).bind(stored_before.millis());
        self.store.within("look at a month", query.fetch_one()).await
    }

    /// Whether anything has calls in a quarter of a month.
    async fn has_quarters(&self, month: Timestamp) -> Result<bool, SinkError> {
        for rollup in QUARTERS {
            let statement = format!(
                "SELECT count() FROM {} FINAL WHERE requests > 0 \
                    AND slot >= fromUnixTimestamp64Milli(?) AND slot < fromUnixTimestamp64Milli(?)",
                rollup.table
            );
            let query = self.store.client.query(&statement).bind(month.millis());
            let query = query.bind(removal::month_after(month).millis()).fetch_one::<u64>();
            if self.store.within("look at quarters of an hour", query).await? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn parts(&self, table: &str, month: Timestamp, more: &str) -> Result<Vec<String>, SinkError> {
        const PARTS: &str = "SELECT name FROM system.parts \
            WHERE database = currentDatabase() AND table = ? AND active AND partition_id = ?";
        let query = self.store.client.query(&format!("{PARTS} {more}")).bind(table);
        let parts = query.bind(removal::month(month).to_string()).fetch_all();
        self.store.within("look at parts", parts).await
    }

    /// Drops parts, and tells how many. One that is gone was merged, or dropped by somebody else: what is in its place is left
    /// alone.
    async fn drop_parts(&self, table: &str, parts: &[String]) -> Result<usize, SinkError> {
        let mut dropped = 0;
        let is_plain = |part: &&String| part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
        for part in parts.iter().filter(is_plain) {
            let drop = self.store.client.query_raw(&format!("ALTER TABLE {table} DROP PART '{part}'"));
            match self.store.within("drop a part", drop.execute()).await {
                Ok(()) => dropped += 1,
                Err(error) if error.is_rejection() && !error.is_outage() => {
                    tracing::info!(table, part, %error, "a part is not there to be dropped");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_the_starts_of_days_and_bodies_go_with_their_logs_at_the_latest() {
        let days = |days| Some(DAY * days);
        let now = 1_782_604_800_000 + 5_000; // 2026-06-28, five seconds after midnight
        let limits = |logs, bodies| {
            let Limits { logs, bodies } = Retention { logs, bodies }.limits(now);
            [logs, bodies].map(|limit| limit.map(|limit| limit.to_string()[..10].to_owned()))
        };
        let day = |text: &str| Some(text.to_owned());
        assert_eq!(limits(None, None), [None, None]);
        assert_eq!(limits(days(1), None), [day("2026-06-27"), day("2026-06-27")]);
        assert_eq!(limits(days(90), days(7)), [day("2026-03-30"), day("2026-06-21")]);
        assert_eq!(limits(None, days(7)), [None, day("2026-06-21")]);
        let long = Some(Duration::from_secs(u64::MAX));
        assert_eq!(limits(long, None), [None, None]);
    }
}
