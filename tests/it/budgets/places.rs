//! The place of an endpoint in the stream of alerts, in front of a real NATS.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{PullConsumer, pull};
use futures_util::StreamExt;
use harness::{eventually, jetstream};
use tempfile::TempDir;
use weir_aggregator::budgets::alert_stream;
use weir_aggregator::webhooks::consumer_config;
use weir_budget::ALERTS_PER_THRESHOLD_MAX;
use weir_local::{Installation, Nats, random_secret};

const LIMIT: Duration = Duration::from_mins(1);
/// For how long an alert is tried.
const TRIED_FOR: Duration = Duration::from_hours(24);

/// A server, in a folder that is gone after it.
async fn start_nats() -> ((Nats, TempDir), Context) {
    let dir = TempDir::new().unwrap();
    let installation = Installation::detect().unwrap();
    let nats = Nats::start(&installation, &dir.path().join("nats"), &random_secret().unwrap()).await.unwrap();
    let context = jetstream(&nats).await;
    ((nats, dir), context)
}

#[tokio::test]
async fn the_place_of_an_endpoint_that_nobody_delivers_to_is_forgotten() {
    let (_nats, context) = start_nats().await;
    let stream = alert_stream(&context).await.unwrap();

    // Of an earlier release, which did not say when: it is told with the next start.
    let before = pull::Config { inactive_threshold: Duration::ZERO, ..consumer_config("ops") };
    let _: PullConsumer = stream.create_consumer(before).await.unwrap();
    let mut kept: PullConsumer = stream.create_consumer(consumer_config("ops")).await.unwrap();
    let forgotten_after = kept.info().await.unwrap().config.inactive_threshold;
    assert!(forgotten_after > TRIED_FOR, "{forgotten_after:?}");

    // The same, if that were a second: who is asked for messages stays, and an alert that waits keeps nobody.
    let soon = |name| pull::Config { inactive_threshold: Duration::from_secs(1), ..consumer_config(name) };
    let used: PullConsumer = stream.create_consumer(soon("used")).await.unwrap();
    let _: PullConsumer = stream.create_consumer(soon("removed")).await.unwrap();
    let mut messages = used.messages().await.unwrap();
    tokio::spawn(async move { while messages.next().await.is_some() {} });
    context.publish("weir.alerts.x.50", "{}".into()).await.unwrap().await.unwrap();
    let names = async || {
        let mut names: Vec<_> = stream.consumer_names().map(Result::unwrap).collect().await;
        names.sort_unstable();
        names
    };
    eventually(LIMIT, vec!["webhook-ops".to_owned(), "webhook-used".to_owned()], names).await;
}

#[tokio::test]
async fn a_threshold_that_is_told_of_for_ever_takes_no_room_from_others() {
    let (_nats, context) = start_nats().await;
    let mut stream = alert_stream(&context).await.unwrap();
    let tell = async |subject: &'static str, text: String| {
        context.publish(subject, text.into()).await.unwrap().await.unwrap();
    };
    tell("weir.alerts.once.100", "once".to_owned()).await;
    for number in 0..10 {
        tell("weir.alerts.often.50", number.to_string()).await;
    }
    let kept = u64::try_from(ALERTS_PER_THRESHOLD_MAX).unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 1 + kept);
    // The last one says what was told.
    for (subject, expected) in [("weir.alerts.once.100", "once"), ("weir.alerts.often.50", "9")] {
        let last = stream.get_last_raw_message_by_subject(subject).await.unwrap();
        assert_eq!(last.payload, expected, "{subject}");
    }
}
