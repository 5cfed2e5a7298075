//! How long that which fails is left alone.

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::Backoff;

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_mins(10);

/// Doubles from 10 s to 10 min, until it works.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    until: Option<Instant>,
    backoff: Backoff,
}

impl Default for Rest {
    fn default() -> Self {
        Self { until: None, backoff: Backoff::between(FIRST, LONGEST) }
    }
}

impl Rest {
    /// Begins, and gives how long it takes: longer than the last time.
    pub(super) fn begin(&mut self) -> Duration {
        let wait = self.backoff.next_wait();
        self.until = Some(Instant::now() + wait);
        wait
    }

    /// Whether it is to be left alone for now.
    pub(super) fn is_on(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }

    /// It worked.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rests_grow_to_a_bound_and_begin_anew_after_success() {
        let mut rest = Rest::default();
        assert!(!rest.is_on());
        let waits: Vec<_> = (0..8).map(|_| rest.begin().as_secs()).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 600, 600]);
        assert!(rest.is_on());
        tokio::time::advance(LONGEST).await;
        assert!(!rest.is_on());
        rest.end();
        assert_eq!(rest.begin(), FIRST);
    }
}
