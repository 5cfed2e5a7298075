//! The accept loop: one task a connection, until the stop; then those at work finish.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::Service;
use super::flushed::Connection;
use crate::engine::Host;

/// How long to wait after a failed accept, which is most often a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often idle sessions are looked for.
const SESSION_SWEEP: Duration = Duration::from_secs(1);

/// Serves until `stop`; then lets requests finish for `drain`. True if all of them did.
pub async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    stop: CancellationToken,
    drain: Duration,
) -> bool {
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _peer)) => connect(stream, &service, &graceful),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    tokio::time::timeout(drain, graceful.shutdown()).await.is_ok()
}

/// Closes sessions that were idle for too long, for ever.
pub async fn sweep_sessions(host: Arc<Host>) {
    loop {
        tokio::time::sleep(SESSION_SWEEP).await;
        let expired = host.sessions().take_expired(Instant::now());
        if !expired.is_empty() {
            tracing::debug!(count = expired.len(), "sessions expired");
            drop(tokio::task::spawn_blocking(move || drop(expired)).await);
        }
    }
}

fn connect(stream: TcpStream, service: &Arc<Service>, graceful: &GracefulShutdown) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot turn off delays on a connection");
    }
    let service = Arc::clone(service);
    let stream = Connection::new(stream);
    let flushes = stream.flushes();
    let handler = service_fn(move |request| {
        let (service, flushes) = (Arc::clone(&service), flushes.clone());
        async move { service.call(request, flushes).await }
    });
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), handler);
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = watched.await {
            // A client that goes away, or a result that failed in its middle: both are the client's to notice.
            tracing::debug!(%error, "connection ended");
        }
    });
}
