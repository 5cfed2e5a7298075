//! A connection whose client has to take what is sent to it.
//!
//! An answer without an end (a stream of events) is otherwise there for ever when its client stops reading: the client is alive, so
//! TCP waits, and hyper asks for no more of the answer, which so cannot end either.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// How long a client may take not a single byte. Longer than a network that is gone for a moment needs.
pub(super) const STALL_MAX: Duration = Duration::from_secs(30);
/// The same while the process stops.
const STALL_MAX_STOPPING: Duration = Duration::from_secs(1);

/// Writes fail when nothing of them was taken for too long.
#[derive(Debug)]
pub(super) struct Unstalled<S> {
    stream: S,
    stall_max: Duration,
    soft_stop: CancellationToken,
    /// Since when nothing was taken, and what wakes us when that is too long.
    stalled: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S> Unstalled<S> {
    pub(super) const fn new(stream: S, stall_max: Duration, soft_stop: CancellationToken) -> Self {
        Self { stream, stall_max, soft_stop, stalled: None }
    }

    /// What came of a write, or an error where it has waited for too long.
    fn within_limit<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let now = Instant::now();
        let (since, alarm) = self.stalled.get_or_insert_with(|| (now, Box::pin(sleep_until(now))));
        let stall_max = if self.soft_stop.is_cancelled() { STALL_MAX_STOPPING } else { self.stall_max };
        let end = *since + stall_max;
        if alarm.deadline() != end {
            alarm.as_mut().reset(end);
        }
        ready!(alarm.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unstalled<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unstalled<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.within_limit(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.within_limit(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.within_limit(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.within_limit(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    fn connection(soft_stop: &CancellationToken) -> (Unstalled<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(8);
        (Unstalled::new(ours, STALL_MAX, soft_stop.clone()), theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_slowly_is_waited_for_and_one_that_does_not_is_given_up() {
        let (mut ours, mut theirs) = connection(&CancellationToken::new());
        let reading = tokio::spawn(async move {
            for _ in 0..8 {
                tokio::time::sleep(STALL_MAX * 9 / 10).await;
                theirs.read_exact(&mut [0; 4]).await.unwrap();
            }
            theirs
        });
        ours.write_all(&[1; 32]).await.unwrap();
        let _theirs = reading.await.unwrap();
        let begun = Instant::now();
        let error = ours.write_all(&[1; 32]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= STALL_MAX && begun.elapsed() < 2 * STALL_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn the_stop_waits_for_nobody_who_does_not_read() {
        let soft_stop = CancellationToken::new();
        let (mut ours, _theirs) = connection(&soft_stop);
        let begun = Instant::now();
        let mut writing = std::pin::pin!(ours.write_all(&[1; 32]));
        assert!(tokio::time::timeout(STALL_MAX / 2, writing.as_mut()).await.is_err());
        soft_stop.cancel();
        assert!(writing.await.is_err());
        assert!(begun.elapsed() < STALL_MAX * 2 / 3);
    }
}
