//! What replays ask of ClickHouse: the rows that events have, and the entries of replays that died.

use std::collections::{BTreeSet, HashMap, HashSet};

use clickhouse::Row;
use serde::Deserialize;
use weir_event::{EventId, Flag, Scope, Timestamp};
use weir_store::deletion::IS_CORRECTION;
use weir_store::{LedgerRow, ScaledUsd};

use super::cost::StatedCost;
use super::marks::Landed;
use crate::sink::insert::{REPLAYED, hour_of};
use crate::sink::store::IDS_PER_QUERY_MAX;
use crate::sink::{EventRef, SinkError, Store, by_scope};

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// A row that an event has.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub(super) struct KnownRow {
    pub(super) id: [u8; 26],
    pub(super) account_id: String,
    pub(super) ingested_at: i64,
    pub(super) write_id: u64,
    pub(super) created_at: i64,
    pub(super) source: String,
    pub(super) flags: Vec<String>,
    pub(super) cost: Option<ScaledUsd>,
    pub(super) cost_source: String,
    pub(super) unpriced_reason: String,
    pub(super) price_id: String,
    pub(super) price_book: String,
    pub(super) cost_revision: u32,
    pub(super) quota: Option<i64>,
    pub(super) quota_source: String,
}

/// A part of a write that the ledger knows.
#[derive(Row, Deserialize)]
struct EnteredRow {
    hour_s: u32,
    source: String,
    account_id: String,
    write_id: u64,
}

/// A row that a write stored.
#[derive(Row, Deserialize)]
struct NameRow {
    name: String,
}

/// The part of a write that has an entry of its own.
pub(super) type Part<'r> = (u32, &'r str, &'r str, u64);

impl KnownRow {
    /// How many of its fields are closed.
    pub(super) fn closed(&self) -> usize {
        let is_raised = |flag: &&Flag| self.flags.iter().any(|raised| raised == flag.as_str());
        Flag::OF_CLOSED_FIELDS.iter().filter(is_raised).count()
    }

    pub(super) fn minute(&self) -> Option<Timestamp> {
        Timestamp::from_millis(self.created_at - self.created_at.rem_euclid(MINUTE_MS)).ok()
    }

    pub(super) fn stated_cost(&self) -> StatedCost {
        StatedCost {
            cost: self.cost,
            cost_source: self.cost_source.clone(),
            unpriced_reason: self.unpriced_reason.clone(),
            price_id: self.price_id.clone(),
            price_book: self.price_book.clone(),
            quota: self.quota,
            quota_source: self.quota_source.clone(),
        }
    }

    /// The part of a replay that it is of.
    fn replayed_part(&self) -> Option<Part<'_>> {
        let part = (hour_of(self.ingested_at), &*self.source, &*self.account_id, self.write_id);
        (self.write_id & REPLAYED != 0).then_some(part)
    }
}

