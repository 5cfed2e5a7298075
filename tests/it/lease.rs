//! Leases in front of a real NATS: one holder at a time, whoever dies, freezes or is cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};
use weir_aggregator::lease::{BUCKET, Lease, Leases, Standing};
use weir_aggregator::metrics::AggregatorMetrics;
use weir_local::{Installation, Nats, random_secret};
use weir_service::metrics::Metrics;

/// Longer than a machine with other work hesitates, shorter than a test may last.
const LEASE: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_mins(1);

struct World {
    nats: Nats,
    _dir: TempDir,
}

impl World {
    async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let installation = Installation::detect().unwrap();
        let secret = random_secret().unwrap();
        let nats = Nats::start(&installation, &dir.path().join("nats"), &secret).await.unwrap();
        Self { nats, _dir: dir }
    }

    /// The leases of a process of this name, over a connection of its own.
    async fn leases(&self, holder: &str) -> Leases {
        leases_at(&self.nats.url, &self.nats.token, holder).await
    }
}

async fn leases_at(url: &str, token: &str, holder: &str) -> Leases {
    let client = ConnectOptions::with_token(token.to_owned()).connect(url).await.unwrap();
    let metrics = AggregatorMetrics::register(&mut Metrics::new("aggregator", "0"));
    Leases::new(jetstream::new(client), holder.to_owned(), LEASE, metrics)
}

async fn wait_for(leases: &Leases, name: &str) -> Lease {
    timeout(LIMIT, leases.wait_for(name)).await.expect("the lease can be had in time")
}

#[tokio::test]
async fn a_lease_has_one_holder_for_as_long_as_it_is_renewed() {
    let world = World::start().await;
    let (one, other) = (world.leases("one").await, world.leases("other").await);
    assert_eq!(other.look("a").await.unwrap(), Standing::Free);
    let lease = one.take("a").await.unwrap().expect("nobody has it");
    assert_eq!((lease.previous_epoch(), lease.left_word()), (None, ""));
    assert!(one.take("a").await.unwrap().is_none(), "it is ours already");
    assert_eq!(one.look("a").await.unwrap(), Standing::Ours);
    let begun = Instant::now();
    while begun.elapsed() < LEASE * 3 {
        assert!(other.take("a").await.unwrap().is_none(), "after {:?}", begun.elapsed());
        assert!(lease.holding().is_held(), "after {:?}", begun.elapsed());
        sleep(LEASE / 20).await;
    }
    assert_eq!(other.look("a").await.unwrap(), Standing::Others);
    assert!(other.take("b").await.unwrap().is_some(), "another name is another lease");
}

#[tokio::test]
async fn a_lease_that_is_given_back_is_had_at_once_and_its_word_is_kept() {
    let world = World::start().await;
    let (one, other) = (world.leases("one").await, world.leases("other").await);
    let lease = one.take("a").await.unwrap().unwrap();
    let (holding, epoch) = (lease.holding(), lease.holding().epoch());
    lease.leave_word("up to here".to_owned());
    lease.give_back().await;
    assert!(!holding.is_held());
    timeout(LIMIT, holding.lost()).await.unwrap();
    let next = other.take("a").await.unwrap().expect("it is free, without any wait");
    assert!(next.holding().epoch() > epoch);
    assert_eq!((next.previous_epoch(), next.left_word()), (Some(epoch), "up to here"));
    assert!(next.holding().is_held() && !holding.is_held());
}

#[tokio::test]
async fn a_lease_of_a_holder_that_is_gone_is_taken_over_after_the_timeout_and_not_before() {
    let world = World::start().await;
    let (one, other) = (world.leases("one").await, world.leases("other").await);
    let lease = one.take("a").await.unwrap().unwrap();
    let epoch = lease.holding().epoch();
    let begun = Instant::now();
    // As a process that is killed: nothing is said, and nothing is renewed.
    drop(lease);
    let next = wait_for(&other, "a").await;
    assert!(begun.elapsed() >= LEASE, "{:?}", begun.elapsed());
    assert!(next.holding().epoch() > epoch);
    assert_eq!(next.previous_epoch(), Some(epoch));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_was_frozen_finds_that_it_holds_nothing_before_it_does_anything() {
    let world = World::start().await;
    let (url, token) = (world.nats.url.clone(), world.nats.token.clone());
    let (tell, told) = std::sync::mpsc::channel();
    // A runtime of one thread, which stands still as a process does that is stopped.
    let frozen = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let leases = leases_at(&url, &token, "frozen").await;
            let lease = leases.take("a").await.unwrap().unwrap();
            let holding = lease.holding();
            assert!(holding.is_held());
            tell.send(holding.epoch()).unwrap();
            std::thread::sleep(LEASE * 3);
            let was_held = holding.is_held();
            // Then everything goes on that was to be done meanwhile: a renewal among it.
            let lost = timeout(LIMIT, holding.lost()).await.is_ok();
            sleep(LEASE).await;
            (was_held, lost, holding.is_held(), leases.take("a").await.unwrap().is_some())
        })
    });
    let epoch = told.recv().unwrap();
    let other = world.leases("other").await;
    let next = wait_for(&other, "a").await;
    assert!(next.holding().epoch() > epoch);
    assert_eq!(frozen.join().unwrap(), (false, true, false, false));
    assert!(next.holding().is_held(), "the one that woke up took nothing away");
}

#[tokio::test]
async fn a_lease_is_lost_while_nats_is_away_and_had_again_by_whoever_had_it_last() {
    let world = World::start().await;
    let one = world.leases("one").await;
    let lease = one.take("a").await.unwrap().unwrap();
    let holding = lease.holding();
    world.nats.service.kill_hard().unwrap();
    timeout(LIMIT, holding.lost()).await.unwrap();
    assert!(!holding.is_held());
    world.nats.service.restart(LIMIT).await.unwrap();
    let again = wait_for(&one, "a").await;
    assert_eq!(again.previous_epoch(), Some(holding.epoch()), "nobody had it in between");
}

#[tokio::test]
async fn a_bucket_that_is_gone_costs_the_lease_and_is_made_anew() {
    let world = World::start().await;
    let one = world.leases("one").await;
    let lease = one.take("a").await.unwrap().unwrap();
    let bus = harness::jetstream(&world.nats).await;
    bus.delete_key_value(BUCKET).await.unwrap();
    timeout(LIMIT, lease.holding().lost()).await.unwrap();
    assert!(wait_for(&one, "a").await.holding().is_held());
}

/// Holders that crash and give back at random never overlap: each finds that nobody else believes to hold the lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_want_a_lease_one_has_it_at_a_time() {
    const HOLDERS: u64 = 4;
    const TIMES: u64 = 4;
    let world = World::start().await;
    let latest = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for number in 0..HOLDERS {
        let (leases, latest) = (world.leases(&format!("holder-{number}")).await, Arc::clone(&latest));
        let mut rng = fastrand::Rng::with_seed(number);
        tasks.push(tokio::spawn(async move {
            for _ in 0..TIMES {
                let lease = wait_for(&leases, "a").await;
                let holding = lease.holding();
                assert!(latest.fetch_max(holding.epoch(), Ordering::SeqCst) < holding.epoch());
                sleep(Duration::from_millis(rng.u64(..200))).await;
                // Whoever has a later epoch had to wait until this one is lost.
                let is_last = latest.load(Ordering::SeqCst) == holding.epoch();
                assert!(is_last || !holding.is_held());
                if rng.bool() {
                    lease.give_back().await;
                }
            }
        }));
    }
    for task in tasks {
        timeout(LIMIT * 3, task).await.unwrap().unwrap();
    }
}
