//! The runs: which is at work, which ended early, and the claim that keeps two from working at once.
//!
//! A run writes that it claims the table, then looks for others. Two that claim at the same time see each other, because
//! each looks after it has written, and both withdraw: there is no order of events in which both go on. A run that is at
//! work gives a sign of life every sixth of its lease; one whose last sign is older than its lease is dead, and whoever
//! waits for that can see it, as times are the server's. A run that could not give a sign for two thirds of its lease stops
//! by itself ([`Lease::check`]), since it may be taken for dead soon.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clickhouse::{Client, Row};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use weir_service::telemetry::chain;

use super::error::RepriceError;

/// Between two looks at a run that may be dead.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// What a run is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It has looked for no others yet.
    Claimed,
    /// It writes, or died writing.
    Writing,
    /// It ended early and says so.
    Stopped,
    /// All is written and marked.
    Done,
    /// It did nothing.
    Withdrawn,
}

/// The journal of runs.
#[derive(Clone)]
pub(super) struct Journal {
    client: Client,
}

/// A row of `reprice_runs`, as it is written.
#[derive(Clone, Debug, Row, Serialize, Deserialize)]
struct RunRow {
    run: String,
    state: String,
    request: String,
    price_book: String,
    lease_ms: u32,
    step: u64,
}

/// Another run that is not at its end.
#[derive(Clone, Debug, Row, Deserialize)]
struct OtherRow {
    run: String,
    state: String,
    step: u64,
    is_alive: bool,
}

/// The claim of a run that is at work. It is given back by [`Lease::end`]; a dropped one runs out.
pub(super) struct Lease {
    run: String,
    stop: watch::Sender<bool>,
    beats: JoinHandle<RunRow>,
    pulse: Pulse,
    journal: Journal,
}

/// When the last sign of life was given that got through, and for how long silence does no harm.
#[derive(Clone)]
struct Pulse {
    seen_at: Arc<Mutex<Instant>>,
    silence_max: Duration,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Writing => "writing",
            Self::Stopped => "stopped",
            Self::Done => "done",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl Journal {
    pub(super) const fn new(client: Client) -> Self {
        Self { client }
    }

    /// The runs that ended before all was written and marked, the oldest first.
    pub(super) async fn unfinished(&self) -> Result<Vec<String>, RepriceError> {
        let others = self.others("").await?;
        let unfinished = others.into_iter().filter(|other| other.state != State::Claimed.as_str());
        Ok(unfinished.map(|other| other.run).collect())
    }

    /// Claims the table for a new run. Waits until a run that may be dead has shown whether it is.
    pub(super) async fn claim(
        &self,
        request: &str,
        price_book: &str,
        lease: Duration,
    ) -> Result<Lease, RepriceError> {
        loop {
            // The server's, as its time is: later runs sort later.
            let name = self.client.query("SELECT toString(generateUUIDv7())").fetch_one().await;
            let run: String = name.map_err(journal_error())?;
            let mut row = RunRow {
                run: run.clone(),
                state: State::Claimed.as_str().to_owned(),
                request: request.to_owned(),
                price_book: price_book.to_owned(),
                lease_ms: u32::try_from(lease.as_millis()).unwrap_or(u32::MAX),
                step: 1,
            };
            let claimed_at = Instant::now();
            self.write(&row).await?;
            let Some(other) = self.others(&run).await?.into_iter().find(|other| other.is_alive) else {
                State::Writing.as_str().clone_into(&mut row.state);
                row.step += 1;
                self.write(&row).await?;
                return Ok(Lease::begin(self.clone(), row, claimed_at));
            };
            State::Withdrawn.as_str().clone_into(&mut row.state);
            row.step += 1;
            self.write(&row).await?;
            self.wait_for_death_of(other).await?;
        }
    }

    /// Notes that all of a run is written and marked.
    pub(super) async fn finish(&self, run: &str) -> Result<(), RepriceError> {
        const LAST: &str = "SELECT ?fields FROM reprice_runs FINAL WHERE run = {run:String}";
        let last = self.client.query(LAST).param("run", run).fetch_one::<RunRow>().await;
        let last = last.map_err(journal_error())?;
        self.write(&RunRow { state: State::Done.as_str().to_owned(), step: last.step + 1, ..last }).await
    }

    /// Returns when `other` has run out of its lease; an error if it gives a sign of life, or ends, before that.
    async fn wait_for_death_of(&self, other: OtherRow) -> Result<(), RepriceError> {
        tracing::info!(run = other.run, "another reprice was at work: waiting to see whether it is");
        loop {
            sleep(LOOK_INTERVAL).await;
            let others = self.others("").await?;
            match others.into_iter().find(|now| now.run == other.run) {
                Some(now) if now.step != other.step => return Err(RepriceError::Busy { run: other.run }),
                Some(now) if now.is_alive => {}
                Some(_) => return Ok(()),
                None => return Err(RepriceError::Busy { run: other.run }),
            }
        }
    }

    /// The runs but `run` that are not at their end.
    async fn others(&self, run: &str) -> Result<Vec<OtherRow>, RepriceError> {
        const OTHERS: &str = "SELECT run, state, step, state != 'stopped' \
                AND now64(3) < seen_at + toIntervalMillisecond(lease_ms) AS is_alive \
            FROM reprice_runs FINAL WHERE state IN ('claimed', 'writing', 'stopped') AND run != {run:String} \
            ORDER BY run";
        let others = self.client.query(OTHERS).param("run", run).fetch_all().await;
        others.map_err(journal_error())
    }

    async fn write(&self, row: &RunRow) -> Result<(), RepriceError> {
        let write = async {
            let mut insert = self.client.insert::<RunRow>("reprice_runs").await?;
            insert.write(row).await?;
            insert.end().await
        };
        write.await.map_err(journal_error())
    }
}

impl Lease {
    fn begin(journal: Journal, row: RunRow, seen_at: Instant) -> Self {
        let (stop, stopped) = watch::channel(false);
        let lease = Duration::from_millis(row.lease_ms.into());
        let pulse = Pulse { seen_at: Arc::new(Mutex::new(seen_at)), silence_max: lease * 2 / 3 };
        let run = row.run.clone();
        let beats = tokio::spawn(beat(journal.clone(), row, pulse.clone(), stopped));
        Self { run, stop, beats, pulse, journal }
    }

