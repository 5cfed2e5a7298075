//! Messages that are committed and are in the stream all the same: they are handed out once more.
//!
//! After a write to a stream failed, for a full disk say, NATS (2.14 and later) changes nothing of that stream any more until
//! it is restarted. Its consumer notes acknowledgements even so, while the messages stay. Once it is restarted it would give
//! them to nobody, and they would take up room for ever. A consumer that is made anew is given all that is there: what is
//! committed is found by its ids, and leaves. That is done once per start of NATS, since before the restart it helps
//! nothing but counts every record once more. So the consumer itself bears the starts that it was made in: whichever
//! process looks, and however often those are restarted, it knows.

use async_nats::jetstream::consumer;
use async_nats::jetstream::stream::{State, Stream};
use weir_event::bus;

use super::{SpoolError, stream};

/// How many looks in a row have to find them: an acknowledgement may be on its way.
const LOOKS: u32 = 3;

/// Looks for them.
#[derive(Debug, Default)]
pub(super) struct Stranded {
    /// Looks in a row that found some.
    looks: u32,
    /// Whether it was said that they stay.
    has_told: bool,
}

impl Stranded {
    /// Looks, given the state of the stream a moment ago, and has what is found handed out once more. Gives whether there are
    /// some that stay even so, which a restart of NATS is the remedy for. `server_id` tells one start of NATS from another.
    /// Sees to it that there is a consumer, too: when the disk is full it is too late. `are_delayed` says whether what is owed
    /// may be waiting for no fault of its own.
    pub(super) async fn look(
        &mut self,
        stream: &Stream,
        before: &State,
        server_id: &str,
        are_delayed: bool,
    ) -> Result<bool, SpoolError> {
        let Some(consumer) = stream::look_at_consumer(stream).await? else {
            stream::consumer_after(stream, &[], server_id).await?;
            return Ok(false);
        };
        let after = stream.get_info().await.map_err(SpoolError::Info)?.state;
        match stranded(before, &consumer, &after) {
            Some(0) => *self = Self::default(),
            Some(_) => self.looks += 1,
            // It is busy; nobody knows.
            None => {}
        }
        if self.looks < LOOKS {
            return Ok(false);
        }
        let made_in = stream::made_in(&consumer.config.metadata);
        if made_in.iter().any(|start| start == server_id) {
            if !self.has_told {
                self.has_told = true;
                tracing::error!(
                    "the spool keeps messages that are committed: after a failed write, for a full disk say, nats changes \
                     nothing of a stream until it is restarted"
                );
            }
            return Ok(true);
        }
        // What may be committed is drained first: as long as the disk is full, a consumer that is gone cannot be made anew.
        if hopeful(&consumer) > 0 || are_delayed && owed(&consumer) > 0 {
            return Ok(false);
        }
        tracing::warn!("the spool keeps messages that are committed; they are handed out once more");
        stream.delete_consumer(bus::SPOOL_CONSUMER).await.map_err(SpoolError::DeleteConsumer)?;
        *self = Self::default();
        // Should that fail, those who drain make one.
        stream::consumer_after(stream, &made_in, server_id).await?;
        Ok(false)
    }
}

/// How many messages of the stream its consumer is done with; `None` where it changed while it was looked at.
fn stranded(before: &State, consumer: &consumer::Info, after: &State) -> Option<u64> {
    let key = |state: &State| (state.messages, state.first_sequence, state.last_sequence);
    (key(before) == key(after)).then(|| after.messages.saturating_sub(owed(consumer)))
}

/// How many messages the consumer has not been told to be done with.
const fn owed(consumer: &consumer::Info) -> u64 {
    consumer.num_pending + consumer.num_ack_pending as u64
}

/// How many of those were not given out, or once only. What was given out again and is still there is in trouble of its
/// own, and may be for ever, unless it waits for something else.
const fn hopeful(consumer: &consumer::Info) -> u64 {
    owed(consumer).saturating_sub(consumer.num_redelivered as u64)
}
