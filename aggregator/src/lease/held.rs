//! A lease while it is held, and the task that renews it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use weir_service::telemetry::chain;

use super::bucket::Written;
use super::error::LeaseError;
use super::record::Record;
use super::{Leases, lock};

/// Until when a lease is held, unless it is renewed; `None` once it is lost or given back.
type Until = Option<Instant>;

/// A lease that this process took, and that is renewed for as long as this is kept. Dropped, it is not renewed any more, and
/// whoever waits for it has it after the timeout; [`Lease::give_back`] does not make them wait.
#[derive(Debug)]
pub struct Lease {
    holding: Holding,
    previous_epoch: Option<u64>,
    left_word: String,
    word: Arc<Mutex<String>>,
    until: Arc<watch::Sender<Until>>,
    loss: Loss,
    giving_back: CancellationToken,
    keeper: JoinHandle<()>,
}

/// Says whether a [`Lease`] is held. Clones are about the same lease.
#[derive(Clone, Debug)]
pub struct Holding {
    until: watch::Receiver<Until>,
    epoch: u64,
}

/// Tells that a lease is lost.
#[derive(Clone, Debug)]
struct Loss {
    leases: Leases,
    name: String,
    epoch: u64,
}

/// Renews a lease.
struct Keeper {
    leases: Leases,
    name: String,
    record: Record,
    revision: u64,
    begun: Instant,
    word: Arc<Mutex<String>>,
    until: Arc<watch::Sender<Until>>,
    loss: Loss,
    giving_back: CancellationToken,
}

impl Lease {
    /// A lease whose `record` was written at a revision, by an attempt that had `begun`.
    pub(super) fn start(
        leases: &Leases,
        name: &str,
        (record, revision): (Record, u64),
        previous_epoch: Option<u64>,
        begun: Instant,
    ) -> Self {
        let until = Arc::new(watch::Sender::new(Some(begun + valid_for(leases.timeout()))));
        let word = Arc::new(Mutex::new(record.word.clone()));
        let giving_back = CancellationToken::new();
        let left_word = record.word.clone();
        let loss = Loss { leases: leases.clone(), name: name.to_owned(), epoch: revision };
        let keeper = Keeper {
            leases: leases.clone(),
            name: name.to_owned(),
            record: Record { epoch: revision, ..record },
            revision,
            begun,
            word: Arc::clone(&word),
            until: Arc::clone(&until),
            loss: loss.clone(),
            giving_back: giving_back.clone(),
        };
        Self {
            holding: Holding { until: until.subscribe(), epoch: revision },
            previous_epoch,
            left_word,
            word,
            until,
            loss,
            giving_back,
            keeper: tokio::spawn(keeper.run()),
        }
    }

    /// For whoever has to ask whether it is held.
    #[must_use]
    pub fn holding(&self) -> Holding {
        self.holding.clone()
    }

    /// The epoch of whoever held it before, also if that was this process: equal to the epoch of our last lease on the name if
    /// nobody else had it in between. `None` if nobody is known to have held it.
    #[must_use]
    pub fn previous_epoch(&self) -> Option<u64> {
        self.previous_epoch
    }

    /// The word of whoever held it before, see [`Lease::leave_word`]; empty if there was none.
    #[must_use]
    pub fn left_word(&self) -> &str {
        &self.left_word
    }

    /// Has the next renewal tell whoever is next something, instead of what was told before.
    pub fn leave_word(&self, word: String) {
        *lock(&self.word) = word;
    }

    /// Lets somebody else have it at once. It is not held from here on, whatever NATS says.
    pub async fn give_back(mut self) {
        self.end();
        self.giving_back.cancel();
        // It ends by itself within the time of one answer, and does not panic.
        let _ = (&mut self.keeper).await;
    }

    /// It is not held from here on. Whoever held it may have seen that it ran out before its keeper did.
    fn end(&self) {
        let until = self.until.send_replace(None);
        self.loss.tell_if_over(until);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.end();
        self.keeper.abort();
    }
}

