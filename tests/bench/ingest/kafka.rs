//! From a topic to committed rows: a backlog is there, and an ingest is started on it.

use std::time::{Duration, Instant};

use harness::System;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tempfile::TempDir;
use tokio::time::sleep;
use weir_local::{Installation, Kafka};

use super::sample::Round;
use super::usage::peak_mib;

const PARTITIONS: i32 = 4;
const LIMIT: Duration = Duration::from_mins(5);
const POLL: Duration = Duration::from_millis(50);

/// A broker of the benchmark's own.
pub(crate) struct Broker {
    kafka: Kafka,
    starts: Vec<Duration>,
    peaks_mib: Vec<u64>,
    _dir: TempDir,
}

impl Broker {
    /// `None` where Kafka is not provisioned.
    pub(crate) async fn start() -> Option<Self> {
        let installation = Installation::detect().unwrap();
        installation.kafka_libs().ok()?;
        let dir = TempDir::new().unwrap();
        let kafka = Kafka::start(&installation, dir.path()).await.unwrap();
        Some(Self { kafka, starts: Vec::new(), peaks_mib: Vec::new(), _dir: dir })
    }

    /// How long it took each time until the first row was committed: the process starts, and joins the group.
    pub(crate) fn starts(&self) -> &[Duration] {
        &self.starts
    }

    /// The most memory of any ingest, in MiB.
    pub(crate) fn peak_mib(&self) -> u64 {
        self.peaks_mib.iter().copied().max().unwrap_or_default()
    }

    /// Makes a topic of a round's records, and waits until the broker has them all: a message per record.
    pub(crate) async fn produce(&self, topic: &str, round: &Round) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.kafka.brokers).set("enable.idempotence", "true");
        config.set("compression.type", "zstd").set("linger.ms", "50");
        let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
        let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
        let created = admin.create_topics(&[new], &AdminOptions::new()).await.unwrap();
        assert!(created.iter().all(Result::is_ok), "{created:?}");
        let producer: FutureProducer = config.create().unwrap();
        for batch in &round.batches {
            let mut sent = Vec::new();
            for (line, partition) in batch.lines().zip((0..PARTITIONS).cycle()) {
                let record = FutureRecord::<str, str>::to(topic).partition(partition).payload(line);
                sent.push(producer.send_result(record).map_err(|(error, _)| error).unwrap());
            }
            for delivered in sent {
                delivered.await.unwrap().map_err(|(error, _)| error).unwrap();
            }
        }
    }

    /// Starts an ingest on a topic that has `records` records, and stops it when they are committed. The time from its
    /// start to the last of them.
    pub(crate) async fn consume(&mut self, system: &System, topic: &str, records: u64) -> Duration {
        let before = stored(system).await;
        let variables = vec![
            ("WEIR_INGEST_KAFKA_BROKERS", self.kafka.brokers.clone()),
            ("WEIR_INGEST_KAFKA_TOPICS", format!("{topic}=logpush:acc/gw")),
        ];
        let begun = Instant::now();
        let ingest = system.second_ingest(variables).await;
        self.starts.push(reached(system, before + 1, begun).await);
        let whole = reached(system, before + records, begun).await;
        self.peaks_mib.push(peak_mib(&ingest.service));
        let stopped = ingest.service.stop(LIMIT).await.unwrap();
        assert!(stopped.success(), "{stopped}");
        assert_eq!(stored(system).await, before + records, "every record is stored once");
        whole
    }
}

/// The time from `begun` until so many rows are committed.
async fn reached(system: &System, rows: u64, begun: Instant) -> Duration {
    while stored(system).await < rows {
        assert!(begun.elapsed() < LIMIT, "{rows} rows are not there");
        sleep(POLL).await;
    }
    begun.elapsed()
}

async fn stored(system: &System) -> u64 {
    system.sql("SELECT count() FROM logs").await.parse().unwrap()
}