    /// The run that holds it.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// Whether this run may go on. To be asked before every step that another run must not take too.
    pub(super) fn check(&self) -> Result<(), RepriceError> {
        // Looked at here too, and not only by the task that gives the signs: a process that was frozen goes on with
        // any of its tasks first.
        if self.pulse.left().is_zero() { Err(RepriceError::LeaseLost) } else { Ok(()) }
    }

    /// Gives the claim back. A run that is not `done` is finished by the next one.
    pub(super) async fn end(self, done: bool) -> Result<(), RepriceError> {
        // Nobody listens only if the task has ended.
        let _ = self.stop.send(true);
        let Ok(row) = self.beats.await else {
            return Err(RepriceError::LeaseLost);
        };
        let state = if done { State::Done } else { State::Stopped };
        self.journal.write(&RunRow { state: state.as_str().to_owned(), step: row.step + 1, ..row }).await
    }
}

impl Pulse {
    /// For how long silence does no harm from now on.
    fn left(&self) -> Duration {
        self.silence_max.saturating_sub(self.seen_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed())
    }

    fn beat(&self, at: Instant) {
        *self.seen_at.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }
}

/// Gives signs of life until it is stopped, or has been silent for too long. Gives the last row it wrote, or tried to.
async fn beat(journal: Journal, mut row: RunRow, pulse: Pulse, mut stopped: watch::Receiver<bool>) -> RunRow {
    let interval = Duration::from_millis(row.lease_ms.into()) / 6;
    while !pulse.left().is_zero() {
        tokio::select! {
            () = sleep(interval) => {}
            // An error means that the lease was dropped.
            _ = stopped.wait_for(|stopped| *stopped) => return row,
        }
        row.step += 1;
        let begun_at = Instant::now();
        match tokio::time::timeout(pulse.left(), journal.write(&row)).await {
            Ok(Ok(())) => pulse.beat(begun_at),
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "no sign of life could be given"),
            Err(_) => {}
        }
    }
    row
}

fn journal_error() -> impl FnOnce(clickhouse::error::Error) -> RepriceError {
    RepriceError::clickhouse("journal of runs")
}
