//! Replays that did not come to their end: because they were killed, or because of ClickHouse or NATS that was away.
//!
//! What such a one has stored may lie beside the row whose place it takes, be in no entry of the ledger, or be known to no
//! rollup; and what it has sent may land when it is long dead. Which rows that is say the marks that it left, see
//! [`crate::sink`]: so their events are looked at by their ids, however old they are, and no others.

use std::collections::BTreeMap;

use weir_event::{EventId, Scope};

use super::Reconciler;
use super::deletions::TELL_LIMIT;
use crate::sink::{Mark, SinkError};

/// How many rows are dealt with at once.
const ROWS_AT_ONCE_MAX: usize = 10_000;

impl Reconciler {
    /// Brings replays to their end, as far as their rows are there, or were; the others are looked for again.
    pub(super) async fn finish_replays(&self) -> Result<(), SinkError> {
        let mut open: BTreeMap<Scope, Vec<Mark>> = BTreeMap::new();
        for mark in self.store.open_marks().await? {
            if let Some((scope, _)) = mark.event() {
                open.entry(scope).or_default().push(mark);
            }
        }
        // One that cannot be finished holds up no other tenant's.
        let mut finished = Ok(());
        for (scope, marks) in open {
            for marks in marks.chunks(ROWS_AT_ONCE_MAX) {
                finished = finished.and(self.finish_replay(&scope, marks).await);
            }
        }
        finished
    }

    async fn finish_replay(&self, scope: &Scope, marks: &[Mark]) -> Result<(), SinkError> {
        let landed = self.store.landed(scope, marks).await?;
        if landed.is_empty() {
            return Ok(());
        }
        let (account, gateway) = (scope.account_id.as_str(), scope.gateway_id.as_str());
        tracing::warn!(rows = landed.len(), account, gateway, "a replay that was not finished is finished");
        let ids: Vec<EventId> = landed.iter().map(|row| row.id).collect();
        // Before any of them is taken out again.
        self.store.enter_landed(scope, &landed).await?;
        self.races.repair(scope, &ids).await?;
        let minutes = landed.iter().flat_map(|row| row.minutes().map(move |minute| (scope.clone(), minute)));
        if self.races.announcer().tell_changed_for_certain(minutes, TELL_LIMIT).await {
            self.store.close_marks(landed.iter().map(|row| row.mark)).await?;
        }
        Ok(())
    }
}
