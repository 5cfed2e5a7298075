//! Up to where a shard's messages are taken, and whether the stream may have given up some before. Pure, but for the look itself.
//!
//! The stream has the messages of all shards, so a gap in the sequences of one is nothing unusual, and what was in a gap
//! nobody can tell once it is gone. So what is asked at each look is whether anything at all left the stream behind the place up
//! to which everything of the shard had been taken at the look before. That is never the case of a stream that keeps more than
//! what comes within a few seconds; where it is, the past is read again, at times without need.

use async_nats::jetstream::consumer::{Info, PullConsumer};
use async_nats::jetstream::stream::Stream;

use super::error::ConsumeError;

/// What stream and consumer say at one time. The stream is asked before the consumer for its last sequence, and after it for its
/// first: what had left the stream when the consumer told how far it is cannot be taken for acknowledged then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// The last sequence that the stream gave out.
    pub(super) last: u64,
    /// The first that it has, or would have.
    pub(super) first: u64,
    /// How many deliveries the consumer has made.
    pub(super) deliveries: u64,
    /// Everything of the shard up to this sequence is acknowledged.
    pub(super) acknowledged: u64,
    /// Messages that were not delivered yet.
    pub(super) pending: u64,
    /// Those that were, and are not acknowledged.
    pub(super) unacknowledged: u64,
}

impl Look {
    /// Asks.
    pub(super) async fn at(stream: &mut Stream, consumer: &mut PullConsumer) -> Result<Self, ConsumeError> {
        let before = stream.info().await.map_err(ConsumeError::StreamInfo)?.state.last_sequence;
        let delivery = consumer.info().await.map_err(ConsumeError::ConsumerInfo)?.clone();
        let after = stream.info().await.map_err(ConsumeError::StreamInfo)?.state.first_sequence;
        Ok(Self::of(before, &delivery, after))
    }

    fn of(last: u64, delivery: &Info, first: u64) -> Self {
        Self {
            last,
            first,
            deliveries: delivery.delivered.consumer_sequence,
            acknowledged: delivery.ack_floor.stream_sequence,
            pending: delivery.num_pending,
            unacknowledged: delivery.num_ack_pending as u64,
        }
    }
}

/// How far a shard has come with one consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// The highest sequence that was taken.
    latest: u64,
    /// The number of the next delivery.
    next_delivery: u64,
    /// Deliveries up to this sequence were on their way and may not have come: they will come again, if they are still there.
    unsure_until: u64,
    acknowledged: u64,
    /// Everything of the shard up to here was taken at the last look, or read from ClickHouse.
    taken: u64,
    /// Everything of the shard up to here is acknowledged, and whatever else is there is of others.
    settled: u64,
    /// At the last look everything that the stream had of the shard had come.
    is_idle: bool,
}

impl Progress {
    /// A consumer that begins after `floor`, up to which everything is acknowledged, or gone: the server moves what it says is
    /// acknowledged along with what leaves the stream. That everything was taken is known up to `taken`.
    pub(super) const fn after(floor: u64, taken: u64) -> Self {
        Self {
            latest: taken,
            next_delivery: 1,
            unsure_until: 0,
            acknowledged: floor,
            taken,
            settled: floor,
            is_idle: false,
        }
    }

    /// A session begins, after `deliveries` of the consumer up to the sequence `delivered`: what of it did not come was lost on
    /// its way.
    pub(super) fn resume(&mut self, deliveries: u64, delivered: u64) {
        if self.next_delivery != deliveries + 1 {
            self.unsure_until = self.unsure_until.max(delivered);
            self.next_delivery = deliveries + 1;
        }
    }

    /// The message with `sequence` came, as the consumer's delivery of this number.
    pub(super) fn take(&mut self, sequence: u64, delivery: u64) {
        if delivery != self.next_delivery {
            self.unsure_until = self.unsure_until.max(sequence);
        }
        self.next_delivery = delivery + 1;
        self.latest = self.latest.max(sequence);
    }

    /// Everything up to `sequence` was read from ClickHouse, minutes that may be wrong included.
    pub(super) fn read_up_to(&mut self, sequence: u64) {
        self.taken = self.taken.max(sequence);
    }

    /// Whether the stream, which begins with the sequence `first`, may have given up what was not taken.
    pub(super) const fn may_lack_before(&self, first: u64) -> bool {
        first > self.taken + 1
    }

    /// Whether everything that was delivered before the last message has come, and is not on its way for a second time.
    pub(super) const fn is_sure(&self) -> bool {
        self.acknowledged >= self.unsure_until
    }

    /// Whether everything that the stream had of the shard at the last look had come.
    pub(super) const fn is_idle(&self) -> bool {
        self.is_idle
    }

    /// Takes in what a look shows. Gives whether the stream may have given up what was not taken before.
    pub(super) fn look(&mut self, look: &Look) -> bool {
        self.is_idle = false;
        if self.may_lack_before(look.first) {
            return true;
        }
        self.acknowledged = self.acknowledged.max(look.acknowledged);
        // All that the stream had is delivered, and what was delivered has come.
        self.is_idle = look.pending == 0 && self.is_sure() && self.next_delivery == look.deliveries + 1;
        // What is acknowledged behind the last that came is what left the stream.
        let in_order = if self.is_sure() { self.latest } else { self.acknowledged.min(self.latest) };
        let reached = if self.is_idle { look.last } else { 0 };
        self.taken = self.taken.max(in_order).max(reached);
        let is_done = look.pending == 0 && look.unacknowledged == 0;
        self.settled = self.settled.max(self.acknowledged).max(if is_done { look.last } else { 0 });
        false
    }

