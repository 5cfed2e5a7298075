//! From `kill -9` of an aggregator to the moment when others hold its shards, and to that when the windows are whole.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::System;
use tokio::time::sleep;
use weir_event::bus::SHARDS;
use weir_local::Service;

use super::delays::Delays;
use super::load::push;
use super::windows::{Aggregators, scope};

const KILLS: u64 = 6;
const ACCOUNTS: u64 = 16;
const PAUSE: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_mins(1);
/// After a start: until shards are shared out, and everybody has looked at the leases of others for longer than these last.
const SETTLING: Duration = Duration::from_secs(8);

pub(crate) async fn measure() {
    let system = System::start().await;
    let aggregators = Aggregators::of(&system).await;
    let mut others = Vec::new();
    let mut pushed = 0;
    for processes in [2, 3] {
        others.push(system.another_aggregator(&format!("aggregator-{processes}")).await);
        let (mut held, mut whole) = (Delays::default(), Delays::default());
        for kill in 0..KILLS {
            sleep(SETTLING).await;
            let all: Vec<&Service> = [&system.weir.aggregator].into_iter().chain(&others).collect();
            let victim = all[usize::try_from(kill).unwrap() % all.len()];
            pushed += 1;
            let times = kill_one(&system, &aggregators, victim, pushed).await;
            held.push(times[0]);
            whole.push(times[1]);
            victim.restart(LIMIT).await.unwrap();
        }
        println!("kill -9 of one of {processes} aggregators:");
        println!("  until every shard is held: {}", held.told());
        println!("  until the windows are whole, with what was pushed meanwhile: {}", whole.told());
    }
}

/// The times until every shard is held, and until all windows are right. Each account gets an event after the kill, and has `pushed`
/// then.
async fn kill_one(
    system: &System,
    aggregators: &Aggregators,
    victim: &Service,
    pushed: u64,
) -> [Duration; 2] {
    let scopes: Vec<_> = (0..ACCOUNTS).map(|n| scope(&format!("account-{n}"), "gw")).collect();
    victim.kill_hard().unwrap();
    let begun = Instant::now();
    join_all((0..ACCOUNTS).map(async |n| push(system, &format!("account-{n}/gw"), 1).await)).await;
    let mut held = None;
    loop {
        let windows = aggregators.ask(&scopes[0]).await;
        if windows.shards == usize::from(SHARDS) {
            held.get_or_insert_with(|| begun.elapsed());
        }
        if windows.are_complete {
            let all = join_all(scopes.iter().map(|scope| aggregators.ask(scope))).await;
            if all.iter().all(|windows| windows.are_complete && windows.requests == pushed) {
                return [held.unwrap(), begun.elapsed()];
            }
        }
        assert!(begun.elapsed() < LIMIT, "{windows:?}");
        sleep(PAUSE).await;
    }
}
