//! What is kept no longer than it is to be kept.

use harness::eventually;
use harness::traffic::now_ms;
use serde_json::json;
use weir_local::Weir;

use super::{
    AS_BEFORE, BODIES, DAY_MS, LIMIT, count, expect_rollups, expect_told, grow_old, ledger, lines, start_with,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_and_bodies_go_when_their_time_is_over_and_every_figure_follows() {
    let system =
        start_with(&[("WEIR_INGEST_RETENTION_LOGS", "40d"), ("WEIR_INGEST_RETENTION_BODIES", "10d")]).await;
    let now = now_ms();
    // One every three days, of 120 days: whole months, a part of one, and what stays.
    let at = |number: u64| now - i64::try_from(number).unwrap() * 3 * DAY_MS;
    for gateway in ["gw", "other"] {
        let stored = system.push_to(&format!("acc/{gateway}"), &lines(0..40, at)).await.json();
        assert_eq!(stored["stored"], 40);
    }
    let annotate = "INSERT INTO annotations (account_id, gateway_id, field, id, value) \
        SELECT account_id, gateway_id, 'score', id, '1' FROM logs";
    system.sql(annotate).await;
    system.sql(AS_BEFORE).await;
    for gateway in ["gw", "other"] {
        expect_rollups(&system, gateway).await;
    }
    grow_old(&system, 3).await;
    // Too old when it comes: it is looked for when it can be counted by the hour.
    let late = system.push(&lines(50..51, |_| now - 80 * DAY_MS)).await.json();
    assert_eq!(late["stored"], 1);
    system.weir.ingest.restart(Weir::START_LIMIT).await.unwrap();

    // 0 to 39 days old, or 40 where its day is not over.
    let day = "toStartOfDay(now('UTC') - INTERVAL 40 DAY)";
    let kept = format!(
        "SELECT countIf(created_at >= {day}), countIf(created_at < {day}) FROM logs WHERE gateway_id = 'gw'"
    );
    eventually(LIMIT, "14\t1".to_owned(), || system.sql(&kept)).await;
    eventually(LIMIT, 14, || count(&system, "logs", "other")).await;
    let bodies = format!(
        "SELECT uniqExact(_table, id), countIf(started_at < toStartOfDay(now('UTC') - INTERVAL 10 DAY)) FROM {BODIES}"
    );
    eventually(LIMIT, "16\t0".to_owned(), || system.sql(&bodies)).await;
    eventually(LIMIT, 14, || count(&system, "annotations FINAL", "other")).await;
    for gateway in ["gw", "other"] {
        expect_rollups(&system, gateway).await;
    }
    expect_told(&system).await;
    assert_eq!(ledger(&system).await, json!([81, 29, 0, 52, 0, 29]));
    // The months are gone, but for that of the log that came late. (One of rollups may have got rows of nothing again.)
    let months = "SELECT countIf(month < limit) FROM ( \
        SELECT DISTINCT toUInt32(partition_id) AS month, toYYYYMM(now('UTC') - INTERVAL 41 DAY) AS limit \
        FROM system.parts WHERE database = currentDatabase() AND active AND table = 'logs')";
    assert_eq!(system.sql(months).await, "1");

    // When its hour is over, it goes too; so does what was being computed of a month while that was dropped.
    grow_old(&system, 6).await;
    for (table, time) in [("usage_1m", "minute"), ("usage_15m", "slot"), ("usage_15m_by_model", "slot")] {
        let computed = format!(
            "INSERT INTO {table} (account_id, gateway_id, {time}, requests, version) \
                SELECT 'acc', 'gw', toStartOfHour(now('UTC') - INTERVAL 100 DAY), 1, 1"
        );
        system.sql(&computed).await;
    }
    system.weir.ingest.restart(Weir::START_LIMIT).await.unwrap();
    eventually(LIMIT, 14, || count(&system, "logs", "gw")).await;
    expect_rollups(&system, "gw").await;
    let quarters = "SELECT (SELECT sum(requests) FROM usage_15m FINAL), (SELECT sum(requests) FROM usage_15m_by_model FINAL)";
    eventually(LIMIT, "28\t28".to_owned(), || system.sql(quarters)).await;
    expect_told(&system).await;
    assert_eq!(ledger(&system).await, json!([81, 28, 0, 53, 0, 28]));
    // A log without its bodies says that it has none.
    let id = system.sql("SELECT id FROM logs WHERE gateway_id = 'gw' ORDER BY created_at LIMIT 1").await;
    let log = format!("/client/v4/accounts/acc/ai-gateway/gateways/gw/logs/{id}");
    assert_eq!(system.get(&log).await.status, 200);
    assert_eq!(system.get(&format!("{log}/request")).await.status, 404);
}
