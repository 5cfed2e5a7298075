//! Puts right what a process left that was killed in the middle of a write, and watches the ledger.
//!
//! In: what is in ClickHouse, looked at when the process starts and every minute. Out: rows that two processes stored are
//! one again ([`doubles`]), replays ([`replays`]) and deletions ([`deletions`]) are finished, minutes whose rows were taken
//! out are told of, writes that the ledger lacks are entered, the metrics say whether it balances ([`ledger`]), minutes are
//! told of whose rollup is not what their rows come to ([`rollups`]), and what is left of deleted budgets goes ([`budgets`]). Every
//! step may be taken by several processes at once, and may be taken again.

mod budgets;
mod deletions;
mod doubles;
mod ledger;
mod replays;
mod rollups;
mod slices;
mod suspects;

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use weir_service::clock::SharedClock;
use weir_service::telemetry::chain;

use self::rollups::Watched;
use crate::metrics::IngestMetrics;
use crate::sink::{Races, SinkError, Store};

/// The one that looks.
#[derive(Debug)]
pub(crate) struct Reconciler {
    store: Store,
    races: Races,
    clock: SharedClock,
    metrics: IngestMetrics,
    /// From the end of one look to the next.
    interval: Duration,
    watched: Vec<Watched>,
    /// Whether this process has looked at more than the last minutes, for writes that are not entered.
    has_looked_back_for_writes: bool,
}

impl Reconciler {
    pub(crate) fn new(
        store: Store,
        races: Races,
        clock: SharedClock,
        metrics: IngestMetrics,
        interval: Duration,
    ) -> Self {
        Self {
            store,
            races,
            clock,
            metrics,
            interval,
            watched: Watched::all(),
            has_looked_back_for_writes: false,
        }
    }

    /// Looks until the process stops.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let look = async {
            loop {
                // ClickHouse is away, or slow; nothing is lost by waiting.
                if let Err(error) = self.look().await {
                    tracing::warn!(error = chain(&error), "cannot look for what is to be put right");
                }
                sleep(self.interval).await;
            }
        };
        let _: Option<()> = stop.run_until_cancelled(look).await;
    }

    /// Takes every step, also where one before it fails: none waits for another's work.
    async fn look(&mut self) -> Result<(), SinkError> {
        let now_ms = self.clock.now_ms();
        let replayed = self.finish_replays().await;
        let doubles = self.repair_doubles(now_ms).await;
        let told = self.tell_again().await;
        let finished = self.finish_deletions().await;
        let entered = self.enter_what_is_missing(now_ms).await;
        self.has_looked_back_for_writes |= entered.is_ok();
        let weighed = self.weigh(now_ms).await;
        let compared = self.compare_rollups(now_ms).await;
        let forgotten = self.forget_budgets().await;
        [replayed, doubles, told, finished, entered, weighed, compared, forgotten].into_iter().collect()
    }
}
