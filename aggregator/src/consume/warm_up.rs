//! The task that reads the past, once for all shards that need it at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use weir_event::bus::shard_of;
use weir_service::clock::SharedClock;
use weir_service::lifecycle::Shutdown;

use super::error::ConsumeError;
use super::history::History;
use super::stream::{Position, usage_stream};
use crate::fold::{Fold, Limits, Past, PastBucket, PastWeight, WarmUp};
use crate::metrics::AggregatorMetrics;
use crate::publish::ScopeWindow;
use crate::shared_fold::now;

/// A shard that needs the past is waited for this long after another one: shards are taken one after the other, and a changed row
/// outdates all of them.
const GATHER: Duration = Duration::from_millis(300);
/// But no longer than this after the first.
const GATHER_MAX: Duration = Duration::from_secs(2);
/// Shards that ask while the past is being read wait here.
const REQUESTS_MAX: usize = 64;

/// Which minutes have to be computed anew after the past was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// Those of rows that were stored, or ended, lately: the process that was to write their rollups may have ended.
    Recent,
    /// All: messages that told of them may be lost.
    All,
}

/// Where shards ask for their past. Clones ask the same task.
#[derive(Clone, Debug)]
pub struct WarmUps(mpsc::Sender<Request>);

/// A shard's past.
#[derive(Debug)]
pub struct Warm {
    /// The windows.
    pub(super) fold: Fold,
    /// What has to be computed anew.
    pub(super) minutes: BTreeSet<ScopeWindow>,
    /// What the stream had before the past was read.
    pub(super) position: Position,
}

/// Reads the past.
#[derive(Debug)]
pub struct WarmUpTask {
    requests: mpsc::Receiver<Request>,
    /// JetStream.
    context: Context,
    history: History,
    /// How much the windows of one shard may keep.
    limits: Limits,
    /// Whether the past had more series than there are places.
    is_tight: bool,
    clock: SharedClock,
    metrics: AggregatorMetrics,
}

#[derive(Debug)]
struct Request {
    shard: u16,
    stale: Stale,
    answer: oneshot::Sender<Result<Warm, Arc<ConsumeError>>>,
}

/// A shard whose past is being read.
#[derive(Debug)]
struct Loading {
    stale: Stale,
    warm_up: WarmUp,
    minutes: BTreeSet<ScopeWindow>,
}

impl WarmUps {
    /// The past of `shard`, once it is read. What was published before the call is in it, or comes again.
    pub(super) async fn read(&self, shard: u16, stale: Stale) -> Result<Warm, ConsumeError> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Request { shard, stale, answer }).await.map_err(|_| ConsumeError::Closed)?;
        answered.await.map_err(|_| ConsumeError::Closed)?.map_err(ConsumeError::WarmUp)
    }
}

impl WarmUpTask {
    /// The task, and where to ask it.
    #[must_use]
    pub fn new(
        context: Context,
        history: History,
        limits: Limits,
        (clock, metrics): (SharedClock, AggregatorMetrics),
    ) -> (WarmUps, Self) {
        let (ask, requests) = mpsc::channel(REQUESTS_MAX);
        (WarmUps(ask), Self { requests, context, history, limits, is_tight: false, clock, metrics })
    }

