//! What is closed as long as anyone keeps it closed: the way in, while nothing can be written, and the end of a group, while
//! batches are being made.

use tokio::sync::watch;

/// Clones are the same gate.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    closers: watch::Sender<usize>,
}

/// Keeps a gate closed until it is dropped.
#[derive(Debug)]
pub(super) struct Closed(Gate);

impl Gate {
    /// Closes it.
    pub(super) fn close(&self) -> Closed {
        self.closers.send_modify(|closers| *closers += 1);
        Closed(self.clone())
    }

    /// Whether it is closed.
    pub(super) fn is_closed(&self) -> bool {
        *self.closers.borrow() > 0
    }

    /// Waits until it is closed.
    pub(super) async fn closed(&self) {
        let mut closers = self.closers.subscribe();
        // The sender is ours, so it cannot be gone.
        let _ = closers.wait_for(|closers| *closers > 0).await;
    }

    /// Waits until it is open.
    pub(super) async fn opened(&self) {
        let mut closers = self.closers.subscribe();
        let _ = closers.wait_for(|closers| *closers == 0).await;
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self { closers: watch::Sender::new(0) }
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.0.closers.send_modify(|closers| *closers -= 1);
    }
}
