//! `kill -9` of each process in turn while batches are pushed: every acked record is there once, and the statistics
//! equal the rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use harness::traffic::{cost_units, now_ms, record};
use harness::{System, eventually};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use weir_local::{Service, Weir};

/// Records in a batch, per sender: one, some, and more than fit a chunk of intake or a write to the store.
const RECORDS_PER_BATCH: [u64; 3] = [1, 50, 2_500];
/// Batches that have to get through between two kills.
const BATCHES_BETWEEN: u64 = 6;
const LIMIT: Duration = Duration::from_mins(1);
const DRAIN_LIMIT: Duration = Duration::from_mins(4);

/// Senders that push batch after batch, each until it is acked, as Logpush does.
struct Senders {
    acked_batches: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Vec<u64>>>,
}

impl Senders {
    fn start(system: &Arc<System>) -> Self {
        let (acked_batches, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let start_one = |(sender, records): (u64, u64)| {
            let (system, acked, stop) = (Arc::clone(system), Arc::clone(&acked_batches), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut numbers = Vec::new();
                let mut next = sender << 32;
                while !stop.load(Ordering::SeqCst) {
                    let batch = next..next + records;
                    next = batch.end;
                    let at = now_ms();
                    let mut lines: Vec<_> = batch.clone().map(|number| record(number, at)).collect();
                    lines.push(format!("broken {next}"));
                    let lines = lines.join("\n");
                    push_until_acked(&system, &lines).await;
                    if next % 2 == 0 {
                        // An ack that Cloudflare never saw.
                        push_until_acked(&system, &lines).await;
                    }
                    acked.fetch_add(1, Ordering::SeqCst);
                    numbers.extend(batch);
                }
                numbers
            })
        };
        let tasks = (1..).zip(RECORDS_PER_BATCH).map(start_one).collect();
        Self { acked_batches, stop, tasks }
    }

    async fn wait_for_more(&self) {
        let enough = self.acked_batches.load(Ordering::SeqCst) + BATCHES_BETWEEN;
        let progress = async {
            while self.acked_batches.load(Ordering::SeqCst) < enough {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LIMIT, progress).await.expect("batches get through again");
    }

    /// Stops them, and gives the number of every record that was acked, and how many batches that were.
    async fn finish(self) -> (Vec<u64>, u64) {
        self.stop.store(true, Ordering::SeqCst);
        let mut acked = Vec::new();
        for task in self.tasks {
            acked.extend(timeout(LIMIT, task).await.unwrap().unwrap());
        }
        (acked, self.acked_batches.load(Ordering::SeqCst))
    }
}

async fn push_until_acked(system: &System, lines: &str) {
    loop {
        match system.try_push(lines).await {
            Ok(answer) if answer.status == StatusCode::OK => return,
            Ok(answer) => assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text),
            // Nobody there, or gone in the middle.
            Err(_) => {}
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn kill_and_restart(service: &Service, senders: &Senders) {
    senders.wait_for_more().await;
    service.kill_hard().unwrap();
    sleep(Duration::from_millis(300)).await;
    service.restart(Weir::START_LIMIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acked_record_is_there_once_whatever_is_killed() {
    let system = Arc::new(System::start().await);
    let senders = Senders::start(&system);
    let weir = &system.weir;
    // Ingest first and last: what it stored and did not announce has to reach the statistics all the same.
    let victims = [
        &weir.ingest,
        &weir.clickhouse.service,
        &weir.nats.service,
        &weir.query_api,
        &weir.aggregator,
        &weir.ingest,
    ];
    for victim in victims {
        kill_and_restart(victim, &senders).await;
    }
    senders.wait_for_more().await;
    let (mut acked, batches) = senders.finish().await;

    acked.sort_unstable();
    assert!(acked.len() as u64 >= 7 * BATCHES_BETWEEN);
    // What was acked while ClickHouse was away comes from the spool: after a while, if its drainer was killed.
    eventually(DRAIN_LIMIT, 0, || harness::spooled(&system.weir.nats)).await;
    let rays =
        system.sql("SELECT reinterpretAsUInt64(reverse(unhex(ray_id))) AS n FROM logs ORDER BY n").await;
    let stored: Vec<u64> = rays.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(stored, acked, "stored and acked records differ");

    let letters = system.sql("SELECT count(), uniqExact(raw) FROM dead_letters FINAL").await;
    assert_eq!(letters, format!("{batches}\t{batches}"), "a letter per batch, whatever was killed");

    let count = acked.len() as u64;
    let expected = format!("{count}\t{}", cost_units(count));
    let of = |table: &str, count: &str| {
        format!("SELECT toUInt64({count}), toUInt128(sum(cost) * 1000000000000000000) FROM {table}")
    };
    assert_eq!(system.sql(&of("logs", "count()")).await, expected);
    let rollup = of("usage_1m FINAL", "sum(requests)");
    eventually(LIMIT, expected, || system.sql(&rollup)).await;
    eventually(LIMIT, Some(count), || async { live_requests(&system).await }).await;
}

/// Requests in the hour's windows, over all tokens and models; `None` while they are not complete.
async fn live_requests(system: &System) -> Option<u64> {
    let live = system.live().await.filter(|live| live["complete"] == Value::Bool(true))?;
    let rows = live["rows"].as_array()?;
    rows.iter().map(|row| row["windows"][2]["requests"].as_u64()).sum()
}
