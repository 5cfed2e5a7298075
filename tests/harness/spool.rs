//! What waits in the spool, as JetStream tells it.

use async_nats::ConnectOptions;
use async_nats::jetstream::{self, Context};
use futures_util::TryStreamExt;
use weir_event::bus;
use weir_local::Nats;

/// A client of JetStream.
pub async fn jetstream(nats: &Nats) -> Context {
    jetstream::new(ConnectOptions::with_token(nats.token.clone()).connect(&nats.url).await.unwrap())
}

/// How many records wait in the spool.
pub async fn spooled(nats: &Nats) -> u64 {
    let stream = jetstream(nats).await.get_stream(bus::SPOOL_STREAM).await.unwrap();
    let info = stream.info_with_subjects(bus::SPOOL_SUBJECTS).await.unwrap();
    let subjects: Vec<(String, usize)> = info.try_collect().await.unwrap();
    let counts = subjects.iter().map(|(subject, count)| (subject.as_str(), *count as u64));
    bus::spooled_records(counts).into_values().sum()
}
