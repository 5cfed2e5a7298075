//! Brings inserts to an end whose outcome is not known: our own, and those of a process that was before us.
//!
//! An insert whose outcome is unknown is settled before anything else is written: an id check made before its rows are
//! there would find them new again. While an attempt is running it is waited for; if the rows are not there then, the same
//! write is repeated until it has succeeded, which no attempt that comes late can undo (see [`super::insert`]). Where
//! repetitions are refused and no attempt is running any more, the write is given up: nothing of it was promised to
//! anyone, and what there is of it is found by its ids.
//!
//! A process that was killed may leave an insert behind that nobody knows the token of. So the first id check waits
//! until every insert of a writer that was running before has come to its end.
//!
//! What is not covered: the list of running statements is one server's, so behind a balancer over several of them the
//! insert of a killed process may be missed; and a write that is given up could still come if something between us and the
//! server held it back for longer than all its repetitions took. Both end in a row that is there twice, not in a lost one.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::sleep;
use weir_service::telemetry::chain;

use super::Store;
use super::insert::Rows;

/// Between two attempts to settle a write: doubles from the first to the longest.
const SETTLE_PAUSE_FIRST: Duration = Duration::from_millis(200);
const SETTLE_PAUSE_LONGEST: Duration = Duration::from_secs(5);
/// After so many attempts without an answer of ClickHouse's own, a write that is not running is given up: something
/// between us and it refuses this very write.
const SETTLE_ATTEMPTS_MAX: u32 = 10;

/// From the first answer of ClickHouse to the look at what runs: a request of our predecessor's that lay in a socket
/// has begun to run by then.
const PREDECESSOR_PAUSE: Duration = Duration::from_millis(500);
/// Between two looks at it, and between two looks whether ClickHouse is there again.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Brings a write to an end, and gives whether it was stored. An attempt that can be seen running is waited for, so that
/// a server that is slow does not get the same work twice.
pub(super) async fn settle(store: &Store, rows: &Rows<'_>) -> bool {
    let token = rows.token.to_hex();
    let mut pause = SETTLE_PAUSE_FIRST;
    let mut attempts = 0_u32;
    loop {
        sleep(pause).await;
        pause = (pause * 2).min(SETTLE_PAUSE_LONGEST);
        match store.running_inserts(&token).await {
            Ok(running) if running.is_empty() => {}
            Err(error) if error.is_rejection() => {}
            // It runs, or nobody answers.
            Ok(_) | Err(_) => continue,
        }
        attempts += 1;
        let has_events = store.has_events(rows).await.is_ok_and(|has_all| has_all);
        let repeated = if has_events { store.insert_rest(rows).await } else { store.insert(rows).await };
        let Err(error) = repeated else {
            tracing::info!(attempts, "write settled: it is stored");
            return true;
        };
        tracing::warn!(attempts, error = chain(&error), "write is not settled");
        if (error.is_rejection() || attempts >= SETTLE_ATTEMPTS_MAX) && is_quiet(store, &token).await {
            tracing::warn!(attempts, "write given up: it is refused, and no attempt of it is running");
            return false;
        }
    }
}

/// Waits until ClickHouse answers, and until the inserts that run then have come to their end.
pub(super) async fn predecessors_are_done(store: &Store) {
    let mut answered = false;
    let mut left: Option<HashSet<String>> = None;
    loop {
        match store.running_inserts("").await {
            Ok(_) if !answered => {
                answered = true;
                sleep(PREDECESSOR_PAUSE).await;
                continue;
            }
            Ok(running) => {
                let waited_for = left.get_or_insert_with(|| {
                    if !running.is_empty() {
                        tracing::warn!(inserts = running.len(), "waiting for inserts of an earlier process");
                    }
                    running.clone()
                });
                waited_for.retain(|query_id| running.contains(query_id));
                if waited_for.is_empty() {
                    return;
                }
            }
            Err(error) if error.is_rejection() => {
                tracing::warn!(error = chain(&error), "cannot see whether inserts are running");
                return;
            }
            Err(_) => {}
        }
        sleep(LOOK_PAUSE).await;
    }
}

/// Waits until ClickHouse answers.
pub(super) async fn clickhouse_answers(store: &Store) {
    while let Err(error) = store.ping().await {
        if error.is_rejection() {
            return;
        }
        sleep(LOOK_PAUSE).await;
    }
}

/// Whether no attempt of a write is running. Looks after a pause: the first attempt may just have reached the server.
async fn is_quiet(store: &Store, token: &str) -> bool {
    sleep(PREDECESSOR_PAUSE).await;
    store.running_inserts(token).await.is_ok_and(|running| running.is_empty())
}
