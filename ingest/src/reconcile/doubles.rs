//! Events that have several rows, and corrections whose minutes were not told: what is left of a writer that died, or
//! could not reach ClickHouse, between its commit and the end of its repair.

use std::ops::Range;

use clickhouse::Row;
use serde::Deserialize;
use weir_event::{EventId, Scope, Timestamp};
use weir_store::LedgerRow;

use super::Reconciler;
use super::slices::{LOOK_BACK_MS, Time};
use crate::sink::{SinkError, TOLD, by_scope};

#[derive(Row, Deserialize)]
struct DoubleRow {
    account_id: String,
    gateway_id: String,
    id: [u8; 26],
}

#[derive(Row, Deserialize)]
struct UntoldRow {
    hour: u32,
    source: String,
    account_id: String,
    write_id: u64,
    subject: String,
    stored: i64,
    duplicates: i64,
    gateway_id: String,
    minute: u32,
}

impl Reconciler {
    /// Leaves one row of each event that was stored lately.
    pub(super) async fn repair_doubles(&self, now_ms: i64) -> Result<(), SinkError> {
        let since_ms = now_ms - LOOK_BACK_MS;
        for range in self.slices(Time::Started, since_ms).await? {
            let doubles = self.doubles(since_ms, &range).await?;
            for (scope, ids) in by_scope(doubles.iter().filter_map(DoubleRow::event)) {
                self.races.repair(&scope, &ids).await?;
            }
        }
        Ok(())
    }

    /// Tells the aggregator of minutes that whoever changed them did not come to tell of.
    pub(super) async fn tell_again(&self) -> Result<(), SinkError> {
        const UNTOLD: &str = "SELECT ?fields FROM ledger FINAL \
            WHERE hour >= now() - INTERVAL 1 DAY AND gateway_id != '' AND deleted = 0 AND version < ? \
                AND entered_at < now64(3) - INTERVAL 30 SECOND";
        let query = self.store.client.query(UNTOLD).bind(TOLD).fetch_all();
        let untold: Vec<UntoldRow> = self.store.within("look for corrections", query).await?;
        if untold.is_empty() {
            return Ok(());
        }
        self.races.announcer().tell_changed(untold.iter().filter_map(UntoldRow::minute));
        let told: Vec<_> = untold.iter().map(UntoldRow::told).collect();
        self.store.enter(&told).await
    }

    /// Every row of an event has the same start: it is in the id. So a part of the time has all of an event's rows.
    async fn doubles(&self, since_ms: i64, range: &Range<i64>) -> Result<Vec<DoubleRow>, SinkError> {
        const DOUBLES: &str = "SELECT account_id, gateway_id, id FROM logs \
            WHERE ingested_at >= fromUnixTimestamp64Milli(?) AND started_at >= fromUnixTimestamp64Milli(?) \
                AND started_at < fromUnixTimestamp64Milli(?) \
            GROUP BY account_id, gateway_id, id HAVING count() > 1";
        let query = self.store.client.query(DOUBLES).bind(since_ms).bind(range.start).bind(range.end);
        self.store.within("look for events with several rows", query.fetch_all()).await
    }
}

impl DoubleRow {
    fn event(&self) -> Option<(Scope, EventId)> {
        let scope = Scope::parse(&self.account_id, &self.gateway_id).ok()?;
        Some((scope, EventId::try_from(self.id).ok()?))
    }
}

impl UntoldRow {
    fn minute(&self) -> Option<(Scope, Timestamp)> {
        let scope = Scope::parse(&self.account_id, &self.gateway_id).ok()?;
        Some((scope, Timestamp::from_millis(i64::from(self.minute) * 1_000).ok()?))
    }

    fn told(&self) -> LedgerRow<'_> {
        LedgerRow {
            hour: self.hour,
            source: &self.source,
            account_id: &self.account_id,
            write_id: self.write_id,
            subject: &self.subject,
            stored: self.stored,
            duplicates: self.duplicates,
            gateway_id: &self.gateway_id,
            minute: self.minute,
            version: TOLD,
            ..LedgerRow::default()
        }
    }
}
