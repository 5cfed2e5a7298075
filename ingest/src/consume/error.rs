//! Why topics cannot be consumed.

use rdkafka::error::KafkaError;

/// What ends the intake of topics. A broker that is away does not: it is waited for.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// librdkafka does not make a client of these properties.
    #[error("a kafka {what} cannot be made of these properties")]
    Client {
        /// A consumer or a producer.
        what: &'static str,
        /// What it says. It repeats no value that is secret.
        #[source]
        source: KafkaError,
    },
    /// Partitions could not be taken over or given back.
    #[error("partitions cannot be {what}")]
    Assignment {
        /// What was to be done.
        what: &'static str,
        /// What librdkafka says.
        #[source]
        source: KafkaError,
    },
    /// A thread could not be started.
    #[error("a thread for committing offsets cannot be started")]
    Thread(#[source] std::io::Error),
    /// It passes: librdkafka tries again by itself.
    #[error("kafka")]
    Passing(#[source] KafkaError),
    /// The broker does not want this member any more.
    #[error("the group has turned this consumer away")]
    Fatal(#[source] KafkaError),
    /// A defect: a message came past its partition's queue, and its place in the order is not known.
    #[error("a message of {topic}/{partition} came outside its partition's queue")]
    Astray {
        /// Its topic.
        topic: String,
        /// Its partition.
        partition: i32,
    },
    /// A defect: the task of a partition died.
    #[error("the task of {0} died")]
    Partition(String),
}
