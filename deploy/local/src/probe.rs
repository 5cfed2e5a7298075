//! How a service shows that it is ready.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest time that one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(2);

/// A sign of readiness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A GET of this URL is answered with 200.
    Http(String),
    /// The address takes connections.
    Connects(SocketAddr),
    /// The address takes connections and the first line it says holds this text.
    Greets(SocketAddr, &'static str),
    /// There is nothing to wait for.
    None,
}

impl Probe {
    pub(crate) async fn succeeds(&self) -> bool {
        let attempt = async {
            match self {
                Self::Http(url) => {
                    let answer = reqwest::get(url).await;
                    answer.is_ok_and(|response| response.status() == reqwest::StatusCode::OK)
                }
                Self::Connects(address) => TcpStream::connect(address).await.is_ok(),
                Self::Greets(address, text) => {
                    first_line(*address).await.is_some_and(|line| line.contains(text))
                }
                Self::None => true,
            }
        };
        timeout(ATTEMPT, attempt).await.unwrap_or(false)
    }
}

async fn first_line(address: SocketAddr) -> Option<String> {
    let stream = TcpStream::connect(address).await.ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await.ok()?;
    Some(line)
}
