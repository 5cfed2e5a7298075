//! Disks that are full: under NATS while ClickHouse is away, and under ClickHouse.

use std::time::{Duration, Instant};

use harness::{Answer, Folder, SmallDisk, System, eventually, spooled};
use reqwest::StatusCode;
use serde_json::json;
use tokio::time::sleep;

use super::messages::incompressible;
use super::{LIMIT, STORED, drained, metric, push_spooled, records, restart, restart_clickhouse};
use super::{stop_clickhouse, tally, variables};

const DISK_MIB: u32 = 8;
const CLICKHOUSE_DISK_MIB: u32 = 256;
/// Bytes of a record, of which nothing is to be compressed.
const RECORD_BYTES: usize = 100 << 10;
/// More than the embedded server keeps of an insert in memory.
const LARGE_BYTES: usize = 600 << 10;
/// Records of one push.
const BATCH: u64 = 5;
/// More than fit.
const BATCHES_MAX: u64 = 1_000;

/// A Weir whose NATS can run out of room: of its disk, or, where there can be no disk of its own, of what the spool may take.
struct World {
    system: System,
    // Outlives what uses it.
    disk: Option<SmallDisk>,
}

impl World {
    async fn start() -> Self {
        let Some(disk) = SmallDisk::mount(DISK_MIB) else {
            let bound = ("WEIR_INGEST_SPOOL_BYTES_MAX", format!("{DISK_MIB}MiB"));
            let variables = variables().into_iter().chain([bound]).collect();
            return Self { system: System::start_with(|_| variables).await, disk: None };
        };
        let system = System::start_on((Folder::JetStream, &disk), variables()).await;
        Self { system, disk: Some(disk) }
    }

    /// What an operator does: makes room, and starts NATS again, which takes nothing until then.
    async fn make_room(&self) {
        if let Some(disk) = &self.disk {
            disk.resize(16 * DISK_MIB);
            restart(&self.system.weir.nats.service).await;
        }
    }
}

/// The records of a push, each of so many bytes.
fn batch(number: u64, record_bytes: usize) -> String {
    let numbers = number * BATCH..(number + 1) * BATCH;
    numbers.map(|number| incompressible(number, record_bytes)).collect::<Vec<_>>().join("\n")
}

fn is_refused(answer: &Answer) -> bool {
    let asks_to_come_back = answer.status == StatusCode::SERVICE_UNAVAILABLE && answer.retry_after.is_some();
    assert!(asks_to_come_back || answer.status == StatusCode::OK, "{answer:?}");
    asks_to_come_back
}

#[tokio::test]
async fn a_full_disk_refuses_and_what_was_acked_is_stored_once() {
    let world = World::start().await;
    let system = &world.system;
    stop_clickhouse(system).await;
    let mut acked = 0;
    while !is_refused(&system.push(&batch(acked, RECORD_BYTES)).await) {
        acked += 1;
        assert!(acked < BATCHES_MAX, "the disk has no end");
    }
    assert!(acked > 0, "the disk is full from the beginning");
    // The same again is refused again, though NATS was told of it before.
    assert!(is_refused(&system.push(&batch(acked, RECORD_BYTES)).await));
    let not_ready = async || system.ops(&system.weir.ingest, "/readyz").await.status;
    eventually(LIMIT, StatusCode::SERVICE_UNAVAILABLE, not_ready).await;
    restart_clickhouse(system).await;
    let count = acked * BATCH;
    eventually(LIMIT, format!("{count}\t{count}"), || system.sql(STORED)).await;
    // With NATS as it is.
    let fresh = async || system.push(&records(10_000..10_001)).await.json()["stored"].clone();
    assert_eq!(fresh().await, json!(1));
    if world.disk.is_some() {
        stays_until_nats_is_started_again(system).await;
    }
    world.make_room().await;
    drained(system).await;
    let count = count + 1;
    assert_eq!(system.sql(STORED).await, format!("{count}\t{count}"));
    let rollups = "SELECT sum(requests) FROM usage_1m FINAL";
    eventually(LIMIT, count.to_string(), || system.sql(rollups)).await;
    let balance = "SELECT sum(received) = sum(stored + duplicates), sum(stored) FROM ledger FINAL";
    assert_eq!(system.sql(balance).await, format!("1\t{count}"));
    stop_clickhouse(system).await;
    push_spooled(system, &records(20_000..20_010)).await;
    restart_clickhouse(system).await;
    drained(system).await;
    let count = count + 10;
    assert_eq!(system.sql(STORED).await, format!("{count}\t{count}"));
}

/// What was started again has to be found again.
async fn push_until_acked(system: &System, lines: &str) {
    eventually(LIMIT, false, async || is_refused(&system.push(lines).await)).await;
}

/// NATS keeps what is committed; who looks at the metrics is told.
async fn stays_until_nats_is_started_again(system: &System) {
    let begun = Instant::now();
    let stranded = r#"weir_ingest_drain_troubles_total{trouble="Stranded"}"#;
    // An older NATS lets go of it by itself.
    while spooled(&system.weir.nats).await > 0 && metric(system, stranded).await == 0 {
        assert!(begun.elapsed() < LIMIT, "nothing leaves the spool, and nobody is told");
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn the_disk_may_be_full_before_anything_is_put_away() {
    let world = World::start().await;
    let Some(disk) = &world.disk else { return };
    let system = &world.system;
    assert_eq!(tally(&system.push(&records(0..1)).await)["stored"], 1);
    disk.fill();
    stop_clickhouse(system).await;
    for _ in 0..3 {
        assert!(is_refused(&system.push(&records(1..2)).await));
    }
    restart_clickhouse(system).await;
    push_until_acked(system, &records(1..2)).await;
    disk.empty();
    world.make_room().await;
    stop_clickhouse(system).await;
    push_until_acked(system, &records(2..3)).await;
    restart_clickhouse(system).await;
    drained(system).await;
    assert_eq!(system.sql(STORED).await, "3\t3");
}

#[tokio::test]
async fn a_clickhouse_whose_disk_is_full_is_away() {
    let Some(disk) = SmallDisk::mount(CLICKHOUSE_DISK_MIB) else { return };
    let system = System::start_on((Folder::ClickHouse, &disk), variables()).await;
    assert_eq!(tally(&system.push(&records(0..10)).await)["stored"], 10);
    let mut acked = 10;
    // Room for a part to be begun, and not for the end of it, if for anything.
    for free_kib in [0, 1_500] {
        disk.fill_but(free_kib);
        for number in 0..2 {
            let lines = batch(1_000 + free_kib + number, LARGE_BYTES);
            push_spooled(&system, &lines).await;
            acked += BATCH;
        }
        disk.empty();
        drained(&system).await;
        assert_eq!(system.sql(STORED).await, format!("{acked}\t{acked}"));
    }
    disk.fill_names();
    push_spooled(&system, &records(50_000..50_010)).await;
    disk.empty();
    drained(&system).await;
    acked += 10;
    assert_eq!(system.sql(STORED).await, format!("{acked}\t{acked}"));
    push_until_acked(&system, &records(100_000..100_010)).await;
    drained(&system).await;
    acked += 10;
    assert_eq!(system.sql(STORED).await, format!("{acked}\t{acked}"));
    let rejected = r#"weir_ingest_drain_troubles_total{trouble="Rejected"}"#;
    assert_eq!(metric(&system, rejected).await, 0);
}
