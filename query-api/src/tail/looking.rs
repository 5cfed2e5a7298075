//! Reads the rows that were told of, and shows them: of each tenant by itself, so that none waits for what another's take.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, stream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use weir_event::Scope;
use weir_service::telemetry::chain;

use super::feed::{Source, Word};
use super::tails::Tails;
use crate::metrics::QueryMetrics;
use crate::store::LogStore;

/// The time between two looks at a tenant's rows.
const PAUSE: Duration = Duration::from_millis(250);
/// The same when ClickHouse does not answer.
const PAUSE_FAILING: Duration = Duration::from_secs(1);
/// How long rows are waited for: ClickHouse gives up sooner, but it may be cut off, and nobody says so.
const READ_LIMIT: Duration = Duration::from_secs(30);
/// The most rows of a tenant at a look.
const LOOK_MAX: usize = 2_000;
/// The most rows of a statement, whose values are part of a URL.
const ROWS_MAX: usize = 500;
/// Statements at a time, of one tenant and of all.
const TENANT_STATEMENTS_MAX: usize = 2;
const STATEMENTS_MAX: usize = 16;

/// What looks go through.
struct Way<'w> {
    store: &'w LogStore,
    metrics: &'w QueryMetrics,
    turns: Semaphore,
}

impl Tails {
    /// Looks again and again, as long as it is polled.
    pub(super) async fn look(&self, store: &LogStore, metrics: &QueryMetrics) {
        let way = Way { store, metrics, turns: Semaphore::new(STATEMENTS_MAX) };
        let mut looks = FuturesUnordered::new();
        let mut looked_at = HashSet::new();
        loop {
            for scope in self.pending_but(&looked_at) {
                looked_at.insert(scope.clone());
                looks.push(self.look_at_tenant(&way, scope));
            }
            tokio::select! {
                () = self.something() => {}
                Some(scope) = looks.next() => {
                    looked_at.remove(&scope);
                }
            }
        }
    }

    /// Follows what was told of a tenant's rows, and rests. What cannot be followed now is left for later.
    async fn look_at_tenant(&self, way: &Way<'_>, scope: Scope) -> Scope {
        let Some((source, words)) = self.take(&scope, LOOK_MAX) else { return scope };
        let mut looks = Vec::new();
        for part in words.chunks(ROWS_MAX) {
            looks.push(self.look_at(way, source.clone(), part.to_vec()));
        }
        let looks = stream::iter(looks).buffer_unordered(TENANT_STATEMENTS_MAX);
        let answered: Vec<bool> = looks.collect().await;
        sleep(if answered.contains(&false) { PAUSE_FAILING } else { PAUSE }).await;
        scope
    }

    /// Whether ClickHouse answered.
    async fn look_at(&self, way: &Way<'_>, source: Source, words: Vec<Word>) -> bool {
        let events: Vec<_> = words.iter().map(|word| (word.end, word.id)).collect();
        // It is never closed.
        let _turn = way.turns.acquire().await;
        match timeout(READ_LIMIT, way.store.rows(&source.scope, &events)).await {
            Ok(Ok(rows)) => {
                let passed = self.show(&source, words, rows);
                way.metrics.tailed(passed.shown, passed.dropped);
                return true;
            }
            Ok(Err(error)) => tracing::debug!(error = chain(&error), "rows that were told of cannot be read"),
            Err(_) => tracing::debug!("rows that were told of are not read in time"),
        }
        self.give_back(&source, words);
        false
    }
}
