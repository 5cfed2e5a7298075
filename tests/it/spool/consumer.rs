//! The consumer that the spool is drained through, which bears the starts of NATS that it was made in: whoever writes it may
//! undo what another process has noted there.

use async_nats::jetstream::consumer::{Config, pull};
use async_nats::{ConnectOptions, Subscriber};
use futures_util::{FutureExt, StreamExt};
use harness::{System, eventually, jetstream};
use weir_event::bus::{SPOOL_CONSUMER, SPOOL_STREAM};
use weir_local::Weir;

use super::{LIMIT, drained, push_spooled, records, restart, restart_clickhouse, start, stop_clickhouse};

async fn found(system: &System) -> Option<Config> {
    let stream = jetstream(&system.weir.nats).await.get_stream(SPOOL_STREAM).await.ok()?;
    Some(stream.consumer_info(SPOOL_CONSUMER).await.ok()?.config)
}

/// What asks NATS to make or change a consumer of the spool, from here on.
async fn writes(system: &System) -> Subscriber {
    let nats = &system.weir.nats;
    let client = ConnectOptions::with_token(nats.token.clone()).connect(&nats.url).await.unwrap();
    let requests = client.subscribe(format!("$JS.API.CONSUMER.CREATE.{SPOOL_STREAM}.>")).await.unwrap();
    client.flush().await.unwrap();
    requests
}

/// Starts `ingest` anew, and waits until it has drained something.
async fn drain_anew(system: &System, numbers: std::ops::Range<u64>) {
    let ingest = &system.weir.ingest;
    assert!(ingest.stop(Weir::STOP_LIMIT).await.unwrap().success());
    restart(ingest).await;
    stop_clickhouse(system).await;
    push_spooled(system, &records(numbers)).await;
    restart_clickhouse(system).await;
    drained(system).await;
}

#[tokio::test]
async fn a_consumer_is_written_only_where_it_has_other_settings() {
    let system = start().await;
    eventually(LIMIT, true, async || found(&system).await.is_some()).await;
    let made = found(&system).await.unwrap();
    let mut writes = writes(&system).await;
    drain_anew(&system, 0..2).await;
    assert!(writes.next().now_or_never().is_none(), "it was as it is to be");

    let stream = jetstream(&system.weir.nats).await.get_stream(SPOOL_STREAM).await.unwrap();
    let older = pull::Config {
        durable_name: Some(SPOOL_CONSUMER.to_owned()),
        max_ack_pending: 7,
        metadata: made.metadata.clone(),
        ..pull::Config::default()
    };
    stream.update_consumer(older).await.unwrap();
    assert!(writes.next().await.is_some(), "that was a write");
    drain_anew(&system, 2..4).await;
    let updated = found(&system).await.unwrap();
    assert_eq!((updated.max_ack_pending, updated.ack_wait), (made.max_ack_pending, made.ack_wait));
    let starts = |config: &Config| config.metadata.get("weir_made_in").cloned();
    assert!(starts(&made).is_some() && starts(&updated) == starts(&made), "{:?}", updated.metadata);
}
