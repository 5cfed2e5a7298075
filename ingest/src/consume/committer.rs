//! Commits offsets and asks for them, on a thread of its own: librdkafka blocks meanwhile, and a commit that waits for a
//! broker that is away must hold up neither the group nor the end of the process.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::sync::oneshot;

use super::client::GroupConsumer;

/// How long the group may take to say where it stands.
pub(super) const ASK_LIMIT: Duration = Duration::from_secs(5);

/// The way to the thread. When it is dropped the thread lets go of the consumer.
#[derive(Debug)]
pub(super) struct Committer(mpsc::Sender<Request>);

/// A commit under way. A thread that is gone gives an error.
pub(super) type Committing = oneshot::Receiver<KafkaResult<()>>;

/// A question for committed offsets. A thread that is gone gives an error.
pub(super) type Asking = oneshot::Receiver<KafkaResult<TopicPartitionList>>;

enum Request {
    Commit { offsets: TopicPartitionList, answer: oneshot::Sender<KafkaResult<()>> },
    Ask { partitions: TopicPartitionList, answer: oneshot::Sender<KafkaResult<TopicPartitionList>> },
}

impl Committer {
    /// Starts the thread. `closed` is told when it has let go of the consumer, and closed it if nobody else had it.
    pub(super) fn start(consumer: Arc<GroupConsumer>, closed: oneshot::Sender<()>) -> std::io::Result<Self> {
        let (sender, requests) = mpsc::channel::<Request>();
        let work = move || {
            for request in requests {
                // Who no longer waits has given the partitions up.
                match request {
                    Request::Commit { offsets, answer } => {
                        let _ = answer.send(consumer.commit(&offsets, CommitMode::Sync));
                    }
                    Request::Ask { partitions, answer } => {
                        let _ = answer.send(consumer.committed_offsets(partitions, ASK_LIMIT));
                    }
                }
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
        let _ = self.0.send(Request::Commit { offsets, answer });
        committing
    }

    /// Asks for the offsets that are committed of `partitions`.
    pub(super) fn ask(&self, partitions: TopicPartitionList) -> Asking {
        let (answer, asking) = oneshot::channel();
        let _ = self.0.send(Request::Ask { partitions, answer });
        asking
    }
}
