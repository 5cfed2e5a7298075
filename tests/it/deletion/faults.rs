//! Deletions that are cut off between any two of their steps, and deletions without NATS.

use std::time::Duration;

use harness::traffic::now_ms;
use harness::{System, eventually};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;
use weir_local::Weir;

use super::{Api, DONE, LIMIT, UNTOLD, api, expect_figures, ledger, lines, start};
use crate::outage::proxy::Proxy;

/// In each gateway.
const LOGS: u64 = 30;
const DELETED: u64 = 12;

/// Statements that a deletion is cut off at: all before it are done, and this one is never heard of.
const CUTS: [(&str, &[&str]); 4] = [
    ("enter", &["deletion-enter"]),
    ("bodies", &["DELETE FROM bodies"]),
    ("rows", &["DELETE FROM logs"]),
    ("settle", &["deletion-settle"]),
];

/// Logs of some time ago.
async fn seed(system: &System, gateway: &str) {
    let at = now_ms() - 20 * 60_000;
    let batch = lines(0..LOGS, |number| at - i64::try_from(number).unwrap() * 30_000);
    assert_eq!(system.push_to(&format!("acc/{gateway}"), &batch).await.json()["stored"], LOGS);
}

/// Makes what was stored just now old, so that word of it is long taken.
async fn grow_old(system: &System) {
    let older = "ALTER TABLE logs UPDATE ingested_at = ingested_at - INTERVAL 10 MINUTE WHERE 1 SETTINGS mutations_sync = 2";
    system.sql(older).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_is_killed_between_two_steps_is_not_begun_or_brought_to_its_end() {
    let system = start().await;
    let dir = TempDir::new().unwrap();
    let weir = &system.weir;
    let gateways: Vec<_> = CUTS.iter().map(|(name, _)| *name).chain(["tell"]).collect();
    for gateway in &gateways {
        seed(&system, gateway).await;
    }
    grow_old(&system).await;
    let of_all = LOGS * gateways.len() as u64;
    eventually(LIMIT, of_all.to_string(), || system.sql("SELECT sum(requests) FROM usage_1m FINAL")).await;

    let query = format!("?limit={DELETED}");
    // One that is gone lets go of what it holds.
    let mut proxies = Vec::new();
    for (name, parts) in CUTS {
        let mut proxy = Proxy::new();
        let url = proxy.lead_to(&weir.clickhouse.url);
        let (service, api) = api::start(dir.path(), name, &url, (&weir.clickhouse, &weir.nats), &[]).await;
        proxy.hold_next(parts);
        let killed = async {
            proxy.wait_until_it_came().await;
            service.kill_hard().unwrap();
        };
        let (answer, ()) = tokio::join!(api.try_delete(&query), killed);
        assert!(answer.is_err(), "{name}: {answer:?}");
        proxies.push(proxy);
    }
    // NATS holds its breath, and so does whoever tells it something.
    let patient = [("WEIR_QUERY_API_LIVE_TIMEOUT", "25s")];
    let services = (&weir.clickhouse, &weir.nats);
    let (service, api) = api::start(dir.path(), "tell", &weir.clickhouse.url, services, &patient).await;
    weir.nats.service.suspend().unwrap();
    let killed = async {
        let left = "SELECT count() FROM logs WHERE gateway_id = 'tell'";
        eventually(LIMIT, (LOGS - DELETED).to_string(), || system.sql(left)).await;
        service.kill_hard().unwrap();
    };
    let (answer, ()) = tokio::join!(api.try_delete(&query), killed);
    assert!(answer.is_err(), "tell: {answer:?}");
    weir.nats.service.resume().unwrap();

    for gateway in &gateways {
        let left = if *gateway == "enter" { LOGS } else { LOGS - DELETED };
        expect_figures(&system, gateway, left).await;
    }
    eventually(LIMIT, "0".to_owned(), || system.sql(UNTOLD)).await;
    let entered = "SELECT arrayStringConcat(arraySort(groupUniqArray(gateway_id)), ' '), sum(deleted), count() \
        FROM ledger FINAL WHERE subject != ''";
    assert_eq!(system.sql(entered).await, format!("bodies rows settle tell\t{0}\t{0}", 4 * DELETED));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_nats_logs_are_deleted_and_statistics_follow_when_it_is_back() {
    let system = start().await;
    let api = Api::of(&system);
    seed(&system, "gw").await;
    expect_figures(&system, "gw", LOGS).await;
    system.weir.nats.service.kill_hard().unwrap();
    // It takes a moment to be noticed.
    sleep(Duration::from_millis(200)).await;
    assert_eq!(api.delete(&format!("?limit={DELETED}")).await, (200, DONE.to_owned()));
    let left = LOGS - DELETED;
    assert_eq!(system.sql("SELECT count() FROM logs").await, left.to_string());
    assert_eq!(system.sql(UNTOLD).await, DELETED.to_string());
    system.weir.nats.service.restart(Weir::START_LIMIT).await.unwrap();
    expect_figures(&system, "gw", left).await;
    eventually(LIMIT, "0".to_owned(), || system.sql(UNTOLD)).await;
    assert_eq!(ledger(&system).await, json!([LOGS, left, 0, DELETED, 0, left]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_does_not_take_the_deletion_along_and_a_stop_waits_for_it() {
    let system = start().await;
    seed(&system, "gw").await;
    let api = Api::of(&system);
    let (query, weir) = (format!("?limit={DELETED}"), &system.weir);
    let left = async {
        let entered = "SELECT sum(deleted) FROM ledger FINAL";
        eventually(LIMIT, DELETED.to_string(), || system.sql(entered)).await;
    };
    tokio::select! {
        answer = api.try_delete(&query) => assert!(answer.is_ok(), "it was faster than we are: {answer:?}"),
        () = left => {}
    }
    let stopped = weir.query_api.stop(Weir::STOP_LIMIT).await.unwrap();
    assert!(stopped.success(), "{}", weir.query_api.log_tail());
    assert_eq!(
        system.sql("SELECT count() FROM logs").await,
        (LOGS - DELETED).to_string(),
        "{}",
        weir.query_api.log_tail()
    );
}
