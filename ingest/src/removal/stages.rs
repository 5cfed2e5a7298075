//! Takes a stage: counts it, says so in the ledger, takes it out, tells of it.

use std::time::Duration;

use clickhouse::Row;
use serde::Deserialize;
use weir_event::{EventId, Scope, Timestamp};
use weir_store::LedgerRow;
use weir_store::deletion::{self, ROWS_PER_STATEMENT_MAX};
use weir_store::removal::{Entry, Extent, Found, HOUR_OVER_MIN, Reach, Stage};

use super::Remover;
use crate::sink::SinkError;

/// How often a stage is counted whose single rows others are taking out.
const COUNTS_MAX: u32 = 20;
/// Minutes that are told of at a time, and how long NATS may take for them.
const MINUTES_TOLD_MAX: usize = 20_000;
const TELL_LIMIT: Duration = Duration::from_secs(30);

/// A stage with something in it.
#[derive(Debug)]
pub(super) struct Counted {
    extent: Extent,
    entries: Vec<Entry>,
    /// How many rows of it go that nobody else has begun to take.
    pub(super) taken: u64,
}

#[derive(PartialEq, Eq, Row, Deserialize)]
struct Fingerprint {
    rows: u64,
    names: u64,
}

#[derive(Row, Deserialize)]
struct IdRow {
    id: [u8; 26],
}

#[derive(Row, Deserialize)]
struct MinuteRow {
    account_id: String,
    gateway_id: String,
    minute: u32,
}

impl Remover {
    /// The hour before which nothing of a tenant is stored any more, and everything that was is in the ledger: rows of a write
    /// that is not would be entered with it once more.
    pub(super) async fn stored_before(
        &self,
        reach: Reach<'_>,
        before: Timestamp,
    ) -> Result<Timestamp, SinkError> {
        // Whoever lacks an entry gets one within a day, or never.
        const LOOK_BACK: &str = "now() - INTERVAL 25 HOUR";
        let tenant = match reach {
            Reach::Tenant(_) => "account_id = {account_id:String} AND gateway_id = {gateway_id:String} AND",
            Reach::All => "",
        };
        let over = format!("toStartOfHour(now() - INTERVAL {HOUR_OVER_MIN} MINUTE)");
        let statement = format!(
            "SELECT toInt64(toUnixTimestamp(if(count() > 0, least(min(toStartOfHour(ingested_at)), {over}), {over}))) * 1000 \
             FROM logs WHERE {tenant} created_at < fromUnixTimestamp64Milli({}, 'UTC') \
                AND ingested_at >= {LOOK_BACK} AND ingested_at < {over} AND write_id % 2 = 0 \
                AND write_id NOT IN (SELECT write_id FROM ledger WHERE hour >= {LOOK_BACK} - INTERVAL 1 HOUR AND subject = '')",
            before.millis()
        );
        let hour = self.store.reaching(&statement, reach).fetch_one::<i64>();
        let hour = self.store.within("look for hours that are over", hour).await?;
        Timestamp::from_millis(hour).map_err(SinkError::Clock)
    }

    /// Counts a stage; `None` where there is nothing in it but what others are taking out row by row.
    pub(super) async fn count(&self, reach: Reach<'_>, stage: &Stage) -> Result<Option<Counted>, SinkError> {
        let extent = self.store.reaching(&stage.extent(reach), reach).fetch_one::<Extent>();
        let extent = self.store.within("look at a stage", extent).await?;
        if extent.rows == 0 {
            return Ok(None);
        }
        let fingerprint = async || {
            let query = self.store.reaching(&stage.fingerprint(reach, &extent), reach);
            self.store.within("look at corrections", query.fetch_one::<Fingerprint>()).await
        };
        let mut before = fingerprint().await?;
        for _ in 0..COUNTS_MAX {
            let found = self.store.reaching(&stage.found(reach, &extent), reach).fetch_all::<Found>();
            let found = self.store.within("count a stage", found).await?;
            let after = fingerprint().await?;
            if before == after {
                let taken = found.iter().map(Found::taken).sum();
                let entries: Vec<_> = found.into_iter().map(|found| found.entry(stage.until)).collect();
                return Ok((!entries.is_empty()).then_some(Counted { extent, entries, taken }));
            }
            before = after;
        }
        Err(SinkError::Unsettled)
    }

    /// Enters what is to go: from here on it will.
    pub(super) async fn enter(&self, counted: &Counted, is_told: bool) -> Result<(), SinkError> {
        let entries = counted.entries.iter().filter(|entry| !is_told || entry.is_whole());
        let rows: Vec<LedgerRow<'_>> = entries.map(|entry| entry.row(is_told)).collect();
        self.store.enter(&rows).await
    }

    /// Takes a stage of a tenant out that was entered, with what hangs on its rows, and tells of it. What is not told is left to be told later.
    pub(super) async fn take_out(
        &self,
        reach: Reach<'_>,
        stage: &Stage,
        counted: &Counted,
    ) -> Result<(), SinkError> {
        if let Reach::Tenant(scope) = reach {
            let attached = self.store.of_tenant(&stage.attached(reach, &counted.extent), scope);
            let attached = self.store.within("look for bodies", attached.fetch_all::<IdRow>()).await?;
            let ids: Vec<_> = attached.into_iter().filter_map(|row| EventId::try_from(row.id).ok()).collect();
            for ids in ids.chunks(ROWS_PER_STATEMENT_MAX) {
                self.store.remove(reach, &deletion::attachments(ids)).await?;
            }
        }
        self.store.remove(reach, &[stage.removal(reach)]).await?;
        if self.tell(reach, stage).await? { self.enter(counted, true).await } else { Ok(()) }
    }

    /// Tells of the minutes of a stage, and gives whether NATS has it all.
    pub(super) async fn tell(&self, reach: Reach<'_>, stage: &Stage) -> Result<bool, SinkError> {
        let minutes = self.store.reaching(&stage.minutes(reach), reach).fetch_all::<MinuteRow>();
        let minutes = self.store.within("look for rollups", minutes).await?;
        for minutes in minutes.chunks(MINUTES_TOLD_MAX) {
            let minutes = minutes.iter().filter_map(MinuteRow::minute);
            if !self.announcer.tell_changed_for_certain(minutes, TELL_LIMIT).await {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl MinuteRow {
    fn minute(&self) -> Option<(Scope, Timestamp)> {
        let scope = Scope::parse(&self.account_id, &self.gateway_id).ok()?;
        Some((scope, Timestamp::from_millis(i64::from(self.minute) * 1_000).ok()?))
    }
}
