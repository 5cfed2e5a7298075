//! Who is making batches: while anyone is, a write may wait for them.

use tokio::sync::watch;

/// How many are at it. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Makers {
    count: watch::Sender<usize>,
}

/// Says that a batch is being made, until it is dropped.
#[derive(Debug)]
pub struct Making(Makers);

impl Makers {
    /// One more.
    pub(super) fn begin(&self) -> Making {
        self.count.send_modify(|count| *count += 1);
        Making(self.clone())
    }

    /// Waits until nobody is.
    pub(super) async fn idle(&self) {
        let mut count = self.count.subscribe();
        // The sender is ours, so it cannot be gone.
        let _ = count.wait_for(|count| *count == 0).await;
    }
}

impl Default for Makers {
    fn default() -> Self {
        Self { count: watch::Sender::new(0) }
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        self.0.count.send_modify(|count| *count -= 1);
    }
}
