//! Serves a warp filter until the process stops.
//!
//! Binding is apart from serving, so that an address that is taken is an error at start and not a panic later,
//! and so that a test can ask for port 0 and learn which one it got.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use warp::{Filter, Reply};

use crate::lifecycle::Shutdown;

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen}")]
pub struct BindError {
    listen: SocketAddr,
    #[source]
    source: io::Error,
}

/// A socket that is open and not yet served.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    local_addr: SocketAddr,
}

impl Listener {
    /// Opens `listen`.
    pub async fn bind(listen: SocketAddr) -> Result<Self, BindError> {
        let open = async {
            let socket = TcpListener::bind(listen).await?;
            let local_addr = socket.local_addr()?;
            Ok(Self { socket, local_addr })
        };
        open.await.map_err(|source| BindError { listen, source })
    }

    /// The address it got; the port is real where 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves `routes` until the soft stop, then finishes the requests that are under way; drops them at the
    /// hard stop. `routes` answers everything itself (`recover` for what did not match).
    pub async fn serve<R>(self, routes: R, shutdown: Shutdown)
    where
        R: Filter<Error = Infallible> + Clone + Send + Sync + 'static,
        R::Extract: Reply,
    {
        tokio::select! {
            () = self.serve_until(routes, shutdown.soft_stop().clone()) => {}
            () = shutdown.hard_stop().cancelled() => {}
        }
    }

    /// Serves `routes` until `stop`, then finishes the requests that are under way, however long they take.
    pub async fn serve_until<R>(self, routes: R, stop: CancellationToken)
    where
        R: Filter<Error = Infallible> + Clone + Send + Sync + 'static,
        R::Extract: Reply,
    {
        warp::serve(routes).incoming(self.socket).graceful(stop.cancelled_owned()).run().await;
    }
}
