//! From a delivery to committed rows: the one place where messages meet the pipeline and the sink.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use weir_event::Source;
use weir_service::telemetry::chain;

use super::dead_letters::{DeadLetterTopic, Refusal};
use super::delivery::{Delivery, Part};
use super::{ConsumeError, KafkaConfig, KafkaMetrics};
use crate::accept::ChunkLimits;
use crate::metrics::IngestMetrics;
use crate::pipeline::Pipeline;
use crate::redact::Tally;
use crate::sink::{Encoded, Pending, Sink, SinkError};

const SOURCE: &str = Source::Kafka.as_str();
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Where deliveries are committed. Clones lead to the same place.
#[derive(Clone)]
pub(crate) struct Intake {
    pipeline: Arc<Pipeline>,
    sink: Sink,
    metrics: IngestMetrics,
    kafka_metrics: KafkaMetrics,
    limits: ChunkLimits,
    dead_letters: Option<DeadLetterTopic>,
}

/// A part of a delivery that is on its way.
struct UnderWay {
    part: usize,
    refusals: Vec<Refusal>,
    pending: Pending,
}

/// A part of a delivery, ready to be written.
struct Prepared {
    batch: Encoded,
    received: u64,
    ignored: u64,
    redaction: Tally,
    refusals: Vec<Refusal>,
}

impl Intake {
    /// Deliveries of at most `limits` go through `pipeline` into `sink`.
    pub(crate) fn new(
        config: &KafkaConfig,
        limits: ChunkLimits,
        pipeline: Arc<Pipeline>,
        sink: Sink,
        (metrics, kafka_metrics): (IngestMetrics, KafkaMetrics),
    ) -> Result<Self, ConsumeError> {
        let dead_letters = DeadLetterTopic::of(config, kafka_metrics.clone())?;
        Ok(Self { pipeline, sink, metrics, kafka_metrics, limits, dead_letters })
    }

    pub(super) const fn limits(&self) -> ChunkLimits {
        self.limits
    }

    /// Whether deliveries have to keep the messages as they came.
    pub(super) const fn keeps_originals(&self) -> bool {
        self.dead_letters.is_some()
    }

    /// Returns when every message of the delivery is committed, and every dead letter of it produced where that is wanted.
    /// However long it takes: what cannot be stored now is tried again and never passed over.
    pub(super) async fn commit(self, delivery: Delivery) {
        let partition = delivery.partition.clone();
        let delivery = Arc::new(delivery);
        let mut left: Vec<usize> = (0..delivery.parts.len()).collect();
        let (mut wait, mut waiting) = (FIRST_WAIT, None);
        loop {
            let (still_left, error) = self.attempt(&delivery, &left).await;
            left = still_left;
            let Some(error) = error else { return };
            tracing::warn!(partition = %partition, error = chain(&error), "messages cannot be stored yet");
            waiting = waiting.or_else(|| self.kafka_metrics.waits(&partition));
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Tries every part of `left`. Gives those that are not committed, and why.
    async fn attempt(&self, delivery: &Arc<Delivery>, left: &[usize]) -> (Vec<usize>, Option<SinkError>) {
        let mut under_way = Vec::with_capacity(left.len());
        let mut failed = None;
        for &part in left {
            match self.submit(delivery, part).await {
                Ok(submitted) => under_way.push(submitted),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        // Those that were not reached are left over as well.
        let mut still_left = left[under_way.len()..].to_vec();
        for UnderWay { part, refusals, pending } in under_way {
            match pending.wait().await {
                Ok(_) => self.produce(delivery, refusals).await,
                Err(error) => {
                    still_left.push(part);
                    failed = Some(error);
                }
            }
        }
        (still_left, failed)
    }

    async fn submit(&self, delivery: &Arc<Delivery>, index: usize) -> Result<UnderWay, SinkError> {
        let making = self.sink.making();
        // Waited for here: threads that may block are shared, and deliveries may be many.
        let turn = self.pipeline.turn(delivery.parts[index].chunk.len_bytes()).await;
        let (pipeline, shared) = (Arc::clone(&self.pipeline), Arc::clone(delivery));
        let prepare = move || {
            let _turn = turn;
            Prepared::of(&shared.parts[index], &pipeline, shared.keeps_originals())
        };
        // It fails only when the process ends, or by a defect, which is told; in either case the part is still there.
        let prepared = tokio::task::spawn_blocking(prepare).await;
        let Prepared { batch, received, ignored, redaction, refusals } =
            prepared.map_err(|_| SinkError::Stopped)?;
        self.metrics.received(SOURCE, received);
        self.metrics.ignored(SOURCE, ignored);
        self.metrics.redacted(&redaction, self.pipeline.redactor().rules());
        Ok(UnderWay { part: index, refusals, pending: making.submit(batch).await? })
    }

    async fn produce(&self, delivery: &Delivery, refusals: Vec<Refusal>) {
        let Some(topic) = &self.dead_letters else { return };
        for refusal in refusals {
            if let Some(message) = delivery.original(refusal.position) {
                topic.produce(&delivery.partition, message, &refusal).await;
            }
        }
    }
}

impl Prepared {
    fn of(part: &Part, pipeline: &Pipeline, wants_refusals: bool) -> Self {
        let mut batch = match &part.refused {
            Some(error) => pipeline.refuse(&part.chunk, &part.origin, error),
            None => pipeline.prepare(&part.chunk, &part.origin),
        };
        batch.ignored += part.tombstones;
        let letters = batch.dead_letters.iter().filter(|_| wants_refusals);
        Self {
            received: part.chunk.records().count() as u64 + part.tombstones,
            ignored: batch.ignored,
            refusals: letters.map(Refusal::of).collect(),
            batch: Encoded::of(&batch),
            redaction: batch.redaction,
        }
    }
}
