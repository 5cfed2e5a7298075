//! A broker beside a whole Weir that reads from it.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::try_join_all;
use harness::traffic::{now_ms, record};
use harness::{System, eventually};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;
use tempfile::TempDir;
use weir_local::{Installation, Kafka, KafkaUser, Probe, Program, Service, free_address};

pub(super) const LIMIT: Duration = Duration::from_mins(2);
pub(super) const TOPIC: &str = "usage";
pub(super) const GROUP: &str = "weir-ingest";

/// What ingest is told of the broker, beside its address.
pub(super) const TOPICS: (&str, &str) = ("WEIR_INGEST_KAFKA_TOPICS", "usage=logpush:acc/gw");

/// The variables of ingest.
pub(super) type Variables = Vec<(&'static str, String)>;

/// A broker, and Weir.
pub(crate) struct World {
    pub(crate) system: System,
    pub(super) kafka: Kafka,
    variables: Variables,
    dir: TempDir,
}

/// A message to be produced.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outgoing {
    pub(crate) partition: i32,
    pub(crate) key: Option<String>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) value: Option<String>,
}

impl World {
    /// Starts both, with `partitions` partitions in the topic.
    pub(crate) async fn start(partitions: i32) -> Self {
        Self::start_with(partitions, &[]).await
    }

