//! Several aggregators: every shard is held by one of them, whoever comes, stops, dies or freezes, and together they have every
//! window as it is to be.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use harness::eventually;
use weir_event::bus::{self, LiveSnapshot, SHARDS, UsageEntry};

use super::world::{Aggregator, LIMIT, World, entries, scope};
use super::{GATEWAYS, check_rollups, expected};

const HELD: &str = "weir_aggregator_shards_held";
const TAKEN_OVER: &str = "weir_aggregator_leases_taken_over_total";

/// Waits until each holds so many shards.
async fn wait_for_shards(aggregators: &[&Aggregator], expected: &[u64]) {
    let held = async || {
        let mut held = Vec::new();
        for aggregator in aggregators {
            held.push(aggregator.metric(HELD).await);
        }
        held.sort_unstable();
        held
    };
    eventually(LIMIT, expected.to_vec(), held).await;
}

/// Waits until all shards together say what `all` add up to.
async fn wait_for_windows(world: &World, all: &[UsageEntry]) {
    let as_expected = async || {
        for gateway in GATEWAYS {
            let Some(live) = whole(world.live_of_all(&scope(gateway)).await) else { return false };
            if live != expected::snapshot(all, &scope(gateway), live.as_of) {
                return false;
            }
        }
        true
    };
    eventually(LIMIT, true, as_expected).await;
}

/// The answers put together, if every shard is in one of them.
fn whole(answers: Vec<LiveSnapshot>) -> Option<LiveSnapshot> {
    let shards: Vec<u16> = answers.iter().flat_map(|answer| answer.shards.clone()).collect();
    let distinct: BTreeSet<u16> = shards.iter().copied().collect();
    let is_whole = distinct.len() == usize::from(SHARDS) && shards.len() == distinct.len();
    LiveSnapshot::merge(answers).filter(|_| is_whole)
}

/// Delivers 20 times 10 events, each ten in messages of their own, and gives them all.
async fn deliver_in_parts(world: &World) -> Vec<UsageEntry> {
    let mut all = Vec::new();
    for part in 0..20 {
        let entries = entries(part * 10, 10, world.now_ms().await);
        world.deliver(&entries).await;
        all.extend(entries);
    }
    all
}

#[tokio::test]
async fn aggregators_share_the_shards_and_have_every_window_between_them() {
    let world = World::start(&[]).await;
    let mut all = entries(0, 200, world.now_ms().await);
    world.deliver(&all).await;
    wait_for_shards(&[&world.first], &[16]).await;
    let second = world.another("second", &[]).await;
    wait_for_shards(&[&world.first, &second], &[8, 8]).await;
    let more = entries(1_000, 100, world.now_ms().await);
    world.deliver(&more).await;
    all.extend(more);
    wait_for_windows(&world, &all).await;

    let third = world.another("third", &[]).await;
    wait_for_shards(&[&world.first, &second, &third], &[4, 6, 6]).await;
    wait_for_windows(&world, &all).await;
    check_rollups(&world, &all).await;

    // Who is stopped gives its shards back, and nobody has to wait for them to run out.
    let taken_over = world.first.metric(TAKEN_OVER).await + second.metric(TAKEN_OVER).await;
    assert_eq!(third.service.stop(LIMIT).await.unwrap().code(), Some(0), "{}", third.service.log_tail());
    wait_for_shards(&[&world.first, &second], &[8, 8]).await;
    assert_eq!(world.first.metric(TAKEN_OVER).await + second.metric(TAKEN_OVER).await, taken_over);
    wait_for_windows(&world, &all).await;
    check_rollups(&world, &all).await;
}

#[tokio::test]
async fn aggregators_take_over_from_one_that_is_killed() {
    let world = World::start(&[]).await;
    let second = world.another("second", &[]).await;
    let third = world.another("third", &[]).await;
    wait_for_shards(&[&world.first, &second, &third], &[4, 6, 6]).await;
    let mut all = entries(0, 200, world.now_ms().await);
    world.deliver(&all).await;
    wait_for_windows(&world, &all).await;

    for (victim, others, parts) in
        [(&third, [&world.first, &second].as_slice(), [8, 8].as_slice()), (&second, &[&world.first], &[16])]
    {
        victim.service.kill_hard().unwrap();
        let first_seed = u32::try_from(all.len()).unwrap() + 1_000;
        let more = entries(first_seed, 150, world.now_ms().await);
        world.deliver(&more).await;
        all.extend(more);
        wait_for_shards(others, parts).await;
        wait_for_windows(&world, &all).await;
        check_rollups(&world, &all).await;
    }
    assert!(world.first.metric(TAKEN_OVER).await > 0);
}

