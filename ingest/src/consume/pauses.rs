//! Whether partitions stand still. One does for as long as there is a reason: its next batch cannot be read, a delivery of it
//! cannot be stored, or a dead letter not produced. A reason that ends takes no other one with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::gauge::Gauge;

use super::partition::TopicPartition;

/// The partitions that are ours. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Pauses(Arc<Mutex<BTreeMap<TopicPartition, Pause>>>);

/// A delivery that cannot be stored, or not with all that goes with it, until it is dropped.
#[derive(Debug)]
pub(super) struct Waiting(Pause);

#[derive(Clone, Debug)]
struct Pause(Arc<Mutex<Reasons>>);

/// Why a partition stands still, and where it is told whether it does.
#[derive(Debug, Default)]
struct Reasons {
    is_held_up: bool,
    waiting: usize,
    told: Gauge,
}

impl Pauses {
    /// The partition is ours from here on, which is told by `told`.
    pub(super) fn begin(&self, partition: &TopicPartition, told: Gauge) {
        let pause = Pause(Arc::new(Mutex::new(Reasons { told, ..Reasons::default() })));
        pause.change(|_| {});
        lock(&self.0).insert(partition.clone(), pause);
    }

    /// It is not ours any more. What ends of it later is not told, also if it comes back.
    pub(super) fn forget(&self, partition: &TopicPartition) {
        lock(&self.0).remove(partition);
    }

    /// Its next batch cannot be read, or can be again.
    pub(super) fn hold_up(&self, partition: &TopicPartition, is_held_up: bool) {
        if let Some(pause) = lock(&self.0).get(partition) {
            pause.change(|reasons| reasons.is_held_up = is_held_up);
        }
    }

    /// A delivery of it cannot be stored, or not with all that goes with it. `None` if it is not ours.
    pub(super) fn wait(&self, partition: &TopicPartition) -> Option<Waiting> {
        let pause = lock(&self.0).get(partition)?.clone();
        pause.change(|reasons| reasons.waiting += 1);
        Some(Waiting(pause))
    }
}

impl Pause {
    fn change(&self, change: impl FnOnce(&mut Reasons)) {
        let mut reasons = lock(&self.0);
        change(&mut reasons);
        reasons.told.set(i64::from(reasons.is_held_up || reasons.waiting > 0));
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.change(|reasons| reasons.waiting -= 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in it is whole between two changes.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> (Pauses, TopicPartition, Gauge) {
        let (pauses, told) = (Pauses::default(), Gauge::default());
        let partition = TopicPartition { topic: "usage".into(), number: 1 };
        pauses.begin(&partition, told.clone());
        (pauses, partition, told)
    }

    #[test]
    fn a_partition_stands_still_until_the_last_reason_has_ended() {
        let (pauses, partition, told) = begun();
        assert_eq!(told.get(), 0);
        pauses.hold_up(&partition, true);
        let (first, second) = (pauses.wait(&partition), pauses.wait(&partition));
        drop(first);
        assert_eq!(told.get(), 1);
        pauses.hold_up(&partition, false);
        assert_eq!(told.get(), 1, "one delivery waits");
        drop(second);
        assert_eq!(told.get(), 0);
        pauses.hold_up(&partition, true);
        drop(pauses.wait(&partition));
        assert_eq!(told.get(), 1, "its next batch cannot be read, whatever was stored");
    }

    #[test]
    fn what_ends_after_a_partition_was_given_up_is_not_told() {
        let (pauses, partition, told) = begun();
        let before = pauses.wait(&partition);
        pauses.forget(&partition);
        assert!(pauses.wait(&partition).is_none());
        let again = Gauge::default();
        pauses.begin(&partition, again.clone());
        let waiting = pauses.wait(&partition);
        drop(before);
        assert_eq!((told.get(), again.get()), (0, 1));
        drop(waiting);
        assert_eq!(again.get(), 0);
    }
}
