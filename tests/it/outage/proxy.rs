//! A way to ClickHouse that can hold a request back: the client leaves, and the server gets it later.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// How long the server may take to begin with what was held.
const PATIENCE: Duration = Duration::from_secs(3);

/// How a request ends that is sent in pieces.
const LAST_PIECE: &[u8] = b"\r\n0\r\n\r\n";

/// Passes bytes on.
pub(crate) struct Proxy {
    listener: Option<std::net::TcpListener>,
    address: SocketAddr,
    rules: Arc<Rules>,
    release: watch::Sender<bool>,
}

/// Which requests are held: what has all of these in it, unless there are none.
#[derive(Default)]
struct Hold {
    parts: Vec<&'static str>,
    /// So many of them are let through first.
    first: usize,
    /// Not only the next one.
    every: bool,
}

struct Rules {
    /// The requests that are held.
    hold: Mutex<Hold>,
    /// How many requests had this in them.
    counts: Mutex<BTreeMap<&'static str, usize>>,
    /// It has come.
    came: watch::Sender<bool>,
    /// It has come to its end, where it is an insert: those are sent in pieces.
    whole: watch::Sender<bool>,
    /// Its client has gone.
    held: watch::Sender<bool>,
    released: watch::Receiver<bool>,
}

impl Proxy {
    /// Reserves an address.
    pub(crate) fn new() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let (release, released) = watch::channel(false);
        let flag = || watch::Sender::new(false);
        let (came, whole, held) = (flag(), flag(), flag());
        let rules = Rules { hold: Mutex::default(), counts: Mutex::default(), came, whole, held, released };
        let address = listener.local_addr().unwrap();
        Self { listener: Some(listener), address, rules: Arc::new(rules), release }
    }

    /// Leads to `server` (`http://address`) from here on. Gives its own URL.
    pub(crate) fn lead_to(&mut self, server: &str) -> String {
        let server = server.trim_start_matches("http://").to_owned();
        let listener = TcpListener::from_std(self.listener.take().unwrap()).unwrap();
        let rules = Arc::clone(&self.rules);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server.clone(), Arc::clone(&rules)));
            }
        });
        format!("http://{}", self.address)
    }

    /// Holds the next request that has all of `parts` in it.
    pub(crate) fn hold_next(&self, parts: &[&'static str]) {
        self.hold_behind(0, parts);
    }

    /// Holds the request that comes behind the `first` that have all of `parts` in them, and has so itself.
    pub(crate) fn hold_behind(&self, first: usize, parts: &[&'static str]) {
        *self.rules.hold.lock().unwrap() = Hold { parts: parts.to_vec(), first, every: false };
    }

    /// Holds every request that has all of `parts` in it, until another call of this kind.
    pub(crate) fn hold_every(&self, parts: &[&'static str]) {
        *self.rules.hold.lock().unwrap() = Hold { parts: parts.to_vec(), first: 0, every: true };
    }

    /// Counts requests that have `part` in them, from the first such call on. Gives how many there were so far.
    pub(crate) fn count(&self, part: &'static str) -> usize {
        *self.rules.counts.lock().unwrap().entry(part).or_default()
    }

    /// Whether the client of the request that is held has gone.
    pub(crate) fn is_abandoned(&self) -> bool {
        *self.rules.held.borrow()
    }

    /// Waits until the request is held.
    pub(crate) async fn wait_until_it_came(&self) {
        self.rules.came.subscribe().wait_for(|came| *came).await.unwrap();
    }

    /// Waits until an insert is held, and all of it has come.
    pub(crate) async fn wait_until_it_is_whole(&self) {
        self.rules.whole.subscribe().wait_for(|whole| *whole).await.unwrap();
    }

    /// Whether the request is held.
    pub(crate) fn has_come(&self) -> bool {
        *self.rules.came.borrow()
    }

    /// Waits until the request is held and its client has gone.
    pub(crate) async fn wait_until_held(&self) {
        self.rules.held.subscribe().wait_for(|held| *held).await.unwrap();
    }

    /// Lets the server have what was held.
    pub(crate) fn release(&self) {
        self.release.send_replace(true);
    }
}

impl Rules {
    fn holds(&self, data: &[u8]) -> bool {
        let text = String::from_utf8_lossy(data);
        for (part, count) in &mut *self.counts.lock().unwrap() {
            *count += text.matches(part).count();
        }
        let mut hold = self.hold.lock().unwrap();
        let holds = !hold.parts.is_empty() && hold.parts.iter().all(|part| text.contains(part));
        if holds && hold.first > 0 {
            hold.first -= 1;
            return false;
        }
        if holds && !hold.every {
            hold.parts.clear();
        }
        holds
    }
}

async fn carry(client: TcpStream, server: String, rules: Arc<Rules>) {
    let Ok(connection) = TcpStream::connect(&server).await else { return };
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = connection.into_split();
    let requests = tokio::spawn(carry_requests(from_client, to_server, (server, rules)));
    // Either side may leave; the other one then notices by itself.
    let _ = copy(&mut from_server, &mut to_client).await;
    drop(to_client);
    let _ = requests.await;
}

async fn carry_requests(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    (address, rules): (String, Arc<Rules>),
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = client.read(&mut buffer).await {
        if rules.holds(&buffer[..count]) {
            rules.came.send_replace(true);
            let mut held = buffer[..count].to_vec();
            rules.whole.send_replace(held.ends_with(LAST_PIECE));
            while let Ok(count @ 1..) = client.read(&mut buffer).await {
                held.extend_from_slice(&buffer[..count]);
                rules.whole.send_replace(held.ends_with(LAST_PIECE));
            }
            rules.held.send_replace(true);
            let _ = rules.released.clone().wait_for(|released| *released).await;
            // The server hangs up on a connection that was idle for as long as this may have taken.
            let fresh =
                if held.starts_with(b"POST ") { TcpStream::connect(&address).await.ok() } else { None };
            let fresh = match fresh {
                Some(mut fresh) => fresh.write_all(&held).await.map(|()| Some(fresh)),
                None => server.write_all(&held).await.map(|()| None),
            };
            // A server that sees its client leave at once may not begin at all.
            sleep(PATIENCE).await;
            drop(fresh);
        } else if server.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
