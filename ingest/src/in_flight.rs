//! Answers over NATS how many records are on their way: `weir.ledger`, asked by the query API.

use async_nats::Client;
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;
use weir_event::Source;
use weir_event::bus::{InFlight, LEDGER_SUBJECT};
use weir_service::telemetry::chain;

use crate::metrics::IngestMetrics;

/// Answers until `stop`. Where NATS is away nobody asks: the client subscribes again when it is back.
pub(crate) async fn answer(bus: Client, metrics: IngestMetrics, stop: CancellationToken) {
    let answers = async {
        let mut questions = match bus.subscribe(LEDGER_SUBJECT).await {
            Ok(questions) => questions,
            Err(error) => {
                tracing::error!(error = chain(&error), "nobody can ask what is in flight");
                return;
            }
        };
        while let Some(question) = questions.next().await {
            let Some(inbox) = question.reply else { continue };
            let sources = Source::ALL.iter().map(|source| (*source, metrics.in_flight(source.as_str())));
            let answer = InFlight { sources: sources.filter(|(_, records)| *records > 0).collect() };
            let payload = serde_json::to_vec(&answer).expect("plain data always prints as JSON");
            // Whoever asked goes on without us.
            let _ = bus.publish(inbox, payload.into()).await;
        }
    };
    let _ended: Option<()> = stop.run_until_cancelled(answers).await;
    stop.cancelled().await;
}
