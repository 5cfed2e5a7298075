//! Partitions as librdkafka takes them.

use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::partition::TopicPartition;

/// Partitions.
pub(super) fn names(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut names = TopicPartitionList::new();
    for partition in partitions {
        names.add_partition(&partition.topic, partition.number);
    }
    names
}

/// Partitions with offsets.
pub(super) fn offsets(offsets: &[(TopicPartition, i64)]) -> TopicPartitionList {
    let elements = offsets
        .iter()
        .map(|(partition, offset)| (partition.topic.to_string(), partition.number, Offset::Offset(*offset)));
    elements.collect()
}
