//! Removals by age: asked for here, and done by `ingest`.
//!
//! What is asked for stands in the table `removals`, which is all that has to succeed: whether this process, the one that is at
//! work on it, or NATS goes away, a removal that is there comes to its end. The table says how far it is.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use clickhouse::Row;
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout_at};
use weir_event::bus::REMOVALS_SUBJECT;
use weir_event::{Scope, Timestamp};
use weir_service::telemetry::chain;
use weir_store::RemovalRow;

use super::{DeletionError, Deletions};
use crate::auth::{Readable, Writable};
use crate::sql;
use crate::store::StoreError;

/// Between two looks at how far it is: doubles from the first to the longest.
const LOOK_FIRST: Duration = Duration::from_millis(20);
const LOOK_LONGEST: Duration = Duration::from_secs(1);

/// What a removal came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// How many rows it has taken, those of the stage included that it is at.
    pub rows: u64,
    /// Whether that is all. If not, it goes on.
    pub is_over: bool,
}

/// A removal that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Sorts by when it was asked for.
    pub id: String,
    /// What ended earlier goes.
    pub before: Timestamp,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// How far it is.
    pub progress: Progress,
    /// The process that is at work on it, or was last; empty before there is one.
    pub worker: String,
    /// How many rows there were when it began.
    pub total: u64,
    /// How many it has taken.
    pub rows: u64,
    /// When that was so.
    pub seen_at: Timestamp,
}

/// How far a removal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nobody is at work on it yet.
    Waiting,
    /// Somebody is.
    Running,
    /// All is gone.
    Done,
}

#[derive(Row, Deserialize)]
struct RemovalRecord {
    id: String,
    before_ms: i64,
    asked_at_ms: i64,
    state: String,
    worker: String,
    total: u64,
    rows: u64,
    seen_at_ms: i64,
}

impl Deletions {
    /// Removes everything of a tenant that ended before `before`, and says at `until` at the latest how many rows that were.
    /// Once it is asked for it comes to its end, whether its caller waits or not.
    pub async fn remove_older(
        &self,
        scope: &Writable<Scope>,
        before: Timestamp,
        until: Instant,
    ) -> Result<Removed, DeletionError> {
        let asked = timeout_at(until, self.ask_to_remove(scope, before));
        let id = asked.await.map_err(|_| DeletionError::Unknown(None))??;
        let mut removed = Removed { rows: 0, is_over: false };
        let mut pause = LOOK_FIRST;
        while !removed.is_over && Instant::now() < until {
            sleep(pause.min(until - Instant::now())).await;
            pause = (pause * 2).min(LOOK_LONGEST);
            // It is asked for: what cannot be read now goes on all the same.
            if let Ok(Ok(Some(removal))) = timeout_at(until, self.removal(scope, &id)).await {
                removed = Removed { rows: removal.rows, is_over: removal.progress == Progress::Done };
            }
        }
        Ok(removed)
    }

    /// Asks for everything of a tenant to be removed that ended before `before`, and gives the removal's id.
    pub async fn ask_to_remove(
        &self,
        scope: &Writable<Scope>,
        before: Timestamp,
    ) -> Result<String, DeletionError> {
        let now = self.steps.now_ms().await?;
        // The standard library's hasher is seeded by the system, which is all that a name needs.
        let id = format!("{now:013}-{:016x}", RandomState::new().hash_one(now));
        let row = RemovalRow {
            account_id: scope.account_id.as_str(),
            gateway_id: scope.gateway_id.as_str(),
            id: &id,
            before: before.millis(),
            asked_at: now,
            state: "waiting",
            step: 1,
            ..RemovalRow::default()
        };
        self.steps.ask(&row).await.map_err(|error| {
            if error.is_lack_of_rights() {
                DeletionError::NoRights(Some(error))
            } else {
                DeletionError::Unknown(Some(error))
            }
        })?;
        // Whoever does not hear of it looks for it every now and then.
        if let Err(error) = self.steps.bus().publish(REMOVALS_SUBJECT, Vec::new().into()).await {
            tracing::warn!(error = chain(&error), "nobody is called for a removal");
        }
        Ok(id)
    }

    /// A removal of a tenant, if there is such a one.
    pub async fn removal(&self, scope: &Readable<Scope>, id: &str) -> Result<Option<Removal>, StoreError> {
        let found =
            self.steps.store().query(&sql::removal(scope, id)).fetch_optional::<RemovalRecord>().await?;
        Ok(found.and_then(RemovalRecord::removal))
    }

    /// The last `limit` removals of a tenant, the newest first; only those that are not over, where `unfinished`.
    pub async fn removals(
        &self,
        scope: &Readable<Scope>,
        unfinished: bool,
        limit: u32,
    ) -> Result<Vec<Removal>, StoreError> {
        let statement = sql::removals(scope, unfinished, limit);
        let found = self.steps.store().query(&statement).fetch_all::<RemovalRecord>().await?;
        Ok(found.into_iter().filter_map(RemovalRecord::removal).collect())
    }
}

impl RemovalRecord {
    fn removal(self) -> Option<Removal> {
        let progress = match self.state.as_str() {
            "waiting" => Progress::Waiting,
            "done" => Progress::Done,
            // A later program's words are of what goes on.
            _ => Progress::Running,
        };
        Some(Removal {
            id: self.id,
            before: Timestamp::from_millis(self.before_ms).ok()?,
            asked_at: Timestamp::from_millis(self.asked_at_ms).ok()?,
            progress,
            worker: self.worker,
            total: self.total,
            rows: self.rows,
            seen_at: Timestamp::from_millis(self.seen_at_ms).ok()?,
        })
    }
}
