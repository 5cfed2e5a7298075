//! A way to a server that can be slow, or closed.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// How long each piece of data takes on a slow way.
const SLOW: Duration = Duration::from_millis(150);

/// How data gets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// As it comes.
    Open,
    /// In its own time.
    Slow,
    /// Not at all: connections are broken off, and new ones too.
    Refuse,
}

/// Leads to a server.
#[derive(Debug)]
pub(super) struct Way {
    manner: watch::Sender<Manner>,
    address: SocketAddr,
}

impl Way {
    /// A way to `server` (`http://address`).
    pub(super) fn to(server: &str) -> Self {
        let server = server.trim_start_matches("http://").to_owned();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let manner = watch::Sender::new(Manner::Open);
        let receiver = manner.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server.clone(), receiver.clone()));
            }
        });
        Self { manner, address }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn set(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }
}

async fn carry(client: TcpStream, server: String, mut manner: watch::Receiver<Manner>) {
    if *manner.borrow() == Manner::Refuse {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = copy(from_client, to_server, manner.clone());
    let back = copy(from_server, to_client, manner.clone());
    tokio::select! {
        _ = async { tokio::join!(there, back) } => {}
        // The connections are dropped in the middle of whatever it was.
        _ = manner.wait_for(|manner| *manner == Manner::Refuse) => {}
    }
}

async fn copy(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    manner: watch::Receiver<Manner>,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if *manner.borrow() == Manner::Slow {
            sleep(SLOW).await;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}
