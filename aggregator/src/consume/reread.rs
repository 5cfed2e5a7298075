//! Has the past of tenants read again whose rows were changed, while messages go on being folded.

use std::future::pending;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use weir_service::telemetry::chain;

use super::error::ConsumeError;
use super::intake::IntakeParts;
use super::stream::Position;
use super::warm_up::Warm;
use crate::backoff::Backoff;
use crate::shared_fold::{SharedFold, now};

/// For so many times as long as a reading took there is no other: what a tenant's changes cost is a fifth of the time at most.
const PAUSE_FACTOR: u32 = 4;
/// But not for longer: most of the time may have gone by waiting for ClickHouse.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// The readings of a shard, one at a time. What is under way is given up when it is dropped.
pub(super) struct Rereads {
    parts: IntakeParts,
    shard: u16,
    fold: SharedFold,
    under_way: Option<(BoxFuture<'static, Result<Warm, ConsumeError>>, Instant)>,
    not_before: Instant,
    backoff: Backoff,
}

impl Rereads {
    pub(super) fn of(parts: &IntakeParts, shard: u16, fold: &SharedFold) -> Self {
        let (parts, fold) = (parts.clone(), fold.clone());
        Self { parts, shard, fold, under_way: None, not_before: Instant::now(), backoff: Backoff::new() }
    }

    /// Has what is outdated read, if nothing is being read and the last time is long enough ago.
    pub(super) fn begin_if_due(&mut self) {
        if self.under_way.is_some() || Instant::now() < self.not_before {
            return;
        }
        let begun = self.fold.lock().begin_reread(self.parts.limits, now(&self.parts.clock));
        if let Some(reread) = begun {
            let (warm_ups, shard) = (self.parts.warm_ups.clone(), self.shard);
            let reading = async move { warm_ups.reread(shard, reread).await };
            self.under_way = Some((reading.boxed(), Instant::now()));
        }
    }

    /// Waits until what is under way is read, and puts it into the windows, which were made from the stream that was created then.
    pub(super) async fn finish(&mut self, created_ns: Option<i128>) {
        let Some((reading, began)) = &mut self.under_way else { return pending().await };
        let (read, took) = (reading.await, began.elapsed());
        self.under_way = None;
        let wait = match read {
            Ok(Warm { fold, position: Position { created_ns: found, latest }, .. })
                if created_ns == Some(found) =>
            {
                self.fold.lock().finish_reread(fold, latest);
                self.backoff.reset();
                (took * PAUSE_FACTOR).min(PAUSE_MAX)
            }
            // It is about another stream: the session ends as soon as that is seen, and all of the past is read.
            Ok(_) => self.give_up(),
            Err(error) => {
                let (shard, error) = (self.shard, chain(&error));
                tracing::warn!(shard, error, "the past of tenants is not read again");
                self.give_up()
            }
        };
        self.not_before = Instant::now() + wait;
    }

    fn give_up(&mut self) -> Duration {
        self.fold.lock().give_reread_up();
        self.backoff.next_wait()
    }
}

impl Drop for Rereads {
    fn drop(&mut self) {
        self.fold.lock().give_reread_up();
    }
}
