//! What is known of the secrets of a table, in memory, and how it is kept up to date: of API tokens, of users' access
//! tokens, of relay keys.
//!
//! A table is read whole, again and again, and at once when a secret is shown that is not known: it may be new. All who
//! show such secrets wait for the same read, and reads keep a distance, so strangers cannot load the table however many they
//! are. One that is known and no longer good takes the same way, and so as long to be refused.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use weir_service::auth::TokenDigest;
use weir_service::clock::SharedClock;
use weir_service::lifecycle::Shutdown;

use super::credential::AuthError;

/// The least time between two reads.
const DISTANCE: Duration = Duration::from_millis(200);
/// The longest that a read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// How current the directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency {
    /// It is read so often: so long a token goes on working that was revoked.
    pub refresh: Duration,
    /// So long those that are known go on working while the table cannot be read.
    pub grace: Duration,
}

/// Something that is known by a secret, of which only the SHA-256 is.
pub trait Entry: Clone + Send + Sync + 'static {
    /// What logs call all of them.
    const KIND: &'static str;

    /// The SHA-256 of its secret.
    fn digest(&self) -> TokenDigest;
}

/// Knows the entries of a table. Clones know the same.
#[derive(Clone, Debug)]
pub struct Directory<T> {
    known: watch::Receiver<Known<T>>,
    wake: Arc<Notify>,
    clock: SharedClock,
    grace: Duration,
}

/// Keeps a [`Directory`] up to date.
#[derive(Debug)]
pub struct Keeper<T> {
    known: watch::Sender<Known<T>>,
    wake: Arc<Notify>,
    refresh: Duration,
}

/// What was read last.
#[derive(Clone, Debug)]
struct Known<T> {
    /// By the beginnings of their digests.
    entries: Arc<HashMap<u64, Vec<T>>>,
    /// When the read began that they are of.
    read_at: Option<Instant>,
    /// When the last attempt at a read began that is over.
    tried_at: Option<Instant>,
}

impl<T: Entry> Directory<T> {
    /// An empty directory, and what fills it.
    #[must_use]
    pub fn new(currency: Currency, clock: SharedClock) -> (Self, Keeper<T>) {
        let (sender, known) =
            watch::channel(Known { entries: Arc::default(), read_at: None, tried_at: None });
        let wake = Arc::new(Notify::new());
        let keeper = Keeper { known: sender, wake: Arc::clone(&wake), refresh: currency.refresh };
        (Self { known, wake, clock, grace: currency.grace }, keeper)
    }

    /// What there is under `digest`. Waits for a read where nothing is, and where it is not good at this time (milliseconds
    /// since 1970): then it is what that read has found, good or not.
    pub async fn find(&self, digest: TokenDigest, is_good: impl Fn(&T, i64) -> bool) -> Result<T, AuthError> {
        let asked_at = Instant::now();
        let mut known = self.known.clone();
        {
            let known = known.borrow();
            let is_current = known.read_at.is_some_and(|at| asked_at.duration_since(at) <= self.grace);
            let found = known.find(digest).filter(|entry| is_current && is_good(entry, self.now_ms()));
            if let Some(entry) = found {
                return Ok(entry.clone());
            }
        }
        let known = self.read_since(&mut known, asked_at).await?;
        if known.read_at == known.tried_at {
            known.find(digest).cloned().ok_or(AuthError::Unknown)
        } else {
            Err(AuthError::Unavailable)
        }
    }

    /// Takes as long as to find out that somebody is not known: for who is told no more than a stranger.
    pub async fn delay_as_stranger(&self) {
        // What came of the read is all the same.
        let _ = self.read_since(&mut self.known.clone(), Instant::now()).await;
    }

    /// What is known once a read is over that began now or later.
    async fn read_since<'k>(
        &self,
        known: &'k mut watch::Receiver<Known<T>>,
        asked_at: Instant,
    ) -> Result<watch::Ref<'k, Known<T>>, AuthError> {
        self.wake.notify_one();
        let tried = known.wait_for(|known| known.tried_at.is_some_and(|at| at >= asked_at)).await;
        // The keeper is gone: the process is about to end.
        tried.map_err(|_| AuthError::Unavailable)
    }

    /// The time by which entries are judged, in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }
}

impl<T: Entry> Keeper<T> {
    /// Reads the entries with `read`, which gives nothing where they are what it gave last, until the hard stop.
    pub async fn keep<E: Display>(
        self,
        read: impl AsyncFn() -> Result<Option<Vec<T>>, E>,
        shutdown: Shutdown,
    ) -> Result<(), Infallible> {
        let reading = async {
            let mut is_told = false;
            loop {
                let failed = self.read(&read).await;
                if let (Some(reason), false) = (&failed, is_told) {
                    tracing::warn!(
                        reason,
                        kind = T::KIND,
                        "a directory cannot be read; those that are known go on for a while"
                    );
                }
                if failed.is_none() && is_told {
                    tracing::info!(kind = T::KIND, "a directory can be read again");
                }
                is_told = failed.is_some();
                sleep(DISTANCE).await;
                // Somebody asks, or it is time anyway.
                let _ = timeout(self.refresh.saturating_sub(DISTANCE), self.wake.notified()).await;
            }
        };
        tokio::select! {
            never = reading => never,
            () = shutdown.hard_stop().cancelled() => Ok(()),
        }
    }

    /// Reads them once, and says why that failed.
    async fn read<E: Display>(&self, read: &impl AsyncFn() -> Result<Option<Vec<T>>, E>) -> Option<String> {
        let began = Instant::now();
        match timeout(READ_TIMEOUT, read()).await {
            Ok(Ok(None)) => {
                self.known.send_modify(|known| {
                    (known.read_at, known.tried_at) = (Some(began), Some(began));
                });
                None
            }
            Ok(Ok(Some(entries))) => {
                let mut by_beginning: HashMap<u64, Vec<T>> = HashMap::new();
                for entry in entries {
                    by_beginning.entry(entry.digest().beginning()).or_default().push(entry);
                }
                let entries = Arc::new(by_beginning);
                self.known.send_replace(Known { entries, read_at: Some(began), tried_at: Some(began) });
                None
            }
            failed => {
                self.known.send_modify(|known| known.tried_at = Some(began));
                Some(match failed {
                    Ok(Err(error)) => error.to_string(),
                    Ok(Ok(_)) | Err(_) => "clickhouse does not answer".to_owned(),
                })
            }
        }
    }
}

impl<T: Entry> Known<T> {
    fn find(&self, digest: TokenDigest) -> Option<&T> {
        self.entries.get(&digest.beginning())?.iter().find(|entry| entry.digest() == digest)
    }
}

#[cfg(test)]
mod tests;