impl Holding {
    /// Whether it is held at this moment. To be asked right before whatever only its holder may do.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.until.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// A number that grows with every holder of the name.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Waits until it is not held any more.
    pub async fn lost(&self) {
        let mut until = self.until.clone();
        loop {
            let Some(end) = *until.borrow_and_update() else { return };
            tokio::select! {
                biased;
                changed = until.changed() => if changed.is_err() {
                    return;
                },
                () = sleep_until(end) => return,
            }
        }
    }
}

impl Loss {
    /// Tells of a lease that was held until then, if that is over. To be told what it was when it was taken away, which is
    /// `None` for all but the first: so a loss is told once.
    fn tell_if_over(&self, until: Until) {
        if until.is_some_and(|until| until <= Instant::now()) {
            self.tell();
        }
    }

    fn tell(&self) {
        self.leases.shared.metrics.leases_lost.inc();
        tracing::warn!(lease = self.name, epoch = self.epoch, "lease is lost");
    }
}

impl Keeper {
    async fn run(mut self) {
        if self.keep().await {
            self.write_free().await;
            tracing::info!(lease = self.name, epoch = self.record.epoch, "lease is given back");
        } else if self.until.send_replace(None).is_some() {
            self.loss.tell();
        }
    }

    /// Renews until it is lost (false) or to be given back (true).
    async fn keep(&mut self) -> bool {
        let timeout = self.leases.timeout();
        let mut next = self.begun + timeout / 3;
        loop {
            let giving_back = self.giving_back.clone();
            tokio::select! {
                biased;
                () = giving_back.cancelled() => return true,
                () = sleep_until(next) => {}
            }
            let (begun, end) = (Instant::now(), self.begun + valid_for(timeout));
            if begun >= end {
                return false;
            }
            match timeout_at(end, self.renew()).await {
                Ok(Ok(true)) if Instant::now() < end => {
                    self.begun = begun;
                    self.until.send_if_modified(|until| {
                        // Who gives back has said `None` already, and is not to be contradicted.
                        let is_kept = until.is_some();
                        if is_kept {
                            *until = Some(begun + valid_for(timeout));
                        }
                        is_kept
                    });
                    next = begun + timeout / 3;
                }
                Ok(Ok(true | false)) | Err(_) => return false,
                Ok(Err(error)) => {
                    tracing::warn!(lease = self.name, error = chain(&error), "lease is not renewed");
                    next = Instant::now() + timeout / 20;
                }
            }
        }
    }

    /// Whether it is renewed, and not somebody else's.
    async fn renew(&mut self) -> Result<bool, LeaseError> {
        self.record.word.clone_from(&lock(&self.word));
        let shared = &self.leases.shared;
        let write = shared.bucket.write(&self.name, &self.record, self.revision);
        match timeout(shared.answer_limit(), write).await.map_err(|_| LeaseError::TimedOut)?? {
            Written::At(revision) => {
                self.revision = revision;
                Ok(true)
            }
            Written::Superseded => self.look_who_wrote().await,
        }
    }

    /// There is another revision than ours. It may be from an attempt of our own that was not answered.
    async fn look_who_wrote(&mut self) -> Result<bool, LeaseError> {
        let found = self.leases.read(&self.name).await?;
        let Some(record) = found.record() else { return Ok(false) };
        let is_ours =
            record.holder == self.record.holder && record.epoch_at(found.revision()) == self.record.epoch;
        if found.revision() <= self.revision {
            // A replica of the bucket that is behind.
            return Err(LeaseError::Stale);
        }
        if !is_ours || record.is_free {
            return Ok(false);
        }
        self.revision = found.revision();
        // It says that we were there when it was written, but not when that was: it is renewed once more.
        Err(LeaseError::TimedOut)
    }

    async fn write_free(&mut self) {
        let record = Record { is_free: true, word: lock(&self.word).clone(), ..self.record.clone() };
        let shared = &self.leases.shared;
        let write = shared.bucket.write(&self.name, &record, self.revision);
        match timeout(shared.answer_limit(), write).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(lease = self.name, error = chain(&error), "lease is left to run out");
            }
            Err(_) => tracing::warn!(lease = self.name, "lease is left to run out"),
        }
    }
}

/// For how long a lease is held after a renewal began.
fn valid_for(timeout: Duration) -> Duration {
    timeout / 5 * 4
}
