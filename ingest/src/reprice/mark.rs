//! Tells the aggregator which minutes were changed.

use async_nats::jetstream::Context;
use clickhouse::query::RowCursor;
use weir_event::bus::{self, DirtyMessage};
use weir_event::{Scope, Timestamp};
use weir_service::config::NatsConfig;

use super::apply::Batch;
use super::error::{MarkError, RepriceError};
use super::table::{MinuteRow, Table};
use crate::sink::reach_bus;

/// Publishes [`DirtyMessage`]s.
pub(super) struct Marker {
    config: NatsConfig,
    bus: Option<Context>,
    marked: u64,
}

impl Marker {
    pub(super) const fn new(config: NatsConfig) -> Self {
        Self { config, bus: None, marked: 0 }
    }

    /// How many minutes NATS has taken.
    pub(super) const fn marked(&self) -> u64 {
        self.marked
    }

    /// Marks the minutes of a batch. Marked twice, they are computed twice, and come out the same.
    pub(super) async fn mark_batch(
        &mut self,
        table: &Table,
        run: &str,
        batch: &Batch,
    ) -> Result<(), RepriceError> {
        const MINUTES: &str = "SELECT DISTINCT account_id, gateway_id, \
                toInt64(toUnixTimestamp(toStartOfMinute(created_at))) * 1000 AS minute_ms \
            FROM cost_revisions WHERE run = ? AND batch = ? \
                AND created_at BETWEEN fromUnixTimestamp64Milli(?, 'UTC') AND fromUnixTimestamp64Milli(?, 'UTC') \
            ORDER BY account_id, gateway_id, minute_ms";
        let query =
            table.client.query(MINUTES).bind(run).bind(batch.number).bind(batch.first).bind(batch.last);
        self.mark(query.fetch().map_err(RepriceError::clickhouse("read minutes"))?).await
    }

    /// Marks minutes. Those of a tenant that nobody can ask for, because its name is none, are passed over.
    pub(super) async fn mark(&mut self, mut minutes: RowCursor<MinuteRow>) -> Result<(), RepriceError> {
        let mut gathered = Vec::new();
        while let Some(row) = minutes.next().await.map_err(RepriceError::clickhouse("read minutes"))? {
            let minute = Timestamp::from_millis(row.minute_ms)?;
            if let Ok(scope) = Scope::parse(&row.account_id, &row.gateway_id) {
                gathered.push((scope, minute));
            }
            if gathered.len() >= bus::MINUTES_PER_MESSAGE_MAX {
                self.publish(std::mem::take(&mut gathered)).await.map_err(RepriceError::NotMarked)?;
            }
        }
        self.publish(gathered).await.map_err(RepriceError::NotMarked)
    }

    async fn publish(&mut self, minutes: Vec<(Scope, Timestamp)>) -> Result<(), MarkError> {
        for message in DirtyMessage::of(minutes) {
            let payload = serde_json::to_vec(&message).expect("plain data always prints as JSON");
            let bus = match &self.bus {
                Some(bus) => bus,
                None => self.bus.insert(reach_bus(&self.config, "weir-reprice").await?.1),
            };
            bus.publish(bus::DIRTY_SUBJECT, payload.into()).await?.await?;
            self.marked += message.minutes.len() as u64;
        }
        Ok(())
    }
}
