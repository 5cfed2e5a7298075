//! In front of a ClickHouse that refuses some minutes, or all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use weir_event::{Scope, Timestamp};
use weir_service::metrics::Metrics;
use weir_service::readiness::Readiness;

use super::*;
use crate::fake_clickhouse::{FakeClickHouse, Reply};

const FIRST_S: i64 = 1_767_225_600;
const OF_LIFE: &[(&str, &str)] = &[("count()", "UInt64")];

fn minute(number: i64) -> ScopeWindow {
    let start = Timestamp::from_millis((FIRST_S + 60 * number) * 1_000).unwrap();
    ScopeWindow { scope: Scope::parse("acc", "gw").unwrap(), start }
}

/// How a statement names it: its bounds of time are written otherwise.
fn named(number: i64) -> String {
    format!("'{}'", minute(number).start_s())
}

/// A task that has to write so many minutes, with what it counts and says of itself. It ends when it has written them.
async fn flushing(rollups: Rollups, minutes: i64) -> (JoinHandle<()>, AggregatorMetrics, Readiness) {
    let metrics = AggregatorMetrics::register(&mut Metrics::new("aggregator", "0"));
    let readiness = Readiness::new(CancellationToken::new());
    let (touch, touched) = mpsc::channel(1);
    touch.send(Touched { minutes: (0..minutes).map(minute).collect(), message: None }).await.unwrap();
    let task = FlushTask {
        rollups,
        touched,
        interval: Duration::from_millis(10),
        flushed: CancellationToken::new(),
        check: readiness.register("clickhouse"),
        metrics: metrics.clone(),
    };
    let task = tokio::spawn(async move {
        let Ok(()) = task.run(Shutdown::new()).await;
    });
    (task, metrics, readiness)
}

async fn eventually(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap();
}

#[tokio::test]
async fn a_minute_that_is_refused_keeps_no_other_from_being_written() {
    let bad = [30, 130, 131].map(named);
    let clickhouse = FakeClickHouse::start(move |request| {
        if bad.iter().any(|start| request.contains(start)) {
            return Reply::Refused;
        }
        Reply::Rows(OF_LIFE, &[0; 8])
    })
    .await;
    let (task, metrics, readiness) = flushing(Rollups::new(clickhouse.client()), 250).await;
    eventually(|| metrics.minutes_written.get() == 247).await;
    // What was asked for together once is not any more: each of them is alone in its statement.
    let alone = |number: i64| {
        let others: Vec<_> = (0..250).filter(|other| *other != number).map(named).collect();
        let is_of_others = |request: &String| others.iter().any(|other| request.contains(other));
        clickhouse.asked().iter().any(|request| request.contains(&named(number)) && !is_of_others(request))
    };
    eventually(|| [30, 130, 131].into_iter().all(alone)).await;
    eventually(|| metrics.dirty_minutes.get() == 3).await;
    assert!(!readiness.report().ready && !task.is_finished());
    assert!(clickhouse.asked().len() < 60, "{}", clickhouse.asked().len());
    task.abort();
}

#[tokio::test]
async fn what_is_refused_for_no_fault_of_its_own_is_written_when_nothing_is_refused_any_more() {
    let refuses = Arc::new(AtomicBool::new(true));
    let clickhouse = FakeClickHouse::start({
        let refuses = Arc::clone(&refuses);
        move |_| {
            if refuses.load(Ordering::SeqCst) {
                return Reply::Refused;
            }
            Reply::Rows(OF_LIFE, &[0; 8])
        }
    })
    .await;
    let (task, metrics, _) = flushing(Rollups::new(clickhouse.client()), 2_000).await;
    eventually(|| metrics.flush_failures.get() >= 3).await;
    // Few statements fail in one flush, so most minutes are together still.
    let asked = clickhouse.asked().len() as u64;
    let flushes = metrics.flush_failures.get() + 1;
    assert!(asked <= u64::from(FAILURES_MAX) * flushes, "{asked} in {flushes}");
    refuses.store(false, Ordering::SeqCst);
    task.await.unwrap();
    assert_eq!(metrics.minutes_written.get(), 2_000);
}
