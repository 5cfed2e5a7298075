//! From the acknowledgement of a push to the moment when its call is in the live windows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::System;
use tokio::time::sleep;
use weir_event::Scope;

use super::delays::Delays;
use super::load::{Load, push};
use super::windows::{Aggregators, requests_by_api, scope};

/// Events a second that come meanwhile.
const RATES: [u64; 3] = [0, 200, 2_000];
/// The most pushes that are followed at a rate, as far as there is time for them.
const PROBES: u64 = 300;
const TIME: Duration = Duration::from_secs(90);
/// The load's, and the probes', so that every probe is of a shard that the load is of too.
const ACCOUNTS: u64 = 16;
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(2);
const LIMIT: Duration = Duration::from_mins(1);
const WARM_UP: Duration = Duration::from_secs(3);

pub(crate) async fn measure() {
    let system = Arc::new(System::start().await);
    let aggregators = Aggregators::of(&system).await;
    let mut probed = 0;
    for rate in RATES {
        let load = Load::start(&system, rate, |turn| format!("account-{}/load", turn % ACCOUNTS));
        sleep(WARM_UP).await;
        let (mut pushing, mut by_nats, mut by_api) = Default::default();
        probe(&system, &aggregators, &mut probed, [&mut pushing, &mut by_nats, &mut by_api]).await;
        let (_, reached) = load.stop().await;
        println!("{rate} events/s wanted, {reached:.0} reached:");
        println!("  push to its ack: {}", pushing.told());
        println!("  ack to live windows, of the aggregator: {}", by_nats.told());
        println!("  ack to live windows, of query-api: {}", by_api.told());
    }
}

/// Pushes one event after another, and waits for each in both ways at once.
async fn probe(
    system: &System,
    aggregators: &Aggregators,
    probed: &mut u64,
    [pushing, by_nats, by_api]: [&mut Delays; 3],
) {
    let begun = Instant::now();
    for _ in 0..PROBES {
        if begun.elapsed() > TIME {
            break;
        }
        let account = format!("account-{}", *probed % ACCOUNTS);
        let expected = *probed / ACCOUNTS + 1;
        *probed += 1;
        let push = push(system, &format!("{account}/probe"), 1).await;
        pushing.push(push.acked - push.begun);
        let scope: &Scope = &scope(&account, "probe");
        let (nats, api) = tokio::join!(
            until(push.acked, expected, async || aggregators.ask(scope).await.requests),
            until(push.acked, expected, async || requests_by_api(system, scope).await),
        );
        by_nats.push(nats);
        by_api.push(api);
        // Not in step with whatever else comes by the clock.
        sleep(Duration::from_millis(fastrand::u64(5..50))).await;
    }
}

/// How long after `acked` there are as many requests as expected.
async fn until(acked: Instant, expected: u64, requests: impl AsyncFn() -> u64) -> Duration {
    loop {
        let found = requests().await;
        if found == expected {
            return acked.elapsed();
        }
        assert!(found < expected && acked.elapsed() < LIMIT, "{found} requests instead of {expected}");
        sleep(PAUSE).await;
    }
}
