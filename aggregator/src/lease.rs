//! Leases on names: what one process may do and no other, for as long as it says that it is there.
//!
//! A lease is a record in a bucket of NATS ([`BUCKET`]). Its holder renews it every third of a timeout, each time by
//! naming the revision that it wrote last, so whoever wrote in between is never overwritten. Times of two machines are
//! never compared:
//!
//! - Who would like to have the lease remembers when it saw a revision for the first time, by its own monotonic clock. When
//!   the same revision is still there after the timeout, its holder has not renewed for that long, and the record is
//!   replaced: only if the revision is the same even then, so a late look takes nothing from anybody.
//! - The holder takes its lease for lost when the last renewal that succeeded *began* longer ago than the timeout less a
//!   fifth, by its own monotonic clock. That is before anybody else can have it, since its renewal came to the server after it
//!   began and was seen after that; the fifth is for clocks that run at different speeds.
//!
//! So a process that was frozen (SIGSTOP, a virtual machine that moves) finds that it holds nothing when it asks
//! [`Holding::is_held`], which is to be asked right before whatever only a holder may do. What is on its way at that moment
//! is not stopped by it: what must not be done twice needs the [`Holding::epoch`], which grows with every holder, or a
//! condition of its own. Not covered: a machine that sleeps, whose monotonic clock stands still meanwhile.
//!
//! Nothing of the bucket has to last. If it is gone every lease is lost and taken anew; epochs then begin again.

mod bucket;
mod error;
mod held;
mod record;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::Context;
use tokio::time::{Instant, sleep, timeout};
use weir_service::telemetry::chain;

use self::bucket::{Bucket, Found, Written};
use self::record::Record;
use crate::backoff::Backoff;
use crate::metrics::AggregatorMetrics;

pub use self::bucket::BUCKET;
pub use self::error::LeaseError;
pub use self::held::{Holding, Lease};

/// The leases of a process. Clones are the same.
#[derive(Clone, Debug)]
pub struct Leases {
    shared: Arc<Shared>,
}

/// What is known of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has it.
    Free,
    /// Somebody else has it, or had it less than the timeout ago.
    Others,
    /// This process has it.
    Ours,
}

#[derive(Debug)]
struct Shared {
    bucket: Bucket,
    holder: String,
    timeout: Duration,
    metrics: AggregatorMetrics,
    /// By name: the revision that was seen last, and since when.
    seen: Mutex<HashMap<String, (u64, Instant)>>,
    ours: Mutex<HashMap<String, Holding>>,
}

impl Leases {
    /// Leases for `holder`, which has to be another one in every process, and after every start. All processes have to have the
    /// same `timeout`.
    #[must_use]
    pub fn new(context: Context, holder: String, timeout: Duration, metrics: AggregatorMetrics) -> Self {
        let bucket = Bucket::new(context);
        let (seen, ours) = (Mutex::default(), Mutex::default());
        Self { shared: Arc::new(Shared { bucket, holder, timeout, metrics, seen, ours }) }
    }

    /// After which a lease that is not renewed may be taken.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.shared.timeout
    }

    /// How often it is worth looking whether a lease can be taken.
    #[must_use]
    pub fn look_interval(&self) -> Duration {
        self.shared.timeout / 10
    }

    /// Takes the lease `name` (letters, digits, `.`, `-`, `_`) if nobody has it: it is new, was given back, or its holder has
    /// not renewed it while we looked. To take it from a holder that is gone needs looks over the timeout.
    pub async fn take(&self, name: &str) -> Result<Option<Lease>, LeaseError> {
        let shared = &self.shared;
        let found = self.read(name).await?;
        if shared.standing(name, &found) != Standing::Free {
            return Ok(None);
        }
        let previous = found.record();
        let record = Record::taken(&shared.holder, previous.as_ref());
        let begun = Instant::now();
        let write = shared.bucket.write(name, &record, found.revision());
        match timeout(shared.answer_limit(), write).await.map_err(|_| LeaseError::TimedOut)?? {
            Written::Superseded => Ok(None),
            Written::At(revision) => {
                let left =
                    previous.as_ref().is_none_or(|record| record.is_free || record.holder == shared.holder);
                if !left {
                    shared.metrics.leases_taken_over.inc();
                }
                tracing::info!(lease = name, epoch = revision, is_taken_over = !left, "lease is taken");
                let previous_epoch = previous.map(|record| record.epoch_at(found.revision()));
                let lease = Lease::start(self, name, (record, revision), previous_epoch, begun);
                lock(&shared.ours).insert(name.to_owned(), lease.holding());
                Ok(Some(lease))
            }
        }
    }

    /// Takes the lease `name` as soon as that is possible, however long it takes.
    pub async fn wait_for(&self, name: &str) -> Lease {
        let mut backoff = Backoff::new();
        loop {
            let wait = match self.take(name).await {
                Ok(Some(lease)) => return lease,
                Ok(None) => {
                    backoff.reset();
                    self.look_interval()
                }
                Err(error) => {
                    let wait = backoff.next_wait();
                    tracing::warn!(
                        lease = name,
                        error = chain(&error),
                        retry_in_ms = wait.as_millis(),
                        "lease cannot be looked at"
                    );
                    wait
                }
            };
            sleep(wait).await;
        }
    }

    /// Who has the lease `name`, as far as can be told by now.
    pub async fn look(&self, name: &str) -> Result<Standing, LeaseError> {
        let found = self.read(name).await?;
        Ok(self.shared.standing(name, &found))
    }

    async fn read(&self, name: &str) -> Result<Found, LeaseError> {
        let reading = timeout(self.shared.answer_limit(), self.shared.bucket.read(name));
        reading.await.map_err(|_| LeaseError::TimedOut)?
    }
}

impl Shared {
    /// How long an answer is waited for: what comes later is of no use.
    fn answer_limit(&self) -> Duration {
        self.timeout / 3
    }

    fn standing(&self, name: &str, found: &Found) -> Standing {
        if lock(&self.ours).get(name).is_some_and(Holding::is_held) {
            return Standing::Ours;
        }
        let since = self.seen_since(name, found.revision());
        let Some(record) = found.record() else {
            return if found.is_something() && since.elapsed() < self.timeout {
                Standing::Others
            } else {
                Standing::Free
            };
        };
        // A record of our own that we do not hold is one that we lost, or whose word never reached us.
        let is_left = record.is_free || record.holder == self.holder;
        if is_left || since.elapsed() >= self.timeout { Standing::Free } else { Standing::Others }
    }

    fn seen_since(&self, name: &str, revision: u64) -> Instant {
        let mut seen = lock(&self.seen);
        match seen.get(name) {
            Some((known, since)) if *known == revision => *since,
            Some(_) | None => {
                let now = Instant::now();
                seen.insert(name.to_owned(), (revision, now));
                now
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