    /// Whoever is next begins after this sequence.
    pub(super) const fn settled(&self) -> u64 {
        self.settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The consumer has delivered and has acknowledged; nothing is pending.
    fn idle(first: u64, last: u64, deliveries: u64, acknowledged: u64) -> Look {
        Look { first, last, deliveries, acknowledged, pending: 0, unacknowledged: 0 }
    }

    #[test]
    fn messages_of_others_leave_the_stream_without_a_loss() {
        let mut progress = Progress::after(10, 10);
        progress.take(15, 1);
        assert!(!progress.look(&idle(1, 1_000, 1, 15)));
        // All but the last of the others' messages go, and the shard had none among them.
        assert!(!progress.look(&idle(1_001, 2_000, 1, 15)));
        assert!(!progress.look(&idle(2_001, 2_000, 1, 15)));
        assert_eq!(progress.settled(), 2_000);
    }

    #[test]
    fn what_leaves_the_stream_before_it_is_delivered_is_missed() {
        let mut progress = Progress::after(10, 10);
        assert!(!progress.look(&Look { pending: 90, ..idle(1, 100, 0, 10) }));
        // Of those that were pending half are gone, the others come.
        progress.take(51, 1);
        progress.take(100, 2);
        assert!(progress.look(&idle(51, 100, 2, 10)));
        progress.read_up_to(100);
        assert!(!progress.look(&idle(51, 100, 2, 100)));
    }

    #[test]
    fn a_place_is_taken_over_only_as_far_as_it_was_acknowledged() {
        let mut progress = Progress::after(10, 10);
        progress.take(20, 1);
        progress.take(30, 2);
        let look = Look { unacknowledged: 1, ..idle(1, 40, 2, 20) };
        assert!(!progress.look(&look));
        assert_eq!(progress.settled(), 20);
        assert!(!progress.may_lack_before(41), "all that came is folded");
        assert!(!progress.look(&idle(41, 60, 2, 30)));
        assert_eq!(progress.settled(), 60);
    }

    #[test]
    fn what_was_lost_on_its_way_is_waited_for() {
        let mut progress = Progress::after(10, 10);
        progress.take(11, 1);
        assert!(!progress.look(&idle(1, 11, 1, 11)));
        // Three deliveries were made while the connection was broken.
        progress.resume(4, 40);
        let look = |first, deliveries, acknowledged| Look {
            unacknowledged: 3,
            ..idle(first, 50, deliveries, acknowledged)
        };
        assert!(!progress.look(&look(1, 4, 11)));
        assert!(progress.may_lack_before(13), "they may go before they come again");
        progress.take(40, 5);
        assert!(!progress.look(&look(1, 5, 40)));
        assert!(!progress.may_lack_before(51));
    }

    #[test]
    fn a_delivery_that_did_not_come_leaves_a_doubt() {
        let mut progress = Progress::after(10, 10);
        progress.take(12, 2);
        assert!(!progress.look(&Look { unacknowledged: 2, ..idle(1, 12, 2, 10) }));
        assert!(progress.may_lack_before(12));
        assert!(!progress.look(&idle(1, 12, 3, 12)));
        assert!(!progress.may_lack_before(13));
    }

    #[test]
    fn nothing_is_through_while_a_delivery_is_to_come_again() {
        let mut progress = Progress::after(10, 10);
        progress.take(11, 1);
        assert!(progress.is_sure());
        progress.resume(4, 40);
        progress.take(41, 5);
        assert!(!progress.is_sure(), "38 to 40 come again only after a while");
        let look =
            |deliveries, acknowledged| Look { unacknowledged: 4, ..idle(1, 41, deliveries, acknowledged) };
        assert!(!progress.look(&look(5, 11)) && !progress.is_idle());
        for (sequence, delivery) in [(38, 6), (39, 7), (40, 8)] {
            progress.take(sequence, delivery);
        }
        assert!(!progress.look(&look(8, 41)) && progress.is_idle() && progress.is_sure());
    }

    #[test]
    fn what_the_server_calls_acknowledged_may_have_left_the_stream() {
        // The holder before had taken 20. Until its shard was taken over, the stream gave up all before 100.
        let progress = Progress::after(99, 20);
        assert!(progress.may_lack_before(100));

        // It gives them up before the consumer answers, and so before the stream says what it begins with.
        let mut progress = Progress::after(20, 20);
        assert!(progress.look(&Look { pending: 5, ..idle(100, 110, 0, 99) }));
    }

    #[test]
    fn what_was_lost_on_its_way_and_has_left_the_stream_is_missed() {
        let mut progress = Progress::after(10, 10);
        progress.take(11, 1);
        assert!(!progress.look(&idle(1, 11, 1, 11)));
        // 12 to 14 were delivered and did not come, and leave the stream before the consumer is asked: what it calls
        // acknowledged is then behind them.
        progress.resume(4, 14);
        progress.take(15, 5);
        assert!(progress.look(&idle(15, 15, 5, 15)), "the stream begins behind what was taken");
    }
}
