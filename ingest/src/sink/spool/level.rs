//! How full the spool is, and whether it takes anything: for metrics, and for those who ask whether to send work here.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::connection::State;
use async_nats::jetstream::{self, Context};
use futures_util::TryStreamExt;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use weir_event::bus;
use weir_service::readiness::ReadinessCheck;
use weir_service::telemetry::chain;

use super::put::ANSWER_TIMEOUT;
use super::stranded::Stranded;
use super::{Delays, Spool, SpoolError, Spooler, stream};
use crate::metrics::{DrainTrouble, IngestMetrics};

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// For how long a batch that was refused speaks against the spool.
const REFUSAL_COUNTS: Duration = Duration::from_secs(10);
/// From here on it counts as full.
const FULL_PERCENT: u64 = 95;

/// Whether the spool takes batches, as far as is known.
#[derive(Clone, Debug)]
pub(super) struct Health {
    check: Option<ReadinessCheck>,
    refused_at: Arc<Mutex<Option<Instant>>>,
}

/// Looks at the spool every now and then.
#[derive(Debug)]
pub struct SpoolLevel {
    client: Client,
    context: Context,
    /// 0 for no spool: then what is left of an earlier one is looked at.
    bytes_max: i64,
    health: Health,
    stranded: Stranded,
    delays: Delays,
    metrics: IngestMetrics,
}

impl SpoolLevel {
    /// Looks at a spool of at most `bytes_max` bytes and says by `check` whether it takes batches; `None` for no spool,
    /// where one from before may still be drained. What waits in it is known to the one who drains, by `delays`.
    #[must_use]
    pub fn new(
        client: Client,
        bytes_max: u64,
        check: Option<ReadinessCheck>,
        delays: Delays,
        metrics: IngestMetrics,
    ) -> Self {
        let mut context = jetstream::new(client.clone());
        context.set_timeout(ANSWER_TIMEOUT);
        let bytes_max = i64::try_from(bytes_max).unwrap_or(i64::MAX);
        metrics.spool_bytes_max(bytes_max);
        let health = Health { check, refused_at: Arc::default() };
        Self { client, context, bytes_max, health, stranded: Stranded::default(), delays, metrics }
    }

    /// The spool that is looked at; `None` where there is to be none.
    #[must_use]
    pub fn spool(&self) -> Option<(Spool, Spooler)> {
        (self.bytes_max > 0).then(|| Spool::new(self.client.clone(), self.bytes_max, self.health.clone()))
    }

    /// Looks until `hard_stop`.
    pub async fn watch(mut self, hard_stop: CancellationToken) -> Result<(), Infallible> {
        loop {
            match self.look().await {
                Ok(()) => {}
                Err(error) => self.health.fail(&chain(&error)),
            }
            tokio::select! {
                () = sleep(INTERVAL) => {}
                () = hard_stop.cancelled() => return Ok(()),
            }
        }
    }

    async fn look(&mut self) -> Result<(), SpoolError> {
        if self.client.connection_state() != State::Connected {
            return Err(SpoolError::Away);
        }
        let stream = if self.bytes_max > 0 {
            Some(stream::stream(&self.context, self.bytes_max).await?)
        } else {
            stream::find(&self.context).await?
        };
        let Some(stream) = stream else {
            self.metrics.spool_level(0, 0, std::iter::empty());
            return Ok(());
        };
        let by_subject = stream.info_with_subjects(bus::SPOOL_SUBJECTS).await.map_err(SpoolError::Info)?;
        let state = by_subject.info.state.clone();
        let subjects: Vec<(String, usize)> = by_subject.map_err(SpoolError::Info).try_collect().await?;
        let counts = subjects.iter().map(|(subject, messages)| (subject.as_str(), *messages as u64));
        let records = bus::spooled_records(counts);
        let by_source = records.into_iter().map(|(source, records)| (source.as_str(), records));
        self.metrics.spool_level(state.messages, state.bytes, by_source);
        let bytes_max = self.bytes_max.unsigned_abs();
        if state.bytes >= bytes_max / 100 * FULL_PERCENT {
            self.health.fail("it is full");
        } else {
            self.health.pass();
        }
        let server_id = self.client.server_info().server_id;
        let are_delayed = self.delays.are_there(Instant::now());
        match self.stranded.look(&stream, &state, &server_id, are_delayed).await {
            Ok(false) => {}
            Ok(true) => self.metrics.drain_trouble(DrainTrouble::Stranded),
            // That is no reason to take nothing.
            Err(error) => tracing::warn!(error = chain(&error), "the spool's consumer cannot be looked at"),
        }
        Ok(())
    }
}

impl Health {
    pub(super) fn took(&self) {
        *self.refused_at.lock().expect("nobody panics while holding it") = None;
    }

    pub(super) fn refused(&self, error: &SpoolError) {
        // That is the batch's fault.
        if !matches!(error, SpoolError::RowTooLarge { .. }) {
            *self.refused_at.lock().expect("nobody panics while holding it") = Some(Instant::now());
            self.fail(&chain(error));
        }
    }

    fn pass(&self) {
        let refused_at = *self.refused_at.lock().expect("nobody panics while holding it");
        if let Some(check) = &self.check
            && refused_at.is_none_or(|at| at.elapsed() > REFUSAL_COUNTS)
        {
            check.pass();
        }
    }

    fn fail(&self, reason: &str) {
        if let Some(check) = &self.check {
            check.fail(reason);
        }
    }
}
