//! The streams of JetStream, and what waits in that of the spool.

use async_nats::ConnectOptions;
use async_nats::jetstream::{self, Context, stream};
use futures_util::TryStreamExt;
use weir_event::bus;
use weir_local::Nats;

/// A client of JetStream.
pub async fn jetstream(nats: &Nats) -> Context {
    jetstream::new(ConnectOptions::with_token(nats.token.clone()).connect(&nats.url).await.unwrap())
}

/// Makes the stream that usage and dirty minutes are told on, for tests without an aggregator, which makes it.
pub async fn create_usage_stream(nats: &Nats) {
    let usage = stream::Config {
        name: bus::USAGE_STREAM.to_owned(),
        subjects: vec![bus::USAGE_SUBJECTS.to_owned()],
        ..stream::Config::default()
    };
    jetstream(nats).await.get_or_create_stream(usage).await.unwrap();
}

/// How many records wait in the spool.
pub async fn spooled(nats: &Nats) -> u64 {
    let stream = jetstream(nats).await.get_stream(bus::SPOOL_STREAM).await.unwrap();
    let info = stream.info_with_subjects(bus::SPOOL_SUBJECTS).await.unwrap();
    let subjects: Vec<(String, usize)> = info.try_collect().await.unwrap();
    let counts = subjects.iter().map(|(subject, count)| (subject.as_str(), *count as u64));
    bus::spooled_records(counts).into_values().sum()
}
