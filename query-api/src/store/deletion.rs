//! Deletes logs, in steps of which each may be taken again: see [`weir_store::deletion`].
//!
//! In: a tenant, a filter, an order and a limit, or a time. Out: the logs that they chose are gone, or will be; what goes by its
//! age goes by another way, see [`removal`]. Once the ledger has
//! them, somebody brings the deletion to its end: this process, whether its caller waits for it or not, or else `ingest`,
//! which looks for corrections that were not told.

mod error;
mod removal;
mod steps;

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;
use weir_event::Scope;
use weir_filter::Filter;
use weir_service::config::ClickHouseConfig;
use weir_service::lifecycle::Shutdown;
use weir_service::telemetry::chain;

pub use self::error::DeletionError;
pub use self::removal::{Progress, Removal, Removed};
use self::steps::{Rows, Steps};
use super::log_store::LogStore;
use crate::auth::Writable;
use crate::sql::{Direction, OrderBy};

/// How many deletions run at a time: each has ClickHouse write parts anew.
const TURNS: usize = 2;

/// Deletes logs. Clones share what is under way.
#[derive(Clone, Debug)]
pub struct Deletions {
    steps: Steps,
    turns: Arc<Semaphore>,
    running: TaskTracker,
}

/// What is to be deleted: the first `limit` of what the filter lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which logs.
    pub filter: Filter,
    /// In which order.
    pub order: (OrderBy, Direction),
    /// How many at most, up to 10,000.
    pub limit: u32,
}

/// How far a deletion is when it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// Nothing that was chosen can be read any more.
    Gone,
    /// The ledger has it, and it will be brought to its end.
    Entered,
}

impl Deletions {
    /// Deletes what `store` reads, and tells the aggregator over `bus`, which gets `tell_timeout` to take the word.
    #[must_use]
    pub fn new(store: LogStore, config: &ClickHouseConfig, bus: Client, tell_timeout: Duration) -> Self {
        Self {
            steps: Steps::new(store, config, bus, tell_timeout),
            turns: Arc::new(Semaphore::new(TURNS)),
            running: TaskTracker::new(),
        }
    }

    /// Deletes, and says at `until` at the latest how far it is. Dropped before the ledger has anything it does nothing;
    /// after that it goes on all the same.
    pub async fn delete(
        &self,
        scope: &Writable<Scope>,
        choice: &Choice,
        until: Instant,
    ) -> Result<Deleted, DeletionError> {
        let turn = timeout_at(until, Arc::clone(&self.turns).acquire_owned());
        let turn = turn.await.map_err(|_| DeletionError::Busy)?.map_err(|_| DeletionError::Busy)?;
        let chosen = async {
            self.steps.check_rights().await?;
            self.steps.choose(scope, choice).await
        };
        let rows = timeout_at(until, chosen).await.map_err(|_| DeletionError::Busy)??;
        if rows.is_empty() {
            return Ok(Deleted::Gone);
        }
        let (enter, mut entered) = oneshot::channel();
        let scope = Scope::clone(scope);
        let work = self.running.spawn(self.clone().carry_out(scope, rows, enter, turn));
        match timeout_at(until, work).await {
            Ok(Ok(ended)) => ended,
            // Time is up, or it panicked.
            Ok(Err(_)) | Err(_) if entered.try_recv().is_ok() => Ok(Deleted::Entered),
            Ok(Err(_)) | Err(_) => Err(DeletionError::Unknown(None)),
        }
    }

    /// Waits at the stop until what is under way has come to its end.
    pub async fn drain(self, shutdown: Shutdown) -> Result<(), std::convert::Infallible> {
        shutdown.soft_stop().cancelled().await;
        self.running.close();
        tokio::select! {
            () = self.running.wait() => {}
            () = shutdown.hard_stop().cancelled() => {}
        }
        Ok(())
    }

    async fn carry_out(
        self,
        scope: Scope,
        rows: Rows,
        entered: oneshot::Sender<()>,
        _turn: OwnedSemaphorePermit,
    ) -> Result<Deleted, DeletionError> {
        self.steps.enter(&scope, &rows).await?;
        // Nobody waits for it any more: it goes on.
        let _ = entered.send(());
        let (account, gateway) = (scope.account_id.as_str(), scope.gateway_id.as_str());
        tracing::info!(rows = rows.len(), account, gateway, "logs are being deleted");
        if let Err(error) = self.steps.take_out(&scope, &rows).await {
            tracing::warn!(
                error = chain(&error),
                rows = rows.len(),
                "a deletion is left to ingest to finish"
            );
            return Ok(Deleted::Entered);
        }
        if let Err(error) = self.steps.tell(&scope, &rows).await {
            tracing::warn!(
                error = chain(&error),
                rows = rows.len(),
                "statistics are behind a deletion: ingest tells of it later"
            );
        }
        Ok(Deleted::Gone)
    }
}