    /// The same, with more variables for ingest, of which the last of a name counts.
    pub(crate) async fn start_with(partitions: i32, more: &[(&'static str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let kafka = Kafka::start(&Installation::detect().unwrap(), &dir.path().join("kafka")).await.unwrap();
        let brokers = ("WEIR_INGEST_KAFKA_BROKERS", kafka.brokers.as_str());
        let variables = variables_of(&[&[brokers, TOPICS], more].concat());
        Self::beside(kafka, dir, partitions, variables).await
    }

    /// The same, where ingest comes in through the broker's secured listener.
    pub(super) async fn start_secured(user: &KafkaUser) -> Self {
        let dir = TempDir::new().unwrap();
        let installation = Installation::detect().unwrap();
        let kafka = Kafka::start_secured(&installation, &dir.path().join("kafka"), user).await.unwrap();
        let listener = kafka.secured.as_ref().unwrap();
        let file = dir.path().join("kafka.properties");
        let properties = format!(
            "# for ingest\nsecurity.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\nsasl.username={}\nsasl.password={}\n",
            user.name, user.password
        );
        std::fs::write(&file, properties).unwrap();
        let location = format!("ssl.ca.location={}", listener.certificate.display());
        let variables = variables_of(&[
            ("WEIR_INGEST_KAFKA_BROKERS", listener.brokers.as_str()),
            ("WEIR_INGEST_KAFKA_PROPERTIES", &location),
            ("WEIR_INGEST_KAFKA_PROPERTIES_FILE", file.to_str().unwrap()),
            TOPICS,
        ]);
        Self::beside(kafka, dir, 1, variables).await
    }

    async fn beside(kafka: Kafka, dir: TempDir, partitions: i32, variables: Variables) -> Self {
        create_topic(&kafka, TOPIC, partitions).await;
        let for_ingest = variables.clone();
        let system = System::start_with(move |_| for_ingest).await;
        Self { system, kafka, variables, dir }
    }

    /// Starts one more ingest: another member of the group, or with `more` of another.
    pub(super) async fn another_ingest(&self, more: &[(&'static str, &str)]) -> Service {
        let weir = &self.system.weir;
        let ops = free_address().unwrap();
        let log = self.dir.path().join(format!("ingest-{}.log", ops.port()));
        let program =
            Program::new("another ingest", Installation::detect().unwrap().binary("ingest").unwrap(), log)
                .reaching(&weir.clickhouse, &weir.nats)
                .env("WEIR_INGEST_TOKENS", &weir.secrets.ingest_token)
                .env("WEIR_INGEST_LISTEN", free_address().unwrap().to_string())
                .env("WEIR_INGEST_OPS_LISTEN", ops.to_string())
                .ready_when(Probe::Http(format!("http://{ops}/readyz")));
        let variables = self.variables.iter().cloned().chain(variables_of(more));
        let program = variables.fold(program, |program, (name, value)| program.env(name, value));
        Service::start(program, LIMIT).await.unwrap()
    }

    /// Produces the records of `numbers`, spread over `partitions` partitions, and waits until the broker has them.
    pub(super) async fn produce(&self, numbers: Range<u64>, partitions: u64) {
        produce_all(&self.kafka, records(numbers, partitions), &[]).await;
    }

    /// Produces any messages.
    pub(crate) async fn produce_all(&self, messages: Vec<Outgoing>, properties: &[(&str, &str)]) {
        produce_all(&self.kafka, messages, properties).await;
    }

    /// Where the broker keeps what is in a partition of the topic.
    pub(super) fn segment(&self, partition: i32) -> PathBuf {
        let name = format!("kafka/topics/{TOPIC}-{partition}/{:020}.log", 0);
        self.dir.path().join(name)
    }

    /// Waits until `count` records are stored, and checks that they are the first ones, each once.
    pub(super) async fn expect_exactly(&self, count: u64) {
        let sql =
            "SELECT count(), uniqExact(ray_id), max(reinterpretAsUInt64(reverse(unhex(ray_id)))) FROM logs";
        let expected = format!("{count}\t{count}\t{}", count - 1);
        eventually(LIMIT, expected, || self.system.sql(sql)).await;
    }

    /// Waits until the group has committed all that is in `partitions` partitions.
    pub(crate) async fn expect_committed(&self, group: &str, partitions: i32) {
        let all_of = |offset: fn(&BaseConsumer, i32) -> i64| {
            let consumer: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", &self.kafka.brokers)
                .set("group.id", group)
                .create()
                .unwrap();
            (0..partitions).map(|partition| offset(&consumer, partition)).collect::<Vec<_>>()
        };
        let end = |consumer: &BaseConsumer, partition| {
            consumer.fetch_watermarks(TOPIC, partition, LIMIT).unwrap().1
        };
        let committed = |consumer: &BaseConsumer, partition| {
            let mut list = TopicPartitionList::new();
            list.add_partition(TOPIC, partition);
            match consumer.committed_offsets(list, LIMIT).unwrap().elements()[0].offset() {
                Offset::Offset(offset) => offset,
                _ => 0,
            }
        };
        eventually(LIMIT, all_of(end), || async { tokio::task::block_in_place(|| all_of(committed)) }).await;
    }

    /// What an ingest counts.
    async fn metrics_of(&self, ingest: &Service) -> String {
        let log = std::fs::read_to_string(ingest.log()).unwrap();
        let ops = log.lines().rfind(|line| line.contains("ops listener is up")).unwrap();
        let ops: Value = serde_json::from_str(ops).unwrap();
        let url = format!("http://{}/metrics", ops["listen"].as_str().unwrap());
        self.system.http.get(url).send().await.unwrap().text().await.unwrap()
    }

    /// The sum of the values of a metric whose labels have all of `parts`.
    pub(super) async fn metric(&self, name: &str, parts: &[&str]) -> u64 {
        self.metric_of(&self.system.weir.ingest, name, parts).await
    }

    /// The same, of another ingest.
    pub(super) async fn metric_of(&self, ingest: &Service, name: &str, parts: &[&str]) -> u64 {
        let text = self.metrics_of(ingest).await;
        let lines = text
            .lines()
            .filter(|line| line.starts_with(name) && parts.iter().all(|part| line.contains(part)));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }
}

fn variables_of(variables: &[(&'static str, &str)]) -> Variables {
    variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

/// The records of `numbers`, spread over `partitions` partitions.
pub(super) fn records(numbers: Range<u64>, partitions: u64) -> Vec<Outgoing> {
    let at = now_ms();
    let message = |number: u64| Outgoing {
        partition: i32::try_from(number % partitions).unwrap(),
        value: Some(record(number, at)),
        ..Outgoing::default()
    };
    numbers.map(message).collect()
}

/// Produces messages, in the order of each partition, and waits until the broker has them.
pub(super) async fn produce_all(kafka: &Kafka, messages: Vec<Outgoing>, properties: &[(&str, &str)]) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &kafka.brokers).set("enable.idempotence", "true");
    config.set("message.max.bytes", "100000000");
    for (name, value) in properties {
        config.set(*name, *value);
    }
    let producer: FutureProducer = config.create().unwrap();
    let sent = messages.into_iter().map(|message| {
        let mut headers = OwnedHeaders::new();
        for (key, value) in &message.headers {
            headers = headers.insert(rdkafka::message::Header { key, value: Some(value) });
        }
        let mut record = FutureRecord::<str, str>::to(TOPIC).partition(message.partition).headers(headers);
        record.key = message.key.as_deref();
        record.payload = message.value.as_deref();
        producer.send_result(record).map_err(|(error, _)| error).unwrap()
    });
    for delivered in try_join_all(sent.collect::<Vec<_>>()).await.unwrap() {
        delivered.map_err(|(error, _)| error).unwrap();
    }
}

/// Creates a topic.
pub(super) async fn create_topic(kafka: &Kafka, name: &str, partitions: i32) {
    create_topic_within("100000000", kafka, name, partitions).await;
}

/// The same, whose messages have at most so many bytes.
pub(super) async fn create_topic_within(bytes_max: &str, kafka: &Kafka, name: &str, partitions: i32) {
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    let topic = topic.set("max.message.bytes", bytes_max);
    let created = admin(kafka).create_topics(&[topic], &AdminOptions::new()).await.unwrap();
    for result in created {
        assert!(result.is_ok(), "{result:?}");
    }
}

/// Deletes a topic, and creates another one of its name once it is gone.
pub(super) async fn create_topic_anew(kafka: &Kafka, name: &str, partitions: i32) {
    let deleted = admin(kafka).delete_topics(&[name], &AdminOptions::new()).await.unwrap();
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    let gone = async || {
        let metadata = admin(kafka).inner().fetch_metadata(None, LIMIT).unwrap();
        !metadata.topics().iter().any(|topic| topic.name() == name)
    };
    eventually(LIMIT, true, gone).await;
    create_topic(kafka, name, partitions).await;
}

/// Has the broker delete what is before `offset` in a partition of the topic, as retention does.
pub(super) async fn delete_records(kafka: &Kafka, partition: i32, offset: Offset) {
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(TOPIC, partition, offset).unwrap();
    let deleted = admin(kafka).delete_records(&before, &AdminOptions::new()).await.unwrap();
    assert!(deleted.elements().iter().all(|element| element.error().is_ok()), "{deleted:?}");
}

fn admin(kafka: &Kafka) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", &kafka.brokers).create().unwrap()
}
