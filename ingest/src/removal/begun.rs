//! Stages that somebody began and did not bring to their end.

use std::collections::BTreeMap;

use weir_event::Scope;
use weir_store::deletion::YOUNG_S;
use weir_store::removal::{BegunRow, Entry, Reach, SUBJECT, Stage};

use super::Remover;
use crate::sink::SinkError;

/// How many entries a look takes on.
const ENTRIES_PER_LOOK_MAX: usize = 10_000;

/// The same skip index leads to them as to single rows that are being deleted.
const BEGUN: &str = "SELECT ?fields FROM ledger FINAL \
    WHERE (hour, source, account_id, write_id, subject) IN ( \
            SELECT hour, source, account_id, write_id, subject FROM ledger \
            WHERE version - deleted - deleted < 0 \
        ) \
        AND startsWith(subject, ?) AND version < 2 * deleted AND entered_at < now64(3) - toIntervalSecond(?) \
    ORDER BY account_id, gateway_id, hour, subject LIMIT ?";

impl Remover {
    /// Brings stages to their end that nobody is at work on.
    pub(super) async fn finish_what_was_begun(&self) -> Result<(), SinkError> {
        let query = self.store.client.query(BEGUN).bind(SUBJECT).bind(YOUNG_S).bind(ENTRIES_PER_LOOK_MAX);
        let begun: Vec<BegunRow> = self.store.within("look for stages", query.fetch_all()).await?;
        let mut stages: BTreeMap<(Scope, i64, i64), (Stage, Vec<Entry>)> = BTreeMap::new();
        for (scope, entry) in begun.into_iter().filter_map(BegunRow::entry) {
            let Some(of_entry) = entry.stage() else { continue };
            // Entries of other ends are of another removal, which may have been asked for earlier.
            let key = (scope, of_entry.from.millis(), of_entry.until.millis());
            let (stage, entries) = stages.entry(key).or_insert_with(|| (of_entry, Vec::new()));
            stage.stored_before = stage.stored_before.max(of_entry.stored_before);
            entries.push(entry);
        }
        // One that cannot be finished holds up no other.
        let mut finished = Ok(());
        for ((scope, ..), (stage, entries)) in stages {
            finished = finished.and(self.finish(&scope, &stage, &entries).await);
        }
        finished
    }

    async fn finish(&self, scope: &Scope, stage: &Stage, entries: &[Entry]) -> Result<(), SinkError> {
        let reach = Reach::Tenant(scope);
        if let Some(counted) = self.count(reach, stage).await? {
            let (account, gateway) = (scope.account_id.as_str(), scope.gateway_id.as_str());
            tracing::warn!(
                rows = counted.taken,
                account,
                gateway,
                "a stage that was not finished is finished"
            );
            self.enter(&counted, false).await?;
            self.take_out(reach, stage, &counted).await?;
        }
        // Those that have no row left.
        if self.tell(reach, stage).await? {
            let told: Vec<_> = entries.iter().map(|entry| entry.row(true)).collect();
            self.store.enter(&told).await?;
        }
        Ok(())
    }
}
