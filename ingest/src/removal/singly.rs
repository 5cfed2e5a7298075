//! Rows that cannot be counted by the hour go one by one, each with a correction of its own: what was stored lately, what a
//! replay stored, and the last minute where only a part of it goes.

use std::time::Duration;

use weir_event::{Scope, Timestamp};
use weir_store::LedgerRow;
use weir_store::deletion::{self, DoomedRow, ROWS_PER_STATEMENT_MAX, StoredRow, TOLD};
use weir_store::removal::Reach;

use super::Remover;
use crate::sink::SinkError;

/// How long NATS may take for the word of some minutes.
const TELL_LIMIT: Duration = Duration::from_secs(30);

/// Some rows, the oldest there are.
#[derive(Debug)]
pub(super) struct Chosen {
    rows: Vec<DoomedRow>,
    /// Word of these may be on its way: they stay untold, so that they are told of once more.
    young: Vec<DoomedRow>,
    /// All that ended before this and was there is among them.
    pub(super) until: Timestamp,
}

impl Chosen {
    pub(super) fn len(&self) -> u64 {
        (self.rows.len() + self.young.len()) as u64
    }

    fn all(&self) -> Vec<DoomedRow> {
        self.rows.iter().chain(&self.young).cloned().collect()
    }
}

impl Remover {
    /// The oldest rows that ended before `before`, were stored before `stored_before`, and nobody is taking out; `None` if there
    /// are none.
    pub(super) async fn choose(
        &self,
        scope: &Scope,
        before: Timestamp,
        stored_before: Timestamp,
    ) -> Result<Option<Chosen>, SinkError> {
        let statement = deletion::rows_before(before, stored_before, ROWS_PER_STATEMENT_MAX);
        let found = self.store.of_tenant(&statement, scope).fetch_all::<StoredRow>();
        let found = self.store.within("choose rows", found).await?;
        let (mut rows, mut young, mut last) = (Vec::new(), Vec::new(), None);
        for row in found {
            last = last.max(Some(row.ended_at()));
            let Some((row, is_young)) = row.doomed() else { continue };
            if is_young { young.push(row) } else { rows.push(row) }
        }
        let until = last.and_then(|last| Timestamp::from_millis(last + 1).ok());
        let is_empty = rows.is_empty() && young.is_empty();
        Ok(until.filter(|_| !is_empty).map(|until| Chosen { rows, young, until }))
    }

    /// Takes rows out.
    pub(super) async fn take_singly(&self, scope: &Scope, chosen: &Chosen) -> Result<(), SinkError> {
        let all = chosen.all();
        let entered: Vec<LedgerRow<'_>> = all.iter().map(|row| row.correction(scope, 1)).collect();
        self.store.enter(&entered).await?;
        for rows in all.chunks(ROWS_PER_STATEMENT_MAX) {
            let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
            self.store.remove(Reach::Tenant(scope), &deletion::attachments(&ids)).await?;
            self.store.remove(Reach::Tenant(scope), &deletion::rows(rows)).await?;
        }
        let minutes = all.iter().map(|row| (scope.clone(), row.minute));
        if self.announcer.tell_changed_for_certain(minutes, TELL_LIMIT).await {
            let told: Vec<_> = chosen.rows.iter().map(|row| row.correction(scope, TOLD)).collect();
            self.store.enter(&told).await?;
        }
        Ok(())
    }

    /// How many rows ended before `before` and were stored before `stored_before`, also of those that are being taken out.
    pub(super) async fn rows_left(
        &self,
        scope: &Scope,
        before: Timestamp,
        stored_before: Timestamp,
    ) -> Result<u64, SinkError> {
        let count = self.store.of_tenant(&deletion::count_before(before, stored_before), scope);
        self.store.within("count what is left", count.fetch_one()).await
    }
}
