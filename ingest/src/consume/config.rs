//! The settings of the intake of topics, in section `[ingest]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use weir_service::config::{ByteSize, InvalidValue, Key, Reader, Reported, Value};

use super::address::Owner;
use super::properties::Properties;
use crate::accept::Form;

const BROKERS: &str = "ingest.kafka_brokers";
const GROUP: &str = "ingest.kafka_group";
const TOPICS: &str = "ingest.kafka_topics";
const PROPERTIES: &str = "ingest.kafka_properties";
const PROPERTIES_FILE: &str = "ingest.kafka_properties_file";
const DEAD_LETTER_TOPIC: &str = "ingest.kafka_dead_letter_topic";
const PENDING_BYTES_MAX: &str = "ingest.kafka_pending_bytes_max";

/// The keys.
pub const KEYS: [Key; 7] = [
    Key::new(BROKERS, "host:port of Kafka brokers to begin with, comma-separated; no Kafka if not set"),
    Key::new(GROUP, "the consumer group").default("weir-ingest"),
    Key::new(
        TOPICS,
        "topics to read: topic=form:account/gateway or topic=form:account; forms are logpush, events, canonical, cloudevents, cloudflare_log and new_api_log",
    ),
    Key::new(PROPERTIES, "properties of librdkafka: name=value; in the file, if a value has a comma in it"),
    Key::new(
        PROPERTIES_FILE,
        "a file of properties of librdkafka, one name=value in a line: for passwords and other secrets",
    ),
    Key::new(DEAD_LETTER_TOPIC, "a topic that dead letters are produced to as well; none if not set"),
    Key::new(PENDING_BYTES_MAX, "the most bytes of messages that were read and are not committed yet")
        .default("64MiB"),
];

/// What topics are consumed with.
#[derive(Clone, Debug)]
pub struct KafkaConfig {
    /// `bootstrap.servers`.
    pub brokers: String,
    /// `group.id`.
    pub group: String,
    /// What to read, by the name of the topic.
    pub topics: BTreeMap<String, Topic>,
    /// Everything else that librdkafka is told.
    pub properties: Properties,
    /// Where dead letters go as well.
    pub dead_letter_topic: Option<String>,
    /// Over all partitions of this process.
    pub pending_bytes_max: usize,
}

/// What the messages of a topic are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// How they are written.
    pub form: Form,
    /// Whose they are, unless they say it.
    pub owner: Owner,
}

/// An entry of the list of topics.
struct Entry {
    name: String,
    topic: Topic,
}

impl Value for Entry {
    const EXPECTED: &'static str = "topic=form:account/gateway, such as usage=events:acme/chat";

    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        let (name, rest) = text.split_once('=').ok_or(InvalidValue::OtherKind)?;
        let (form, owner) = rest.split_once(':').ok_or(InvalidValue::OtherKind)?;
        let (account, gateway) = owner.split_once('/').map_or((owner, None), |(a, g)| (a, Some(g)));
        let unusable = InvalidValue::Unusable;
        if !is_topic_name(name) {
            return Err(unusable("does not begin with the name of a topic"));
        }
        let form = form.parse().map_err(|_| unusable("has a form that is not known"))?;
        let account_id = account
            .parse()
            .map_err(|_| unusable("has an account that is not letters, digits, '-' and '_'"))?;
        let gateway_id = gateway
            .map(str::parse)
            .transpose()
            .map_err(|_| unusable("has a gateway that is not lower-case letters, digits, '_' and '-'"))?;
        Ok(Self { name: name.to_owned(), topic: Topic { form, owner: Owner { account_id, gateway_id } } })
    }
}

/// Reads the settings; none where no broker is given.
pub fn read(reader: &mut Reader) -> Result<Option<KafkaConfig>, Reported> {
    let brokers: Result<Vec<String>, _> = reader.get_list(BROKERS);
    let group = reader.get(GROUP);
    let topics = read_topics(reader);
    let properties = read_properties(reader);
    let dead_letter_topic: Result<Option<String>, _> = reader.get_optional(DEAD_LETTER_TOPIC);
    let pending_bytes_max: Result<ByteSize, _> = reader.get(PENDING_BYTES_MAX);
    let (brokers, topics, dead_letter_topic) = (brokers?, topics?, dead_letter_topic?);
    if brokers.is_empty() {
        reader.require(topics.is_empty(), BROKERS, "is required where there are ingest.kafka_topics")?;
        return Ok(None);
    }
    reader.require(!topics.is_empty(), TOPICS, "is required where there are ingest.kafka_brokers")?;
    if let Some(name) = &dead_letter_topic {
        reader.require(is_topic_name(name), DEAD_LETTER_TOPIC, "is not the name of a topic")?;
        reader.require(!topics.contains_key(name), DEAD_LETTER_TOPIC, "is one of ingest.kafka_topics")?;
    }
    Ok(Some(KafkaConfig {
        brokers: brokers.join(","),
        group: group?,
        topics,
        properties: properties?,
        dead_letter_topic,
        pending_bytes_max: pending_bytes_max?.as_usize(),
    }))
}

fn read_topics(reader: &mut Reader) -> Result<BTreeMap<String, Topic>, Reported> {
    let entries: Vec<Entry> = reader.get_list(TOPICS)?;
    let mut topics = BTreeMap::new();
    for Entry { name, topic } in entries {
        if topics.contains_key(&name) {
            return Err(reader.reject(TOPICS, format!("has {name:?} twice")));
        }
        topics.insert(name, topic);
    }
    Ok(topics)
}

/// The file is read here, so that what is wrong with it is told with every other mistake.
fn read_properties(reader: &mut Reader) -> Result<Properties, Reported> {
    let listed: Vec<String> = reader.get_list(PROPERTIES)?;
    let file: Option<PathBuf> = reader.get_optional(PROPERTIES_FILE)?;
    let mut properties = Properties::default();
    let mut result = Ok(());
    for text in listed {
        result =
            properties.add(&text).map_err(|error| reader.reject(PROPERTIES, error.to_string())).and(result);
    }
    if let Some(path) = file {
        let text = std::fs::read_to_string(&path).map_err(|error| {
            reader.reject(PROPERTIES_FILE, format!("{} cannot be read: {error}", path.display()))
        })?;
        for error in properties.add_lines(&text) {
            result = Err(reader.reject(PROPERTIES_FILE, error.to_string()));
        }
    }
    result.map(|()| properties)
}

/// As Kafka has them; what begins with `^` would be a pattern to librdkafka.
fn is_topic_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=249).contains(&name.len()) && name.bytes().all(plain) && !matches!(name, "." | "..")
}
