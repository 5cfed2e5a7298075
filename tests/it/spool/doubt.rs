//! Writes whose outcome is unknown: their batches are put away, and are neither stored nor counted twice.

use std::time::Duration;

use harness::{System, eventually, spooled};
use tokio::time::sleep;

use super::{
    LEDGER, LIMIT, REDELIVERY_LIMIT, STORED, drained, metric, push_spooled, records, restart,
    restart_clickhouse, stop_clickhouse, variables,
};
use crate::outage::proxy::Proxy;

pub(super) async fn behind(proxy: &mut Proxy) -> System {
    System::start_with(|clickhouse| {
        let url = proxy.lead_to(&clickhouse.url);
        variables().into_iter().chain([("WEIR_CLICKHOUSE_URL", url)]).collect()
    })
    .await
}

#[tokio::test]
async fn a_write_that_is_settled_is_counted_once() {
    let mut proxy = Proxy::new();
    let system = behind(&mut proxy).await;
    let lines = records(0..5);
    proxy.hold_next(&["INSERT", "logs"]);
    push_spooled(&system, &lines).await;
    drained(&system).await;
    assert_eq!(system.sql(STORED).await, "5\t5");
    assert_eq!(system.sql(LEDGER).await, "logpush\t5\t5\t0\t0\t0");
    let settled = r#"weir_ingest_drained_records_total{source="logpush",result="Settled"}"#;
    assert_eq!(metric(&system, settled).await, 5);
    assert_eq!(system.records().await, (5, 5));
    proxy.release();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(system.sql(STORED).await, "5\t5");
}

#[tokio::test]
async fn a_batch_is_drained_by_nobody_while_its_write_is_being_settled() {
    let mut proxy = Proxy::new();
    let system = behind(&mut proxy).await;
    let second = system.second_ingest(Vec::new()).await;
    proxy.hold_every(&["INSERT", "logs"]);
    push_spooled(&system, &records(0..5)).await;
    // Settling it takes its time; the other process could write all the while.
    sleep(Duration::from_secs(6)).await;
    assert_eq!(system.sql(STORED).await, "0\t0");
    assert_eq!(spooled(&system.weir.nats).await, 5);
    proxy.hold_next(&[]);
    drained(&system).await;
    assert_eq!(system.sql(STORED).await, "5\t5");
    assert_eq!(system.sql(LEDGER).await, "logpush\t5\t5\t0\t0\t0");
    proxy.release();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(system.sql(STORED).await, "5\t5");
    drop(second);
}

#[tokio::test]
async fn what_is_drained_stays_in_the_spool_until_its_write_is_settled() {
    let mut proxy = Proxy::new();
    let system = behind(&mut proxy).await;
    stop_clickhouse(&system).await;
    push_spooled(&system, &records(0..5)).await;
    proxy.hold_next(&["INSERT", "logs"]);
    restart_clickhouse(&system).await;
    proxy.wait_until_held().await;
    drained(&system).await;
    assert_eq!(system.sql(STORED).await, "5\t5");
    assert_eq!(system.sql(LEDGER).await, "logpush\t5\t5\t0\t0\t0");
    let stored = r#"weir_ingest_drained_records_total{source="logpush",result="Stored"}"#;
    assert_eq!(metric(&system, stored).await, 5);
    proxy.release();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(system.sql(STORED).await, "5\t5");
}

#[tokio::test]
async fn a_write_that_outlives_its_process_is_stored_once() {
    let mut proxy = Proxy::new();
    let system = behind(&mut proxy).await;
    // Everything after it finds nobody, so that nothing is settled.
    proxy.hold_next(&["INSERT", "logs"]);
    let lines = records(0..5);
    let push = system.push(&lines);
    let suspend = async {
        proxy.wait_until_held().await;
        system.weir.clickhouse.service.suspend().unwrap();
    };
    let (answer, ()) = tokio::join!(push, suspend);
    assert_eq!(super::tally(&answer)["spooled"], 5);
    assert_eq!(spooled(&system.weir.nats).await, 5);
    system.weir.ingest.kill_hard().unwrap();
    system.weir.clickhouse.service.resume().unwrap();
    proxy.release();
    eventually(LIMIT, "5\t5".to_owned(), || system.sql(STORED)).await;
    restart(&system.weir.ingest).await;
    eventually(REDELIVERY_LIMIT, 0, || spooled(&system.weir.nats)).await;
    assert_eq!(system.sql(STORED).await, "5\t5");
}
