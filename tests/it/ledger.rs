//! The ledger: what it says of a killed process, and whether its imbalance is seen.

use std::time::Duration;

use harness::traffic::{now_ms, record};
use harness::{System, eventually};
use weir_local::Weir;

use crate::outage::proxy::Proxy;

const LIMIT: Duration = Duration::from_mins(1);
const SUMS: &str =
    "SELECT sum(received), sum(stored), sum(duplicates), sum(dead_lettered), sum(ignored) FROM ledger FINAL";

fn lines(count: u64) -> String {
    let at = now_ms();
    (1..=count).map(|number| record(number, at)).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn what_a_killed_process_stored_and_did_not_enter_is_entered_by_the_next() {
    let mut proxy = Proxy::new();
    let system =
        System::start_with(|clickhouse| vec![("WEIR_CLICKHOUSE_URL", proxy.lead_to(&clickhouse.url))]).await;
    let batch = lines(5);
    proxy.hold_next(&["INSERT", "ledger"]);
    tokio::select! {
        answer = system.try_push(&batch) => panic!("it is acked only when it is entered: {answer:?}"),
        () = proxy.wait_until_it_came() => system.weir.ingest.kill_hard().unwrap(),
    }
    assert_eq!(system.sql("SELECT count() FROM logs").await, "5");
    assert_eq!(system.sql(SUMS).await, "0\t0\t0\t0\t0");
    // A write so old is not under way any more.
    let age = "ALTER TABLE logs UPDATE ingested_at = ingested_at - INTERVAL 10 MINUTE WHERE 1 SETTINGS mutations_sync = 2";
    system.sql(age).await;
    system.weir.ingest.restart(Weir::START_LIMIT).await.unwrap();
    eventually(LIMIT, "5\t5\t0\t0\t0".to_owned(), || system.sql(SUMS)).await;
    let again = system.push(&batch).await.json();
    assert_eq!(again["duplicates"], 5, "{again}");
    assert_eq!(system.sql(SUMS).await, "10\t5\t5\t0\t0");
    // Its own entry comes late, and stands for the one that was made up.
    let own = "INSERT INTO ledger (hour, source, account_id, write_id, received, stored, duplicates, version) \
        SELECT hour, source, account_id, write_id, 6, 5, 1, 1 FROM ledger FINAL WHERE version = 0";
    system.sql(own).await;
    assert_eq!(system.sql(SUMS).await, "11\t5\t6\t0\t0");
}

#[tokio::test]
async fn a_row_that_is_missing_shows_in_the_metrics() {
    let system = System::start().await;
    let two_hours_ago = "now() - INTERVAL 2 HOUR";
    let entry = |received: u32, write: u32| {
        format!(
            "INSERT INTO ledger (hour, source, account_id, write_id, received, stored, version) \
             SELECT toStartOfHour({two_hours_ago}), 'logpush', 'acc', {write}, {received}, {received}, 1"
        )
    };
    let rows = format!(
        "INSERT INTO logs (account_id, gateway_id, id, created_at, started_at, ingested_at, source, write_id) \
         SELECT 'acc', 'gw', leftPad(toString(number), 26, '0'), {two_hours_ago}, {two_hours_ago}, {two_hours_ago}, \
             'logpush', 2 FROM numbers(3)"
    );
    system.sql(&entry(3, 2)).await;
    system.sql(&rows).await;
    let off = async |source: &str| {
        let name = format!("weir_ingest_ledger_imbalance{{source=\"{source}\"}} ");
        let metrics = system.metrics_of(&system.weir.ingest).await;
        metrics.lines().find_map(|line| line.strip_prefix(&name)).map(str::to_owned)
    };
    let ingest = &system.weir.ingest;
    ingest.kill_hard().unwrap();
    ingest.restart(Weir::START_LIMIT).await.unwrap();
    eventually(LIMIT, Some("0".to_owned()), || off("logpush")).await;
    system.sql("DELETE FROM logs WHERE id = '00000000000000000000000001'").await;
    ingest.kill_hard().unwrap();
    ingest.restart(Weir::START_LIMIT).await.unwrap();
    eventually(LIMIT, Some("1".to_owned()), || off("logpush")).await;
    assert_eq!(off("kafka").await.as_deref(), Some("0"));
}
