//! Senders that keep what was acked: from then on it has to be there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use harness::traffic::{gzip, now_ms};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use reqwest::StatusCode;
use reqwest::header::CONTENT_ENCODING;
use tokio::time::sleep;

use super::records::Record;
use super::world::{TOPIC, World};

const RECORDS_MAX: u64 = 120;
const PAUSE_MAX_MS: u64 = 120;
/// How long a message may wait for the broker before it is produced anew.
const SEND_LIMIT: Duration = Duration::from_secs(10);
/// How many acked records a sender keeps at hand to send them once more.
const KEPT: usize = 400;

/// What was promised: when each record ended, by its number.
pub(super) type Obligations = BTreeMap<u64, i64>;

/// Counts what senders do.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) pushes: AtomicU64,
    pub(super) produced: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) broken_off: AtomicU64,
    /// Distinct broken lines that were acked.
    pub(super) broken_lines: AtomicU64,
}

/// One that pushes batch after batch over HTTP, each until it is acked: to either ingest, at times to both at once.
pub(super) struct Pusher {
    pub(super) world: Arc<World>,
    pub(super) counts: Arc<Counts>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) rng: fastrand::Rng,
    /// Its numbers begin here.
    pub(super) next: u64,
}

/// One that produces to Kafka, message after message, each until the broker has it.
pub(super) struct Producer {
    pub(super) client: FutureProducer,
    pub(super) counts: Arc<Counts>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) rng: fastrand::Rng,
    /// Its numbers begin here.
    pub(super) next: u64,
}

impl Producer {
    /// A client of a broker; none of its messages is given up.
    pub(super) fn client(brokers: &str) -> FutureProducer {
        ClientConfig::new().set("bootstrap.servers", brokers).set("acks", "all").create().unwrap()
    }

    /// Produces until it is told to stop. At times a message is produced twice.
    pub(super) async fn run(mut self) -> Obligations {
        let mut obligations = Obligations::new();
        while !self.stop.load(Ordering::SeqCst) {
            let record = Record { number: self.next, ended_at: now_ms() };
            self.next += 1;
            let line = record.line();
            let times = 1 + usize::from(self.rng.u8(..10) == 0);
            for _ in 0..times {
                while self
                    .client
                    .send(FutureRecord::<(), _>::to(TOPIC).payload(&line), SEND_LIMIT)
                    .await
                    .is_err()
                {
                    self.counts.refused.fetch_add(1, Ordering::SeqCst);
                }
                self.counts.produced.fetch_add(1, Ordering::SeqCst);
            }
            obligations.insert(record.number, record.ended_at);
            sleep(Duration::from_millis(self.rng.u64(..PAUSE_MAX_MS) / 8)).await;
        }
        obligations
    }
}

impl Pusher {
    /// Pushes until it is told to stop and its last batch is acked.
    pub(super) async fn run(mut self) -> Obligations {
        let mut acked: Vec<Record> = Vec::new();
        let mut obligations = Obligations::new();
        while !self.stop.load(Ordering::SeqCst) {
            let fresh = self.fresh();
            let mut batch = fresh.clone();
            // Half of it is known, or it comes in another order.
            for _ in 0..self.rng.usize(..=3) * acked.len().min(20) / 3 {
                batch.push(acked[self.rng.usize(..acked.len())]);
            }
            self.rng.shuffle(&mut batch);
            let mut lines: Vec<_> = batch.iter().map(Record::line).collect();
            let broken = self.rng.u8(..4) == 0;
            if broken {
                lines.insert(self.rng.usize(..=lines.len()), format!("{{\"broken {}", self.next));
            }
            self.push_until_acked(&lines.join("\n")).await;
            self.counts.broken_lines.fetch_add(u64::from(broken), Ordering::SeqCst);
            obligations.extend(fresh.iter().map(|record| (record.number, record.ended_at)));
            acked.extend(fresh);
            acked.drain(..acked.len().saturating_sub(KEPT));
            sleep(Duration::from_millis(self.rng.u64(..PAUSE_MAX_MS))).await;
        }
        obligations
    }

    fn fresh(&mut self) -> Vec<Record> {
        let count = 1 + self.rng.u64(..RECORDS_MAX) * self.rng.u64(..=4) / 4;
        let numbers = self.next..self.next + count;
        self.next = numbers.end;
        numbers.map(|number| Record { number, ended_at: now_ms() }).collect()
    }

    async fn push_until_acked(&mut self, lines: &str) {
        let body = gzip(lines);
        if self.rng.u8(..6) == 0 {
            // The connection breaks in the middle: whatever it says, nothing was promised.
            let cut = self.rng.usize(..body.len());
            let _ = self.push(body[..cut].to_vec(), self.rng.clone().bool()).await;
            self.counts.broken_off.fetch_add(1, Ordering::SeqCst);
        }
        loop {
            let (one, other) = (self.rng.bool(), self.rng.u8(..5) == 0);
            self.counts.pushes.fetch_add(1 + u64::from(other), Ordering::SeqCst);
            let first = self.push(body.clone(), one);
            let acked = if other {
                let (first, second) = tokio::join!(first, self.push(body.clone(), !one));
                first || second
            } else {
                first.await
            };
            if acked {
                return;
            }
            self.counts.refused.fetch_add(1, Ordering::SeqCst);
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Whether a push was acked.
    async fn push(&self, body: Vec<u8>, other: bool) -> bool {
        let system = &self.world.system;
        let request = system
            .http
            .post(self.world.push_url(other))
            .bearer_auth(&system.weir.secrets.ingest_token)
            .header(CONTENT_ENCODING, "gzip")
            .body(body);
        // An error is nobody there, or gone in the middle.
        let Ok(answer) = request.send().await else { return false };
        let status = answer.status();
        let known = [
            StatusCode::OK,
            StatusCode::BAD_REQUEST,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::TOO_MANY_REQUESTS,
        ];
        assert!(known.contains(&status), "{status}: {:?}", answer.text().await);
        status == StatusCode::OK
    }
}
