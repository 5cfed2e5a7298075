//! Removals whose process is killed between two steps.

use harness::traffic::now_ms;
use harness::{System, eventually};
use serde_json::json;
use weir_local::Weir;

use super::{
    DAY_MS, EAGER, LIMIT, ask, count, expect_figures, expect_told, grow_old, ledger, lines, removed,
    start_with,
};
use crate::outage::proxy::Proxy;

/// In each gateway.
const LOGS: u64 = 30;
const REMOVED: u64 = 12;

/// Statements that a process is killed at: all before them are done, and this one is never heard of.
const CUTS: [(&str, &[&str]); 4] = [
    ("enter", &["INTO+ledger"]),
    ("bodies", &["DELETE FROM bodies"]),
    ("rows", &["DELETE FROM logs"]),
    ("young", &["DELETE FROM logs"]),
];

async fn seed(system: &System, gateway: &str) -> i64 {
    let at = now_ms() - 3 * DAY_MS;
    let batch = lines(0..LOGS, |number| at + i64::try_from(number).unwrap() * 130_000);
    assert_eq!(system.push_to(&format!("acc/{gateway}"), &batch).await.json()["stored"], LOGS);
    at + i64::try_from(REMOVED).unwrap() * 130_000
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_is_killed_between_two_steps_is_brought_to_its_end_and_counted_once() {
    let system = start_with(&[]).await;
    let mut befores = Vec::new();
    for (name, _) in &CUTS[..3] {
        befores.push(seed(&system, name).await);
    }
    grow_old(&system, 3).await;
    befores.push(seed(&system, "young").await);
    let of_all = LOGS * CUTS.len() as u64;
    eventually(LIMIT, of_all.to_string(), || system.sql("SELECT sum(requests) FROM usage_1m FINAL")).await;
    system.weir.ingest.kill_hard().unwrap();

    // One that is gone lets go of what it holds.
    let mut proxies = Vec::new();
    for ((name, parts), before) in CUTS.iter().zip(befores) {
        let mut proxy = Proxy::new();
        let url = proxy.lead_to(&system.weir.clickhouse.url);
        let variables = vec![(EAGER.0, EAGER.1.to_owned()), ("WEIR_CLICKHOUSE_URL", url)];
        let victim = system.second_ingest(variables).await;
        proxy.hold_next(parts);
        ask(&system, name, before).await;
        proxy.wait_until_it_came().await;
        victim.service.kill_hard().unwrap();
        proxies.push(proxy);
    }
    system.weir.ingest.restart(Weir::START_LIMIT).await.unwrap();
    for (name, _) in CUTS {
        assert_eq!(removed(&system, name).await, [REMOVED], "{name}");
        expect_figures(&system, name, LOGS - REMOVED).await;
    }
    expect_told(&system).await;
    let (all, gone) = (LOGS * 4, REMOVED * 4);
    assert_eq!(ledger(&system).await, json!([all, all - gone, 0, gone, 0, all - gone]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_nats_logs_are_removed_and_statistics_follow_when_it_is_back() {
    let system = start_with(&[]).await;
    let before = seed(&system, "gw").await;
    grow_old(&system, 3).await;
    expect_figures(&system, "gw", LOGS).await;
    system.weir.nats.service.kill_hard().unwrap();
    ask(&system, "gw", before).await;
    assert_eq!(removed(&system, "gw").await, [REMOVED]);
    assert_eq!(count(&system, "logs", "gw").await, LOGS - REMOVED);
    system.weir.nats.service.restart(Weir::START_LIMIT).await.unwrap();
    expect_figures(&system, "gw", LOGS - REMOVED).await;
    expect_told(&system).await;
}
