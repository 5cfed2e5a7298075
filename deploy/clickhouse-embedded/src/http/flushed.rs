//! A connection that tells when everything written to it has left.
//!
//! An exception in mid-result is written into the body and then the connection is broken. Breaking it at once would
//! throw away what still waits to be written, the exception itself included: so the body waits here first.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// How long a client may take for the last part of a broken result.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client's connection.
pub(super) struct Connection {
    stream: TcpStream,
    count: watch::Sender<u64>,
}

/// Looks at a connection's flushes from its response bodies.
#[derive(Debug, Clone)]
pub(super) struct Flushes(watch::Receiver<u64>);

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, count: watch::Sender::new(0) }
    }

    pub(super) fn flushes(&self) -> Flushes {
        Flushes(self.count.subscribe())
    }
}

impl Flushes {
    /// How often everything had left so far.
    pub(super) fn count(&self) -> u64 {
        *self.0.borrow()
    }

    /// Waits until everything has left once more than `count` times, or the client is too slow for it.
    pub(super) async fn wait_beyond(&mut self, count: u64) {
        let left = self.0.wait_for(|now| *now > count);
        if tokio::time::timeout(PATIENCE, left).await.is_err() {
            tracing::debug!("a client did not take the end of its result");
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called once everything buffered above has been written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.count.send_modify(|count| *count += 1);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
