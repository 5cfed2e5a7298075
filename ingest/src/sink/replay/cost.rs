//! What a row is said to cost, and what of it is entered in `cost_revisions` where the row is opened.

use std::collections::HashSet;

use clickhouse::Row;
use serde::Deserialize;
use weir_event::UnpricedReason;
use weir_pricing::{Edition, PricedEvent};
use weir_store::{CostRevisionRow, ScaledUsd};

use super::rows::KnownRow;
use crate::sink::{SinkError, Store};

/// What `cost_revisions` has as the run of a replay: `ingest reprice` names its own by ids.
const RUN: &str = "dead-letters replay";

/// What a row is said to cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StatedCost {
    pub(super) cost: Option<ScaledUsd>,
    pub(super) cost_source: String,
    pub(super) unpriced_reason: String,
    pub(super) price_id: String,
    pub(super) price_book: String,
    pub(super) quota: Option<i64>,
    pub(super) quota_source: String,
}

/// The cost of a row that is opened.
#[derive(Debug)]
pub(super) struct OpenedCost<'l> {
    /// The revision of the row that takes its place.
    pub(super) revision: u32,
    /// What it was, where it is another one now.
    change: Option<(StatedCost, &'l StatedCost)>,
}

/// A revision that is there.
#[derive(Row, Deserialize)]
struct EnteredRow {
    id: [u8; 26],
    revision: u32,
    new_cost: Option<ScaledUsd>,
}

impl StatedCost {
    /// What an event costs.
    pub(crate) fn of(event: &PricedEvent) -> Self {
        let (cost, quota) = (event.cost(), event.quota());
        Self {
            cost: cost.amount().map(ScaledUsd::from),
            cost_source: cost.source().as_str().to_owned(),
            unpriced_reason: cost.unpriced_reason().map_or("", UnpricedReason::as_str).to_owned(),
            price_id: cost.price_id().unwrap_or_default().to_owned(),
            price_book: cost.edition().map_or("", Edition::as_str).to_owned(),
            quota: quota.map(|quota| quota.units),
            quota_source: quota.map_or("", |quota| quota.source.as_str()).to_owned(),
        }
    }

    /// Whether it is the same cost, if another edition of the book should say so.
    fn is_as(&self, other: &Self) -> bool {
        *self == Self { price_book: self.price_book.clone(), ..other.clone() }
    }
}

impl<'l> OpenedCost<'l> {
    /// Of a row whose cost is `now`, and that takes the place of `before`.
    pub(super) fn of(before: &KnownRow, now: &'l StatedCost) -> Self {
        let old = before.stated_cost();
        if old.is_as(now) {
            return Self { revision: before.cost_revision, change: None };
        }
        Self { revision: before.cost_revision.saturating_add(1), change: Some((old, now)) }
    }

    /// What is to be entered of the row of `before`, if anything.
    pub(super) fn entry<'e>(
        &'e self,
        (account_id, gateway_id): (&'e str, &'e str),
        (created_at, id): (i64, [u8; 26]),
    ) -> Option<CostRevisionRow<'e>> {
        let (old, new) = self.change.as_ref()?;
        Some(CostRevisionRow {
            account_id,
            gateway_id,
            created_at,
            id,
            revision: self.revision,
            run: RUN,
            batch: 0,
            old_cost: old.cost,
            old_cost_source: &old.cost_source,
            old_unpriced_reason: &old.unpriced_reason,
            old_price_id: &old.price_id,
            old_price_book: &old.price_book,
            old_quota: old.quota,
            old_quota_source: &old.quota_source,
            new_cost: new.cost,
            new_cost_source: &new.cost_source,
            new_unpriced_reason: &new.unpriced_reason,
            new_price_id: &new.price_id,
            new_price_book: &new.price_book,
            new_quota: new.quota,
            new_quota_source: &new.quota_source,
        })
    }
}

impl Store {
    /// Enters what opened rows cost before, but for what a replay entered that died then.
    pub(super) async fn enter_opened_costs(
        &self,
        revisions: &[CostRevisionRow<'_>],
    ) -> Result<(), SinkError> {
        if revisions.is_empty() {
            return Ok(());
        }
        let entered = self.entered_revisions(revisions).await?;
        let is_new = |row: &&CostRevisionRow<'_>| !entered.contains(&(row.id, row.revision, row.new_cost));
        let missing: Vec<_> = revisions.iter().filter(is_new).cloned().collect();
        self.enter_revisions(&missing).await
    }

    async fn entered_revisions(
        &self,
        revisions: &[CostRevisionRow<'_>],
    ) -> Result<HashSet<([u8; 26], u32, Option<ScaledUsd>)>, SinkError> {
        const ENTERED: &str = "SELECT ?fields FROM cost_revisions WHERE account_id IN ? AND gateway_id IN ? \
            AND created_at BETWEEN fromUnixTimestamp64Milli(?) AND fromUnixTimestamp64Milli(?) AND run = ? AND id IN ?";
        let names = |name: fn(&CostRevisionRow<'_>) -> String| {
            revisions.iter().map(name).collect::<HashSet<_>>().into_iter().collect::<Vec<_>>()
        };
        let times = || revisions.iter().map(|row| row.created_at);
        let query = self
            .client
            .query(ENTERED)
            .bind(names(|row| row.account_id.to_owned()))
            .bind(names(|row| row.gateway_id.to_owned()))
            .bind(times().min().unwrap_or_default())
            .bind(times().max().unwrap_or_default())
            .bind(RUN)
            .bind(names(|row| String::from_utf8_lossy(&row.id).into_owned()));
        let rows: Vec<EnteredRow> = self.within("look for revisions of costs", query.fetch_all()).await?;
        Ok(rows.into_iter().map(|row| (row.id, row.revision, row.new_cost)).collect())
    }
}
