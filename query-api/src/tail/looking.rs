//! Reads the rows that were told of, and shows them.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep, sleep_until};
use weir_event::Scope;
use weir_service::telemetry::chain;

use super::feed::Word;
use super::tails::Tails;
use crate::auth::Readable;
use crate::metrics::QueryMetrics;
use crate::store::LogStore;

/// The time between two looks at a tenant's rows.
const PAUSE: Duration = Duration::from_millis(250);
/// The same when ClickHouse does not answer.
const PAUSE_FAILING: Duration = Duration::from_secs(1);
/// The most rows of a tenant at a look.
const LOOK_MAX: usize = 2_000;
/// The most rows of a statement, whose values are part of a URL.
const ROWS_MAX: usize = 500;
/// Statements at a time.
const STATEMENTS_MAX: usize = 4;

impl Tails {
    /// Looks again and again, as long as it is polled.
    pub(super) async fn look(&self, store: &LogStore, metrics: &QueryMetrics) {
        let mut next = Instant::now();
        loop {
            self.something().await;
            sleep_until(next).await;
            next = Instant::now() + PAUSE;
            self.look_at_all(store, metrics).await;
        }
    }

    /// Follows what was told of. What cannot be followed now is left for later.
    async fn look_at_all(&self, store: &LogStore, metrics: &QueryMetrics) {
        let mut looks = Vec::new();
        for (scope, words) in self.take(LOOK_MAX) {
            for part in words.chunks(ROWS_MAX) {
                looks.push(self.look_at(store, metrics, scope.clone(), part.to_vec()));
            }
        }
        let answered: Vec<bool> = stream::iter(looks).buffer_unordered(STATEMENTS_MAX).collect().await;
        if answered.contains(&false) {
            sleep(PAUSE_FAILING).await;
        }
    }

    /// Whether ClickHouse answered.
    async fn look_at(
        &self,
        store: &LogStore,
        metrics: &QueryMetrics,
        scope: Readable<Scope>,
        words: Vec<Word>,
    ) -> bool {
        let events: Vec<_> = words.iter().map(|word| (word.end, word.id)).collect();
        match store.rows(&scope, &events).await {
            Ok(rows) => {
                let passed = self.show(&scope, words, rows);
                metrics.tailed(passed.shown, passed.dropped);
                true
            }
            Err(error) => {
                tracing::debug!(error = chain(&error), "rows that were told of cannot be read");
                self.give_back(&scope, words);
                false
            }
        }
    }
}
