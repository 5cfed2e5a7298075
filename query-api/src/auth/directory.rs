//! The tokens that are good, in memory, and how they are kept up to date.
//!
//! The table is read whole, again and again, and at once when a token is shown that is not known: it may be new. All who
//! show such tokens wait for the same read, and reads keep a distance, so strangers cannot load the table however many they
//! are. A token that was revoked or has expired is as unknown as any other, and takes as long to be refused.

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

use super::credential::{AuthError, Credential};
use super::principal::Principal;
use super::token::{KnownToken, may_be_token};

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

/// Knows the tokens of the table. Clones know the same.
#[derive(Clone, Debug)]
pub struct Directory {
    known: watch::Receiver<Known>,
    wake: Arc<Notify>,
    clock: SharedClock,
    grace: Duration,
}

/// Keeps a [`Directory`] up to date.
#[derive(Debug)]
pub struct Keeper {
    known: watch::Sender<Known>,
    wake: Arc<Notify>,
    refresh: Duration,
}

/// What was read last.
#[derive(Clone, Debug, Default)]
struct Known {
    /// By the beginnings of their digests.
    tokens: Arc<HashMap<u64, Vec<KnownToken>>>,
    /// When the read began that they are of.
    read_at: Option<Instant>,
    /// When the last attempt at a read began that is over.
    tried_at: Option<Instant>,
}

impl Directory {
    /// An empty directory, and what fills it.
    #[must_use]
    pub fn new(currency: Currency, clock: SharedClock) -> (Self, Keeper) {
        let (sender, known) = watch::channel(Known::default());
        let wake = Arc::new(Notify::new());
        let keeper = Keeper { known: sender, wake: Arc::clone(&wake), refresh: currency.refresh };
        (Self { known, wake, clock, grace: currency.grace }, keeper)
    }

    /// Whose token it is. Waits for a read where it is not known.
    pub async fn find(&self, sent: Credential<'_>) -> Result<Principal, AuthError> {
        if !may_be_token(sent.token()) {
            return Err(AuthError::Unknown);
        }
        let digest = TokenDigest::of(sent.token());
        let asked_at = Instant::now();
        let mut known = self.known.clone();
        let find = |known: &Known| known.find(digest, sent, self.clock.now_ms());
        {
            let known = known.borrow();
            let is_current = known.read_at.is_some_and(|at| asked_at.duration_since(at) <= self.grace);
            if let Some(principal) = find(&known).filter(|_| is_current) {
                return Ok(principal);
            }
        }
        self.wake.notify_one();
        let tried = known.wait_for(|known| known.tried_at.is_some_and(|at| at >= asked_at)).await;
        // The keeper is gone: the process is about to end.
        let known = tried.map_err(|_| AuthError::Unavailable)?;
        if known.read_at == known.tried_at {
            find(&known).ok_or(AuthError::Unknown)
        } else {
            Err(AuthError::Unavailable)
        }
    }
}

impl Keeper {
    /// Reads the tokens with `read` until the hard stop.
    pub async fn keep<E: Display>(
        self,
        read: impl AsyncFn() -> Result<Vec<KnownToken>, E>,
        shutdown: Shutdown,
    ) -> Result<(), Infallible> {
        let reading = async {
            let mut is_told = false;
            loop {
                let failed = self.read(&read).await;
                if let (Some(reason), false) = (&failed, is_told) {
                    tracing::warn!(
                        reason,
                        "api tokens cannot be read; those that are known go on for a while"
                    );
                }
                if failed.is_none() && is_told {
                    tracing::info!("api tokens can be read again");
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
    async fn read<E: Display>(&self, read: &impl AsyncFn() -> Result<Vec<KnownToken>, E>) -> Option<String> {
        let began = Instant::now();
        match timeout(READ_TIMEOUT, read()).await {
            Ok(Ok(tokens)) => {
                let mut by_beginning: HashMap<u64, Vec<KnownToken>> = HashMap::new();
                for token in tokens {
                    by_beginning.entry(token.digest.beginning()).or_default().push(token);
                }
                let tokens = Arc::new(by_beginning);
                self.known.send_replace(Known { tokens, read_at: Some(began), tried_at: Some(began) });
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

impl Known {
    fn find(&self, digest: TokenDigest, sent: Credential<'_>, now_ms: i64) -> Option<Principal> {
        let candidates = self.tokens.get(&digest.beginning())?;
        let token = candidates.iter().find(|token| token.digest == digest)?;
        token.admits(sent, now_ms).then(|| token.principal.clone())
    }
}

#[cfg(test)]
mod tests;
