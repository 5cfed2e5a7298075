//! Commits offsets, on a thread of its own: librdkafka's commits block, and one that waits for a broker that is away must
//! hold up neither the group nor the end of the process.

use std::sync::{Arc, mpsc};
use std::thread;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::sync::oneshot;

use super::client::GroupConsumer;

/// The way to the thread. When it is dropped the thread lets go of the consumer.
#[derive(Debug)]
pub(super) struct Committer(mpsc::Sender<Request>);

/// A commit under way. A thread that is gone gives an error.
pub(super) type Committing = oneshot::Receiver<KafkaResult<()>>;

struct Request {
    offsets: TopicPartitionList,
    answer: oneshot::Sender<KafkaResult<()>>,
}

impl Committer {
    /// Starts the thread. `closed` is told when it has let go of the consumer, and closed it if nobody else had it.
    pub(super) fn start(consumer: Arc<GroupConsumer>, closed: oneshot::Sender<()>) -> std::io::Result<Self> {
        let (sender, requests) = mpsc::channel::<Request>();
        let work = move || {
            for Request { offsets, answer } in requests {
                // Who no longer waits has given the partitions up.
                let _ = answer.send(consumer.commit(&offsets, CommitMode::Sync));
            }
            drop(consumer);
            let _ = closed.send(());
        };
        thread::Builder::new().name("kafka-commit".to_owned()).spawn(work)?;
        Ok(Self(sender))
    }

    /// Commits `offsets`, after what was asked for before.
    pub(super) fn commit(&self, offsets: TopicPartitionList) -> Committing {
        let (answer, committing) = oneshot::channel();
        // If the thread is gone the answer is dropped with the request, which is what the receiver tells.
        let _ = self.0.send(Request { offsets, answer });
        committing
    }
}