    /// Reads until the soft stop.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), Infallible> {
        tokio::select! {
            () = self.serve() => {}
            () = shutdown.soft_stop().cancelled() => {}
        }
        Ok(())
    }

    async fn serve(&mut self) {
        while let Some(first) = self.requests.recv().await {
            let requests = self.gather(first).await;
            let stale = requests.iter().map(|request| (request.shard, request.stale)).collect();
            match self.read(&stale).await {
                Ok(mut warm) => {
                    for request in requests {
                        if let Some(warm) = warm.remove(&request.shard) {
                            // Who does not wait any more has lost its shard meanwhile.
                            let _ = request.answer.send(Ok(warm));
                        }
                    }
                }
                Err(error) => {
                    let error = Arc::new(error);
                    for request in requests {
                        let _ = request.answer.send(Err(Arc::clone(&error)));
                    }
                }
            }
        }
        std::future::pending::<()>().await;
    }

    async fn gather(&mut self, first: Request) -> Vec<Request> {
        let end = Instant::now() + GATHER_MAX;
        let mut requests = vec![first];
        while let Ok(Some(next)) = timeout_at(end.min(Instant::now() + GATHER), self.requests.recv()).await {
            requests.push(next);
        }
        requests.retain(|request| !request.answer.is_closed());
        requests
    }

    async fn read(&mut self, stale: &BTreeMap<u16, Stale>) -> Result<BTreeMap<u16, Warm>, ConsumeError> {
        loop {
            if let Some(warm) = self.read_once(stale).await? {
                return Ok(warm);
            }
            // Places are few: who gets them is asked first from now on.
            self.is_tight = true;
        }
    }

    /// `None` if there are more series than places and it was not asked which are the heaviest.
    async fn read_once(
        &mut self,
        stale: &BTreeMap<u16, Stale>,
    ) -> Result<Option<BTreeMap<u16, Warm>>, ConsumeError> {
        let started = Instant::now();
        // This is the sequence that the exactness of the warm-up rests on: it is asked for before the past is.
        let mut stream = usage_stream(&self.context).await?;
        let position = Position::of(stream.info().await.map_err(ConsumeError::StreamInfo)?);
        let now = now(&self.clock);
        let loading = |(shard, stale): (&u16, &Stale)| {
            let warm_up = WarmUp::begin(self.limits, position.latest, now);
            (*shard, Loading { stale: *stale, warm_up, minutes: BTreeSet::new() })
        };
        let mut loadings: BTreeMap<u16, Loading> = stale.iter().map(loading).collect();
        let past = Past::needed_at(now, &self.limits.windows);
        let weighed = self.is_tight;
        if weighed {
            self.weigh(past, &mut loadings).await?;
        }
        let mut lacks_places = false;
        let take = |bucket: PastBucket| {
            if let Some(loading) = loadings.get_mut(&shard_of(&bucket.scope, &bucket.token)) {
                loading.take(bucket);
                lacks_places |= loading.warm_up.lacks_places();
            }
            if lacks_places && !weighed { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        self.history.load(past, take).await?;
        if lacks_places && !weighed {
            return Ok(None);
        }
        self.is_tight = lacks_places;
        let finish = |(shard, loading): (u16, Loading)| {
            let Loading { warm_up, minutes, .. } = loading;
            (shard, Warm { fold: warm_up.finish(), minutes, position })
        };
        let warm: BTreeMap<u16, Warm> = loadings.into_iter().map(finish).collect();
        self.metrics.warm_ups.inc();
        self.metrics.warm_up_duration_s.observe(started.elapsed().as_secs_f64());
        let keys: usize = warm.values().map(|warm| warm.fold.keys()).sum();
        let stale_minutes: usize = warm.values().map(|warm| warm.minutes.len()).sum();
        tracing::info!(
            shards = ?warm.keys().collect::<Vec<_>>(),
            took_ms = started.elapsed().as_millis(),
            keys,
            stale_minutes,
            last_sequence = position.latest,
            "the past is read"
        );
        Ok(Some(warm))
    }

    /// Asks which series are the heaviest, for these shards. It is another statement than that of the past, and need not be
    /// of the same moment: it says who has a place, and no figure.
    async fn weigh(&self, past: Past, loadings: &mut BTreeMap<u16, Loading>) -> Result<(), ConsumeError> {
        let weigh = |weight: PastWeight| {
            if let Some(loading) = loadings.get_mut(&shard_of(&weight.scope, &weight.names[0])) {
                loading.warm_up.weigh(&weight);
            }
        };
        self.history.weigh(past, weigh).await?;
        for loading in loadings.values_mut() {
            loading.warm_up.choose();
        }
        Ok(())
    }
}

impl Loading {
    fn take(&mut self, bucket: PastBucket) {
        self.warm_up.load(&bucket);
        if self.stale == Stale::All || !bucket.recent_ids.is_empty() {
            self.minutes.insert(ScopeWindow { scope: bucket.scope, start: bucket.start.minute() });
        }
    }
}
