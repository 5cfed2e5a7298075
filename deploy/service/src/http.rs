//! Serves a warp filter until the process stops.
//!
//! Binding is apart from serving, so that an address that is taken is an error at start and not a panic later, and so
//! that a test can ask for port 0 and learn which one it got.
//!
//! The accept loop is ours and not warp's, for what a socket open to the world needs: a client that never finishes its
//! headers is cut off, as is one that does not take what it asked for, a client that hangs up in the middle is not an ERROR in our log, and the hard stop closes
//! connections instead of leaving them to the end of the process.

mod stall;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use warp::{Filter, Reply};

use self::stall::{STALL_MAX, Unstalled};
use crate::lifecycle::{Lifecycle, Shutdown};

/// How long a client may take for the headers of a request, from the first byte on a fresh connection or, between
/// requests, from the answer before: so also how long an idle connection is kept. Longer than the minute after which
/// load balancers give up theirs, so that it is they who close and no request is lost between.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(75);

/// How long to leave a listener alone that cannot accept: the process is out of file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

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
    headers_timeout: Duration,
}

/// Who is at the other end of the connection of a request, among its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// Serves `routes` on `listener` as a task of `lifecycle`.
pub fn spawn<R>(lifecycle: &Lifecycle, name: &'static str, listener: Listener, routes: R)
where
    R: Filter<Error = Infallible> + Clone + Send + Sync + 'static,
    R::Extract: Reply,
{
    let shutdown = lifecycle.shutdown();
    tracing::info!(task = name, listen = %listener.local_addr(), "listening");
    lifecycle.spawn(name, async move {
        listener.serve(routes, shutdown).await;
        Ok::<_, Infallible>(())
    });
}

impl Listener {
    /// Opens `listen`.
    pub async fn bind(listen: SocketAddr) -> Result<Self, BindError> {
        let open = async {
            let socket = TcpListener::bind(listen).await?;
            let local_addr = socket.local_addr()?;
            Ok(Self { socket, local_addr, headers_timeout: HEADERS_TIMEOUT })
        };
        open.await.map_err(|source| BindError { listen, source })
    }

    /// The address it got; the port is real where 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves `routes` until the soft stop, then finishes the requests that are under way; drops them at the hard stop.
    /// `routes` answers everything itself (`recover` for what did not match).
    pub async fn serve<R>(self, routes: R, shutdown: Shutdown)
    where
        R: Filter<Error = Infallible> + Clone + Send + Sync + 'static,
        R::Extract: Reply,
    {
        self.serve_between(routes, shutdown.soft_stop(), shutdown.hard_stop()).await;
    }

    /// Serves `routes` until `stop`, then finishes the requests that are under way, however long they take.
    pub async fn serve_until<R>(self, routes: R, stop: CancellationToken)
    where
        R: Filter<Error = Infallible> + Clone + Send + Sync + 'static,
        R::Extract: Reply,
    {
        self.serve_between(routes, &stop, &CancellationToken::new()).await;
    }

    async fn serve_between<R>(self, routes: R, soft: &CancellationToken, hard: &CancellationToken)
    where
        R: Filter<Error = Infallible> + Clone + Send + Sync + 'static,
        R::Extract: Reply,
    {
        let connections = TaskTracker::new();
        while let Some(accepted) = soft.run_until_cancelled(self.socket.accept()).await {
            match accepted {
                Ok((stream, peer)) => {
                    let client = (stream, PeerAddress(peer));
                    let answered = answer(client, routes.clone(), self.headers_timeout, soft.clone());
                    let hard = hard.clone();
                    connections.spawn(async move {
                        // At the hard stop the connection is dropped where it stands.
                        hard.run_until_cancelled(answered).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.socket);
        connections.close();
        connections.wait().await;
    }
}

/// Answers the requests of one connection; after the soft stop, only the one that is under way.
async fn answer<R>(
    (stream, peer): (TcpStream, PeerAddress),
    routes: R,
    headers_timeout: Duration,
    soft: CancellationToken,
) where
    R: Filter<Error = Infallible> + Clone + Send + Sync + 'static,
    R::Extract: Reply,
{
    let routes = TowerToHyperService::new(warp::service(routes));
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        routes.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(headers_timeout)
        .serve_connection(TokioIo::new(Unstalled::new(stream, STALL_MAX, soft.clone())), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = soft.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients hang up; anyone can make this line, so it is for debugging only.
        tracing::debug!(%error, "connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    /// Serves `/slow`, which takes `takes`, with a short limit for headers.
    async fn serve_slow(takes: Duration, shutdown: &Shutdown) -> (SocketAddr, JoinHandle<()>) {
        let slow = warp::path!("slow").then(move || async move {
            sleep(takes).await;
            "slow and sure"
        });
        let lost = |_| async { Ok::<_, Infallible>("lost") };
        let mut listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        listener.headers_timeout = Duration::from_millis(200);
        let address = listener.local_addr();
        (address, tokio::spawn(listener.serve(slow.recover(lost), shutdown.clone())))
    }

    async fn connect_and_send(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn read_to_end(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        // A connection that is cut off may end in an error; what came before it counts.
        let _ = timeout(LIMIT, stream.read_to_end(&mut text)).await.unwrap();
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn the_soft_stop_finishes_the_request_under_way_and_takes_no_other() {
        let shutdown = Shutdown::new();
        let (address, server) = serve_slow(Duration::from_millis(300), &shutdown).await;
        let asked = connect_and_send(address, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
        sleep(Duration::from_millis(100)).await;
        shutdown.stop();
        let answer = read_to_end(asked).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("slow and sure"), "{answer}");
        timeout(LIMIT, server).await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn the_soft_stop_does_not_wait_for_idle_connections() {
        let shutdown = Shutdown::new();
        let (address, server) = serve_slow(Duration::ZERO, &shutdown).await;
        let idle = connect_and_send(address, "").await;
        sleep(Duration::from_millis(50)).await;
        shutdown.stop();
        timeout(Duration::from_millis(150), server).await.unwrap().unwrap();
        assert_eq!(read_to_end(idle).await, "");
    }

    #[tokio::test]
    async fn the_hard_stop_drops_the_request_under_way() {
        let shutdown = Shutdown::new();
        let (address, server) = serve_slow(Duration::from_hours(1), &shutdown).await;
        let asked = connect_and_send(address, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
        sleep(Duration::from_millis(50)).await;
        shutdown.stop();
        shutdown.hard_stop().cancel();
        timeout(LIMIT, server).await.unwrap().unwrap();
        assert_eq!(read_to_end(asked).await, "");
    }

    #[tokio::test]
    async fn a_client_that_never_finishes_its_headers_is_cut_off() {
        let shutdown = Shutdown::new();
        let (address, _server) = serve_slow(Duration::ZERO, &shutdown).await;
        let stalled = connect_and_send(address, "GET /slow HTTP/1.1\r\nhost: x\r\n").await;
        assert!(!read_to_end(stalled).await.contains("slow and sure"));
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_an_error() {
        let taken = Listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let error = Listener::bind(taken.local_addr()).await.unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen on {}", taken.local_addr()));
    }
}
