//! All of Weir with two ingest processes, two aggregators and Kafka; the second ingest's way to ClickHouse can be slow or closed.

#![expect(clippy::print_stdout, reason = "what could not be tried is said")]

use std::net::SocketAddr;
use std::time::Instant;

use harness::{Folder, SmallDisk, System};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use tempfile::TempDir;
use weir_local::{Installation, Kafka, Probe, Program, Service, Weir, free_address};

use super::way::Way;

/// The topic that both ingest processes read.
pub(super) const TOPIC: &str = "soak";
const PARTITIONS: i32 = 4;
/// More than is put away; it is full only when it is filled.
const DISK_MIB: u32 = 512;
/// Long enough for work, short enough for outcomes to be unknown while something is frozen.
const WRITE_TIMEOUT: (&str, &str) = ("WEIR_INGEST_WRITE_TIMEOUT", "1s");
/// So that what is to be put right is put right within the test.
const RECONCILE_INTERVAL: (&str, &str) = ("WEIR_INGEST_RECONCILE_INTERVAL", "5s");

pub(super) struct World {
    pub(super) system: System,
    pub(super) other_ingest: Service,
    pub(super) other_address: SocketAddr,
    pub(super) other_aggregator: Service,
    /// The other ingest's way to ClickHouse.
    pub(super) way: Way,
    pub(super) kafka: Option<Kafka>,
    pub(super) begun: Instant,
    /// Where NATS keeps its streams, if there can be one.
    pub(super) disk: Option<SmallDisk>,
    _dir: TempDir,
}

impl World {
    pub(super) async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let installation = Installation::detect().unwrap();
        let kafka = start_kafka(&installation, &dir).await;
        let mut variables =
            [WRITE_TIMEOUT, RECONCILE_INTERVAL].map(|(name, text)| (name, text.to_owned())).to_vec();
        if let Some(kafka) = &kafka {
            variables.push(("WEIR_INGEST_KAFKA_BROKERS", kafka.brokers.clone()));
            variables.push(("WEIR_INGEST_KAFKA_TOPICS", format!("{TOPIC}=logpush:acc/gw")));
        }
        let disk = SmallDisk::mount(DISK_MIB);
        let system = match &disk {
            Some(disk) => System::start_on((Folder::JetStream, disk), variables.clone()).await,
            None => System::start_with(|_| variables.clone()).await,
        };
        let way = Way::to(&system.weir.clickhouse.url);
        let other_address = free_address().unwrap();
        let other_ingest = other(&installation, &dir, &system.weir, &way, other_address);
        let other_ingest =
            variables.into_iter().fold(other_ingest, |program, (name, value)| program.env(name, value));
        let other_ingest = Service::start(other_ingest, Weir::START_LIMIT).await.unwrap();
        let other_aggregator = other_aggregator(&installation, &dir, &system.weir);
        let other_aggregator = Service::start(other_aggregator, Weir::START_LIMIT).await.unwrap();
        Self {
            system,
            other_ingest,
            other_address,
            other_aggregator,
            way,
            kafka,
            begun: Instant::now(),
            disk,
            _dir: dir,
        }
    }

    /// Where either ingest takes pushes.
    pub(super) fn push_url(&self, other: bool) -> String {
        let address = if other { self.other_address } else { self.system.weir.addresses.ingest };
        format!("http://{address}/v1/logpush/acc/gw")
    }
}

/// None where it is not provisioned, which the run then says.
async fn start_kafka(installation: &Installation, dir: &TempDir) -> Option<Kafka> {
    if installation.kafka_libs().is_err() {
        println!("NOT TRIED: there is no Kafka");
        return None;
    }
    let kafka = Kafka::start(installation, &dir.path().join("kafka")).await.unwrap();
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &kafka.brokers).create().unwrap();
    let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(1));
    let created = admin.create_topics([&topic], &AdminOptions::new()).await.unwrap();
    assert!(created.iter().all(Result::is_ok), "{created:?}");
    Some(kafka)
}

fn other(installation: &Installation, dir: &TempDir, weir: &Weir, way: &Way, address: SocketAddr) -> Program {
    let ops = free_address().unwrap();
    let executable = installation.binary("ingest").unwrap();
    Program::new("other ingest", executable, dir.path().join("other-ingest.log"))
        .reaching(&weir.clickhouse, &weir.nats)
        .env("WEIR_CLICKHOUSE_URL", way.url())
        .env("WEIR_INGEST_LISTEN", address.to_string())
        .env("WEIR_INGEST_OPS_LISTEN", ops.to_string())
        .env("WEIR_INGEST_TOKENS", &weir.secrets.ingest_token)
        .ready_when(Probe::Http(format!("http://{ops}/readyz")))
}

fn other_aggregator(installation: &Installation, dir: &TempDir, weir: &Weir) -> Program {
    let ops = free_address().unwrap();
    let executable = installation.binary("aggregator").unwrap();
    Program::new("other aggregator", executable, dir.path().join("other-aggregator.log"))
        .reaching(&weir.clickhouse, &weir.nats)
        .env("WEIR_AGGREGATOR_OPS_LISTEN", ops.to_string())
        .ready_when(Probe::Http(format!("http://{ops}/readyz")))
}
