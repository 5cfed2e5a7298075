//! A webhook: an HTTP server that remembers what it was sent, and answers as it is told to.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use harness::eventually;
use harness::traffic::now_ms;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// What deliveries are signed with.
pub(super) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const LIMIT: Duration = Duration::from_mins(2);

/// The server.
pub(super) struct Endpoint {
    pub(super) url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// 0 for no answer at all.
    status: AtomicU16,
    deliveries: Mutex<Vec<Delivery>>,
}

/// What it was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Delivery {
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Endpoint {
    /// One that does not answer.
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks?for=weir", listener.local_addr().unwrap());
        let shared = Arc::<Shared>::default();
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        Self { url, shared }
    }

    pub(super) fn answer_with(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    pub(super) fn deliveries(&self) -> Vec<Delivery> {
        self.shared.deliveries.lock().unwrap().clone()
    }

    pub(super) async fn wait_for(&self, deliveries: usize) {
        let are_there = async || self.deliveries().len() >= deliveries;
        eventually(LIMIT, true, are_there).await;
    }
}

impl Delivery {
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// Checks the signature as Standard Webhooks says that it is to be checked.
    pub(super) fn verify(&self) {
        let at_s: i64 = self.header("webhook-timestamp").parse().unwrap();
        assert!((now_ms() / 1_000 - at_s).abs() < 300, "{at_s}");
        let key = STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
        let signed = [format!("{}.{at_s}.", self.header("webhook-id")).as_bytes(), &self.body].concat();
        let given = self.header("webhook-signature").strip_prefix("v1,").unwrap();
        let hmac = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(signed);
        hmac.verify_slice(&STANDARD.decode(given).unwrap()).unwrap();
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut delivery = Delivery::default();
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        assert!(line.starts_with("POST /hooks?for=weir HTTP/1.1"), "{line}");
        loop {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            delivery.headers.push((name.to_owned(), value.to_owned()));
        }
        delivery.body = vec![0; delivery.header("content-length").parse().unwrap()];
        stream.read_exact(&mut delivery.body).await.unwrap();
        shared.deliveries.lock().unwrap().push(delivery);
        let status = shared.status.load(Ordering::SeqCst);
        if status == 0 {
            return sleep(LIMIT).await;
        }
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