#[tokio::test]
async fn what_one_that_is_killed_had_is_taken_over_after_one_timeout() {
    let timeout = Duration::from_secs(12);
    let args = ["--aggregator-lease-timeout", "12s"];
    let world = World::start(&args).await;
    let second = world.another("second", &args).await;
    wait_for_shards(&[&world.first, &second], &[8, 8]).await;
    // Whoever has its part by now has looked at no lease for want of shards.
    tokio::time::sleep(timeout / 4).await;
    second.service.kill_hard().unwrap();
    let begun = std::time::Instant::now();
    wait_for_shards(&[&world.first], &[16]).await;
    // Who watches only from the moment that it may take more needs five thirds of it at least.
    assert!(begun.elapsed() < timeout * 3 / 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_aggregator_that_was_frozen_has_lost_its_shards_when_it_wakes_up() {
    let world = World::start(&[]).await;
    // It keeps what it has for itself for long: so it wakes up with what is not written and not acknowledged.
    let second =
        world.another("second", &["--aggregator-flush-interval", "20s", "--aggregator-ack-wait", "1m"]).await;
    wait_for_shards(&[&world.first, &second], &[8, 8]).await;
    let mut all = entries(0, 300, world.now_ms().await);
    world.deliver(&all).await;
    wait_for_windows(&world, &all).await;
    let names = async || world.consumers().await.into_iter().map(|info| info.name).collect::<BTreeSet<_>>();
    let before = names().await;

    second.service.suspend().unwrap();
    wait_for_shards(&[&world.first], &[16]).await;
    let more = entries(1_000, 200, world.now_ms().await);
    world.deliver(&more).await;
    all.extend(more);
    wait_for_windows(&world, &all).await;
    check_rollups(&world, &all).await;
    let after = names().await;
    assert_eq!(after.intersection(&before).count(), 8, "the consumers of the frozen one are gone: {after:?}");

    // From the moment that it goes on: no shard is answered for twice, and what it says is right.
    second.service.resume().unwrap();
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(6) {
        let answers = world.answers(&scope(GATEWAYS[0]), (usize::MAX, Duration::from_millis(100))).await;
        let shards: Vec<u16> = answers.iter().flat_map(|answer| answer.shards.clone()).collect();
        let distinct: BTreeSet<u16> = shards.iter().copied().collect();
        assert_eq!(shards.len(), distinct.len(), "{shards:?}");
        if let Some(live) = whole(answers).filter(|live| live.complete) {
            assert_eq!(live, expected::snapshot(&all, &scope(GATEWAYS[0]), live.as_of));
        }
    }
    assert!(second.metric("weir_aggregator_leases_lost_total").await >= 8);
    wait_for_shards(&[&world.first, &second], &[8, 8]).await;
    wait_for_windows(&world, &all).await;
}

#[tokio::test]
async fn the_one_consumer_of_before_is_taken_over_by_those_of_the_shards() {
    let world = World::start(&[]).await;
    let mut all = entries(0, 100, world.now_ms().await);
    world.deliver(&all).await;
    check_rollups(&world, &all).await;
    assert_eq!(world.first.service.stop(LIMIT).await.unwrap().code(), Some(0));
    // As an aggregator without shards left it: no leases, and one consumer that has acknowledged nothing of what comes.
    let stream = world.jetstream.get_stream(bus::USAGE_STREAM).await.unwrap();
    for info in world.consumers().await {
        stream.delete_consumer(&info.name).await.unwrap();
    }
    world.jetstream.delete_key_value("weir_leases").await.unwrap();
    let config = pull::Config {
        durable_name: Some("aggregator".to_owned()),
        ack_policy: AckPolicy::Explicit,
        ..pull::Config::default()
    };
    stream.create_consumer(config).await.unwrap();
    let more = entries(1_000, 100, world.now_ms().await);
    world.deliver(&more).await;
    all.extend(more);
    world.restart().await;
    wait_for_windows(&world, &all).await;
    check_rollups(&world, &all).await;
    let is_there = async || stream.consumer_info("aggregator").await.is_ok();
    eventually(LIMIT, false, is_there).await;
}

#[tokio::test]
async fn shards_are_given_back_although_clickhouse_is_away() {
    let world = World::start(&[]).await;
    let second = world.another("second", &[]).await;
    wait_for_shards(&[&world.first, &second], &[8, 8]).await;
    let mut all = entries(0, 100, world.now_ms().await);
    world.deliver(&all).await;
    wait_for_windows(&world, &all).await;
    let more = entries(1_000, 100, world.now_ms().await);
    world.commit(&more).await;
    world.clickhouse.service.kill_hard().unwrap();
    // What it cannot write, and so does not acknowledge.
    world.publish(&more).await;
    all.extend(more);
    let taken_over = world.first.metric(TAKEN_OVER).await;
    assert_eq!(second.service.stop(LIMIT).await.unwrap().code(), Some(0), "{}", second.service.log_tail());
    wait_for_shards(&[&world.first], &[16]).await;
    assert_eq!(world.first.metric(TAKEN_OVER).await, taken_over, "they were free");
    world.clickhouse.service.restart(LIMIT).await.unwrap();
    wait_for_windows(&world, &all).await;
    check_rollups(&world, &all).await;
}

#[tokio::test]
async fn a_shard_begins_where_the_furthest_of_those_before_was_acknowledged() {
    let world = World::start(&[]).await;
    let mut all = deliver_in_parts(&world).await;
    check_rollups(&world, &all).await;
    assert_eq!(world.first.service.stop(LIMIT).await.unwrap().code(), Some(0));
    let mut stream = world.jetstream.get_stream(bus::USAGE_STREAM).await.unwrap();
    for info in world.consumers().await {
        stream.delete_consumer(&info.name).await.unwrap();
    }
    // No word is left, but of each shard a consumer that was at the end, and others that were not.
    world.jetstream.delete_key_value("weir_leases").await.unwrap();
    let last = stream.info().await.unwrap().state.last_sequence;
    for shard in 0..SHARDS {
        for (epoch, start_sequence) in [(0, 1), (1_000_000, last + 1), (1_000_001, last / 2)] {
            let config = pull::Config {
                durable_name: Some(format!("aggregator-{shard}-{epoch}")),
                deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
                filter_subjects: vec![bus::usage_subject(shard), bus::DIRTY_SUBJECT.to_owned()],
                ..pull::Config::default()
            };
            stream.create_consumer(config).await.unwrap();
        }
    }
    let more = entries(1_000, 10, world.now_ms().await);
    world.deliver(&more).await;
    all.extend(more);
    world.restart().await;
    wait_for_windows(&world, &all).await;
    let taken = world.metric("weir_aggregator_messages_total").await;
    assert!(taken < last / 2, "{taken} messages, and {last} were there before");
    let earlier = async || world.consumers().await.iter().any(|info| info.name.ends_with("-0"));
    eventually(LIMIT, false, earlier).await;
}

#[tokio::test]
async fn what_is_acknowledged_does_not_come_again_when_the_leases_are_lost() {
    let world = World::start(&[]).await;
    // So that the epochs of its consumers are beyond those that leases begin with.
    world.restart().await;
    let mut all = deliver_in_parts(&world).await;
    check_rollups(&world, &all).await;
    assert_eq!(world.first.service.stop(LIMIT).await.unwrap().code(), Some(0));
    world.jetstream.delete_key_value("weir_leases").await.unwrap();
    world.restart().await;
    let mut stream = world.jetstream.get_stream(bus::USAGE_STREAM).await.unwrap();
    let before = stream.info().await.unwrap().state.messages;
    let more = entries(1_000, 10, world.now_ms().await);
    world.deliver(&more).await;
    all.extend(more);
    // The consumers of before stay until the server lets go of them: that all is acknowledged cannot be waited for.
    wait_for_windows(&world, &all).await;
    let taken = world.metric("weir_aggregator_messages_total").await;
    assert!(taken < before, "{taken} messages, and {before} were there before");
}
