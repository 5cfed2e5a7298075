//! Replays that did not come to their end: because they were killed, or because of ClickHouse or NATS that was away.
//!
//! What such a one has stored may lie beside the row whose place it takes, be in no entry of the ledger, or be known to no
//! rollup; and what it has sent may land when it is long dead. Which rows that is say the marks that it left, see
//! [`crate::sink`]: so their events are looked at by their ids, however old they are, and no others.

use weir_event::{EventId, Scope};

use super::Reconciler;
use super::deletions::TELL_LIMIT;
use crate::sink::{Mark, SinkError};

impl Reconciler {
    /// Brings replays to their end, as far as their rows are there, or were; the others are looked for again.
    pub(super) async fn finish_replays(&self) -> Result<(), SinkError> {
        // One that cannot be finished holds up no other, and however many have not landed, the rest is come to behind them.
        let (mut finished, mut last) = (Ok(()), Mark::default());
        loop {
            let open = self.store.open_marks(&last).await?;
            let Some(end) = open.last() else { return finished };
            last = end.clone();
            for (scope, marks) in Mark::by_scope(open) {
                finished = finished.and(self.finish_replay(&scope, &marks).await);
            }
        }
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
