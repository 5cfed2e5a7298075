//! The task that reads the past, once for all shards that need it at the same time: all of it, or that of tenants whose rows were
//! changed.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use weir_event::Scope;
use weir_event::bus::shard_of;
use weir_service::clock::SharedClock;
use weir_service::lifecycle::Shutdown;

use super::error::ConsumeError;
use super::history::{History, Tenants};
use super::stream::{Position, usage_stream};
use crate::fold::{Fold, Limits, Past, PastBucket, PastWeight, Reread, WarmUp};
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
    wanted: Wanted,
    answer: Answer,
}

type Answer = oneshot::Sender<Result<Warm, Arc<ConsumeError>>>;

/// What of the past a shard wants.
#[derive(Debug)]
enum Wanted {
    /// All of it.
    All(Stale),
    /// That of some tenants.
    Tenants(Box<Reread>),
}

/// What shards ask for, and where they wait.
#[derive(Debug)]
struct Asked<W> {
    wanted: BTreeMap<u16, W>,
    answers: BTreeMap<u16, Answer>,
}

impl<W> Asked<W> {
    fn put(&mut self, shard: u16, wanted: W, answer: Answer) {
        self.wanted.insert(shard, wanted);
        self.answers.insert(shard, answer);
    }

    /// `None` if nothing is asked for.
    fn any(self) -> Option<(BTreeMap<u16, W>, BTreeMap<u16, Answer>)> {
        (!self.wanted.is_empty()).then_some((self.wanted, self.answers))
    }
}

impl<W> Default for Asked<W> {
    fn default() -> Self {
        Self { wanted: BTreeMap::new(), answers: BTreeMap::new() }
    }
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
        self.ask(shard, Wanted::All(stale)).await
    }

    /// The past of some tenants in `shard`, once it is read. What was published before the call is in it, or comes again.
    pub(super) async fn reread(&self, shard: u16, reread: Reread) -> Result<Warm, ConsumeError> {
        self.ask(shard, Wanted::Tenants(Box::new(reread))).await
    }

    async fn ask(&self, shard: u16, wanted: Wanted) -> Result<Warm, ConsumeError> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Request { shard, wanted, answer }).await.map_err(|_| ConsumeError::Closed)?;
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
            let (mut all, mut some) = (Asked::default(), Asked::default());
            for Request { shard, wanted, answer } in self.gather(first).await {
                match wanted {
                    Wanted::All(stale) => all.put(shard, stale, answer),
                    Wanted::Tenants(reread) => some.put(shard, *reread, answer),
                }
            }
            if let Some((stale, answers)) = all.any() {
                hand_out(self.read(&stale).await, answers);
            }
            if let Some((rereads, answers)) = some.any() {
                hand_out(self.reread(rereads).await, answers);
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
        let position = self.position().await?;
        let begun_at = now(&self.clock);
        let loading = |(shard, stale): (&u16, &Stale)| {
            let warm_up = WarmUp::begin(self.limits, position.latest, begun_at);
            (*shard, Loading { stale: *stale, warm_up, minutes: BTreeSet::new() })
        };
        let mut loadings: BTreeMap<u16, Loading> = stale.iter().map(loading).collect();
        let past = Past::needed_at(begun_at, &self.limits.windows);
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
        self.history.load(past, Tenants::All, take).await?;
        if lacks_places && !weighed {
            return Ok(None);
        }
        self.is_tight = lacks_places;
        let read_at = now(&self.clock);
        let finish = |(shard, loading): (u16, Loading)| {
            let Loading { warm_up, minutes, .. } = loading;
            (shard, Warm { fold: warm_up.finish(read_at), minutes, position })
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

    /// Where the stream stands: this is the sequence that the exactness of a warm-up rests on, and it is asked for before the
    /// past is.
    async fn position(&self) -> Result<Position, ConsumeError> {
        let mut stream = usage_stream(&self.context).await?;
        Ok(Position::of(stream.info().await.map_err(ConsumeError::StreamInfo)?))
    }

    /// Reads the past of the tenants that these shards ask for.
    async fn reread(&self, rereads: BTreeMap<u16, Reread>) -> Result<BTreeMap<u16, Warm>, ConsumeError> {
        let started = Instant::now();
        let position = self.position().await?;
        let begun_at = now(&self.clock);
        let tenants: BTreeSet<Scope> =
            rereads.values().flat_map(|reread| reread.scopes().iter().cloned()).collect();
        let begin =
            |(shard, reread): (u16, Reread)| (shard, (reread.scopes().clone(), reread.begin(begun_at)));
        let mut loadings: BTreeMap<u16, _> = rereads.into_iter().map(begin).collect();
        let take = |bucket: PastBucket| {
            if let Some((scopes, warm_up)) = loadings.get_mut(&shard_of(&bucket.scope, &bucket.token))
                && scopes.contains(&bucket.scope)
            {
                warm_up.load(&bucket);
            }
            ControlFlow::Continue(())
        };
        let past = Past::needed_at(begun_at, &self.limits.windows);
        self.history.load(past, Tenants::These(&tenants), take).await?;
        self.metrics.rereads.inc();
        self.metrics.warm_up_duration_s.observe(started.elapsed().as_secs_f64());
        tracing::info!(
            tenants = tenants.len(),
            took_ms = started.elapsed().as_millis(),
            last_sequence = position.latest,
            "the past of tenants is read again"
        );
        let read_at = now(&self.clock);
        let finish = |(shard, (_, warm_up)): (u16, (_, WarmUp))| {
            (shard, Warm { fold: warm_up.finish(read_at), minutes: BTreeSet::new(), position })
        };
        Ok(loadings.into_iter().map(finish).collect())
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

/// Answers each shard that asked.
fn hand_out(read: Result<BTreeMap<u16, Warm>, ConsumeError>, answers: BTreeMap<u16, Answer>) {
    let mut read = read.map_err(Arc::new);
    for (shard, answer) in answers {
        let warm = match &mut read {
            Ok(warm) => warm.remove(&shard).map(Ok),
            Err(error) => Some(Err(Arc::clone(error))),
        };
        if let Some(warm) = warm {
            // Who does not wait any more has lost its shard meanwhile.
            let _ = answer.send(warm);
        }
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
