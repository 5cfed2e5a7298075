//! Batches that a broker's disk has damaged: those that are behind their checksum no more, and those that were compressed
//! wrongly, which no checksum tells.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use harness::eventually;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::sleep;

use super::world::{GROUP, LIMIT, Outgoing, TOPIC, World, delete_records, records};

/// Messages of one call of the producer.
const BATCH: u64 = 100;
/// Where in a batch things are, in bytes.
const LENGTH_AT: usize = 8;
const CHECKSUM_AT: usize = 17;
const CHECKED_AT: usize = 21;
const LAST_DELTA_AT: usize = 23;
const RECORDS_AT: usize = 61;
/// So much of a batch is before what its length counts.
const BEFORE_LENGTH: usize = 12;

/// What is wrong with a batch.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// A byte of it.
    Checksum,
    /// What was compressed; its checksum is right.
    Compression,
}

/// CRC-32C, bit by bit.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

fn number_at(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()).try_into().unwrap()
}

/// Damages the batch that has the message at `offset`, and gives the offsets that it has.
fn damage(segment: &Path, offset: u64, damage: Damage) -> Range<u64> {
    let mut bytes = fs::read(segment).unwrap();
    let mut begin = 0;
    loop {
        let first = u64::from_be_bytes(bytes[begin..begin + 8].try_into().unwrap());
        let end = begin + BEFORE_LENGTH + number_at(&bytes, begin + LENGTH_AT);
        let offsets = first..first + number_at(&bytes, begin + LAST_DELTA_AT) as u64 + 1;
        if !offsets.contains(&offset) {
            begin = end;
            continue;
        }
        let batch = &mut bytes[begin..end];
        assert_eq!(checksum(&batch[CHECKED_AT..]), u32::try_from(number_at(batch, CHECKSUM_AT)).unwrap());
        // The first bytes of what is compressed say by what.
        batch[RECORDS_AT] ^= 0xFF;
        if matches!(damage, Damage::Compression) {
            let right = checksum(&batch[CHECKED_AT..]).to_be_bytes();
            batch[CHECKSUM_AT..CHECKED_AT].copy_from_slice(&right);
        }
        // In place: the broker has it open.
        let file = fs::OpenOptions::new().write(true).open(segment).unwrap();
        file.write_all_at(batch, begin as u64).unwrap();
        return offsets;
    }
}

/// The records of `numbers` in one partition, compressed.
async fn produce(world: &World, partition: i32, numbers: Range<u64>) {
    let messages = records(numbers, 1).into_iter().map(|message| Outgoing { partition, ..message });
    world.produce_all(messages.collect(), &[("compression.codec", "gzip"), ("linger.ms", "50")]).await;
}

async fn expect_stored(world: &World, count: u64) {
    let sql = "SELECT count(), uniqExact(ray_id) FROM logs";
    eventually(LIMIT, format!("{count}\t{count}"), || world.system.sql(sql)).await;
}

/// What the operator does, as the broker's own tool does it: has the group go on at `offset`, while no member is there.
fn go_on_at(world: &World, partition: i32, offset: u64) {
    let mut config = ClientConfig::new();
    let consumer: BaseConsumer =
        config.set("bootstrap.servers", &world.kafka.brokers).set("group.id", GROUP).create().unwrap();
    let mut list = TopicPartitionList::new();
    let offset = Offset::Offset(offset.try_into().unwrap());
    list.add_partition_offset(TOPIC, partition, offset).unwrap();
    consumer.commit(&list, CommitMode::Sync).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_batch_holds_up_its_own_partition_until_it_is_passed_over_by_hand() {
    /// Damaged in the middle, at the end, compressed wrongly, and whole.
    const PARTITIONS: i32 = 4;
    let world = World::start(PARTITIONS).await;
    let ingest = &world.system.weir.ingest;
    assert!(ingest.stop(LIMIT).await.unwrap().success());
    let mut next = 0;
    for partition in [0, 0, 0, 1, 1, 2, 2, 2, 3, 3] {
        produce(&world, partition, next..next + BATCH).await;
        next += BATCH;
    }
    let middle = damage(&world.segment(0), BATCH, Damage::Checksum);
    let at_end = damage(&world.segment(1), 2 * BATCH - 1, Damage::Checksum);
    let unreadable = damage(&world.segment(2), BATCH, Damage::Compression);
    ingest.restart(LIMIT).await.unwrap();
    let mut stored = middle.start + at_end.start + unreadable.start + 2 * BATCH;
    expect_stored(&world, stored).await;
    let paused = || world.metric("weir_ingest_kafka_paused{", &[TOPIC]);
    eventually(LIMIT, 3, paused).await;

    // It is told of again and again, but not all the time.
    let told = || world.metric("weir_ingest_kafka_errors_total", &[]);
    let before = told().await;
    sleep(Duration::from_secs(10)).await;
    let again = told().await - before;
    assert!(again < 1_000, "{again} times in ten seconds");
    let lag = world.metric("weir_ingest_kafka_lag_messages{", &[TOPIC, "\"2\""]).await;
    assert_eq!(lag, 3 * BATCH - unreadable.start, "the partition that is held up shows");
    produce(&world, 3, next..next + BATCH).await;
    (next, stored) = (next + BATCH, stored + BATCH);
    expect_stored(&world, stored).await;

    // A member that comes and goes takes some of them over and gives them back.
    let another = world.another_ingest(&[]).await;
    eventually(LIMIT, true, || async {
        world.metric_of(&another, "weir_ingest_kafka_lag_messages{", &[]).await > 0
    })
    .await;
    assert!(another.stop(LIMIT).await.unwrap().success());

    // What is before an offset may be deleted, while it is read.
    for (partition, end) in [(0, middle.end), (1, at_end.end)] {
        let end = Offset::Offset(end.try_into().unwrap());
        delete_records(&world.kafka, partition, end).await;
    }
    produce(&world, 1, next..next + BATCH).await;
    stored += 3 * BATCH - middle.end + 2 * BATCH - at_end.end + BATCH;
    expect_stored(&world, stored).await;
    let lost = || world.metric("weir_ingest_kafka_lost_offsets_total{", &[TOPIC]);
    eventually(LIMIT, middle.end - middle.start + at_end.end - at_end.start, lost).await;
    eventually(LIMIT, 1, paused).await;

    // Or the group goes on behind it.
    assert!(ingest.stop(LIMIT).await.unwrap().success());
    go_on_at(&world, 2, unreadable.end);
    ingest.restart(LIMIT).await.unwrap();
    stored += 3 * BATCH - unreadable.end;
    expect_stored(&world, stored).await;
    world.expect_committed(GROUP, PARTITIONS).await;
    assert_eq!(paused().await, 0);
}
