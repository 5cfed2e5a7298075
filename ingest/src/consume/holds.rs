//! Partitions that are held up by a batch that cannot be read.
//!
//! librdkafka (2.12) gets past none: it asks the broker for the same batch again at once, and says so each time, thousands
//! of times a second. So such a partition is paused, and looked at again ever more rarely. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::partition::TopicPartition;

/// How long it is paused: doubles from the first to the longest.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LONGEST: Duration = Duration::from_mins(1);
/// What was read again for so long without trouble is held up no more.
const HEALED_AFTER: Duration = Duration::from_secs(10);

/// The partitions that are held up.
#[derive(Debug, Default)]
pub(super) struct Holds(BTreeMap<TopicPartition, Hold>);

#[derive(Debug)]
struct Hold {
    state: State,
    pause: Duration,
}

#[derive(Debug)]
enum State {
    Paused { until: Instant },
    Tried { since: Instant },
}

/// What is to be done now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// These are to be read again.
    pub(super) resumed: Vec<TopicPartition>,
    /// These are held up no more.
    pub(super) healed: Vec<TopicPartition>,
}

impl Holds {
    /// A batch of the partition cannot be read. Gives whether it is to be paused, which it may be already.
    pub(super) fn begin(&mut self, partition: &TopicPartition, now: Instant) -> bool {
        let pause = match self.0.get(partition) {
            Some(Hold { state: State::Paused { .. }, .. }) => return false,
            Some(Hold { state: State::Tried { .. }, pause }) => (*pause * 2).min(PAUSE_LONGEST),
            None => PAUSE_FIRST,
        };
        self.0.insert(partition.clone(), Hold { state: State::Paused { until: now + pause }, pause });
        true
    }

    /// Looks which of them are to be read again, and which have been.
    pub(super) fn look(&mut self, now: Instant) -> Due {
        let mut due = Due::default();
        for (partition, hold) in &mut self.0 {
            match hold.state {
                State::Paused { until } if until <= now => {
                    hold.state = State::Tried { since: now };
                    due.resumed.push(partition.clone());
                }
                State::Tried { since } if since + HEALED_AFTER <= now => due.healed.push(partition.clone()),
                State::Paused { .. } | State::Tried { .. } => {}
            }
        }
        for partition in &due.healed {
            self.end(partition);
        }
        due
    }

    /// The partition is not ours any more, or is read again. Gives whether it was held up.
    pub(super) fn end(&mut self, partition: &TopicPartition) -> bool {
        self.0.remove(partition).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_tried_ever_more_rarely() {
        let (mut holds, mut now) = (Holds::default(), Instant::now());
        let partition = TopicPartition { topic: "usage".into(), number: 1 };
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert!(holds.begin(&partition, now));
            assert!(!holds.begin(&partition, now), "it is paused");
            let begun = now;
            while holds.look(now).resumed.is_empty() {
                now += Duration::from_secs(1);
            }
            pauses.push((now - begun).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn what_is_read_again_is_held_up_no_more() {
        let (mut holds, now) = (Holds::default(), Instant::now());
        let partition = TopicPartition { topic: "usage".into(), number: 1 };
        assert!(holds.begin(&partition, now));
        let resumed = now + PAUSE_FIRST;
        assert_eq!(holds.look(resumed), Due { resumed: vec![partition.clone()], healed: Vec::new() });
        assert_eq!(holds.look(resumed + HEALED_AFTER / 2), Due::default());
        let healed = resumed + HEALED_AFTER;
        assert_eq!(holds.look(healed), Due { resumed: Vec::new(), healed: vec![partition.clone()] });
        assert_eq!(holds.look(healed + HEALED_AFTER), Due::default());
        assert!(holds.begin(&partition, healed), "and the next time is the first");
    }
}
