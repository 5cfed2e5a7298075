//! Takes out what is too old: what somebody asked for, and what retention says.
//!
//! In: requests in `removals`, entries of the ledger that were begun and not told, and the settings. Out: rows, bodies and what
//! was said of them are gone, the ledger says how many, and the aggregator knows of their minutes. The steps are those of
//! [`weir_store::removal`]; several processes may take them at once, and whoever dies leaves what the others go on with.

mod begun;
mod requests;
mod retention;
mod singly;
mod stages;

use std::time::Duration;

use async_nats::Client;
use futures_util::StreamExt;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use weir_event::bus::REMOVALS_SUBJECT;
use weir_service::clock::SharedClock;
use weir_service::telemetry::chain;

pub(crate) use self::retention::{KEYS, Retention, read};
use crate::nonce::nonce;
use crate::sink::{Announcer, SinkError, Store};

/// How long one statement may take. It may have to wait for a mutation that runs before it.
const STATEMENT_LIMIT: Duration = Duration::from_mins(10);
/// Of several processes, one hears of a request.
const QUEUE_GROUP: &str = "ingest";

/// The one that removes.
#[derive(Debug)]
pub(crate) struct Remover {
    store: Store,
    announcer: Announcer,
    clock: SharedClock,
    /// Names this process.
    worker: String,
    retention: Retention,
    /// What retention was last at work on, and when.
    looked: Option<retention::Look>,
    /// From the end of one look to the next, where nobody asks for one.
    interval: Duration,
}

impl Remover {
    /// Removes from the tables of `store`, looking for work every `interval`.
    pub(crate) fn new(
        store: &Store,
        announcer: Announcer,
        clock: SharedClock,
        retention: Retention,
        interval: Duration,
    ) -> Self {
        let store = Store::new(store.client.clone(), STATEMENT_LIMIT);
        Self { store, announcer, clock, worker: worker(), retention, looked: None, interval }
    }

    /// Looks for work until the process stops, every time that somebody says so over `bus` and every now and then.
    pub(crate) async fn run(mut self, bus: Client, stop: CancellationToken) {
        let work = async {
            // Without it requests wait for the next look.
            let mut calls = match bus.queue_subscribe(REMOVALS_SUBJECT, QUEUE_GROUP.to_owned()).await {
                Ok(calls) => Some(calls),
                Err(error) => {
                    tracing::error!(error = chain(&error), "nobody can call for a removal");
                    None
                }
            };
            loop {
                // ClickHouse is away, or slow; nothing is lost by waiting.
                if let Err(error) = self.look().await {
                    tracing::warn!(error = chain(&error), "cannot remove what is too old");
                }
                let called = async {
                    match &mut calls {
                        Some(calls) => calls.next().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    call = called => if call.is_none() { calls = None },
                    () = sleep(self.interval) => {}
                }
            }
        };
        let _: Option<()> = stop.run_until_cancelled(Box::pin(work)).await;
    }

    /// Takes every step, also where one before it fails.
    async fn look(&mut self) -> Result<(), SinkError> {
        let asked = self.do_what_is_asked().await;
        let begun = self.finish_what_was_begun().await;
        let kept = self.look_for_what_is_kept_too_long().await;
        [asked, begun, kept].into_iter().collect()
    }
}

/// The name that removals are claimed under: another one at every start, also of processes that are as young, each the first of its
/// container.
fn worker() -> String {
    format!("{}-{:016x}", std::process::id(), nonce())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_worker_has_the_name_of_another_that_is_as_young() {
        assert_ne!(worker(), worker());
    }
}