impl Store {
    /// The rows of those of `events` that have any.
    pub(super) async fn known_rows(
        &self,
        events: &[EventRef<'_>],
    ) -> Result<HashMap<EventId, Vec<KnownRow>>, SinkError> {
        let mut known: HashMap<EventId, Vec<KnownRow>> = HashMap::new();
        for (scope, mut ids) in by_scope(events.iter().map(|event| (event.scope, event.id))) {
            ids.sort_unstable();
            ids.dedup();
            for ids in ids.chunks(IDS_PER_QUERY_MAX) {
                let rows: Vec<KnownRow> = self.fetch_of("id check", scope, ids, "").await?;
                for row in rows {
                    if let Ok(id) = EventId::try_from(row.id) {
                        known.entry(id).or_default().push(row);
                    }
                }
            }
        }
        Ok(known)
    }

    /// Enters the writes of earlier replays among `rows` that the ledger does not know, by what there is of them. Their own
    /// entry, should it come yet, stands for this one.
    pub(super) async fn enter_replays(&self, rows: impl Iterator<Item = &KnownRow>) -> Result<(), SinkError> {
        self.enter_parts(rows.filter_map(KnownRow::replayed_part).collect()).await
    }

    /// The same for what has landed, what has been taken out of it since, and what other replays stored of its events.
    pub(crate) async fn enter_landed(&self, scope: &Scope, landed: &[Landed<'_>]) -> Result<(), SinkError> {
        let mut landed: Vec<_> = landed.iter().collect();
        landed.sort_unstable_by_key(|row| row.id);
        for landed in landed.chunks(IDS_PER_QUERY_MAX) {
            let ids: Vec<_> = landed.iter().map(|row| row.id).collect();
            let rows: Vec<KnownRow> = self.fetch_of("read the rows of replays", scope, &ids, "").await?;
            let there = rows.iter().filter_map(KnownRow::replayed_part);
            self.enter_parts(there.chain(landed.iter().filter_map(|row| row.mark.part())).collect()).await?;
        }
        Ok(())
    }

    async fn enter_parts(&self, parts: BTreeSet<Part<'_>>) -> Result<(), SinkError> {
        if parts.is_empty() {
            return Ok(());
        }
        let found = self.entered(&parts).await?;
        let entered: BTreeSet<Part<'_>> =
            found.iter().map(|row| (row.hour_s, &*row.source, &*row.account_id, row.write_id)).collect();
        let mut entries = Vec::new();
        for part in parts.difference(&entered) {
            let (hour, source, account_id, write_id) = *part;
            let rows = self.rows_ever_of(part).await?;
            let entry = LedgerRow { hour, source, account_id, write_id, ..LedgerRow::default() };
            entries.push(LedgerRow { stored: rows, duplicates: -rows, version: 0, ..entry });
        }
        if entries.is_empty() {
            return Ok(());
        }
        tracing::warn!(entries = entries.len(), "writes of a replay that died are entered in the ledger");
        self.enter(&entries).await
    }

    async fn entered(&self, parts: &BTreeSet<Part<'_>>) -> Result<Vec<EnteredRow>, SinkError> {
        const ENTERED: &str = "SELECT toUInt32(toUnixTimestamp(hour)) AS hour_s, source, account_id, write_id FROM ledger \
            WHERE toUnixTimestamp(hour) IN ? AND write_id IN ? AND subject = ''";
        let hours: BTreeSet<_> = parts.iter().map(|part| part.0).collect();
        let writes: BTreeSet<_> = parts.iter().map(|part| part.3).collect();
        let query = self
            .client
            .query(ENTERED)
            .bind(hours.into_iter().collect::<Vec<_>>())
            .bind(writes.into_iter().collect::<Vec<_>>());
        self.within("look for a replay in the ledger", query.fetch_all()).await
    }

    /// How many rows a write ever stored in an hour: those that are there, and those that were taken out since, which have an
    /// entry each. Asked for in this order, a row that goes in between is known by its name in both.
    async fn rows_ever_of(&self, (hour, source, account_id, write_id): &Part<'_>) -> Result<i64, SinkError> {
        const THERE: &str = "SELECT toString(id) AS name FROM logs WHERE account_id = ? AND source = ? AND write_id = ? \
            AND ingested_at >= fromUnixTimestamp64Milli(?) AND ingested_at < fromUnixTimestamp64Milli(?)";
        let taken_out = format!(
            "SELECT subject AS name FROM ledger WHERE hour = toDateTime(?, 'UTC') AND source = ? AND account_id = ? \
                AND write_id = ? AND {IS_CORRECTION}"
        );
        let hour_ms = i64::from(*hour) * 1_000;
        let there = self.client.query(THERE).bind(*account_id).bind(*source).bind(*write_id);
        let there = there.bind(hour_ms).bind(hour_ms + HOUR_MS);
        let taken_out =
            self.client.query(&taken_out).bind(*hour).bind(*source).bind(*account_id).bind(*write_id);
        let mut names: HashSet<String> = HashSet::new();
        for query in [there, taken_out] {
            let rows: Vec<NameRow> = self.within("count the rows of a replay", query.fetch_all()).await?;
            names.extend(rows.into_iter().map(|row| row.name));
        }
        Ok(i64::try_from(names.len()).unwrap_or(i64::MAX))
    }
}
