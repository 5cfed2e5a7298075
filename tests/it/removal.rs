//! Removal by age: everything of a tenant that is older than a time goes, counted, and nothing else does, whoever dies
//! meanwhile; and what retention says.

mod api;
mod faults;
mod retention;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness::traffic::now_ms;
use harness::{System, eventually};
use reqwest::StatusCode;
use serde_json::json;
use weir_local::ClickHouse;

use crate::deletion::{ledger, lines, live};

/// What died is taken over, or looked for, when it is some minutes old.
pub(crate) const LIMIT: Duration = Duration::from_mins(8);
const EAGER: (&str, &str) = ("WEIR_INGEST_RECONCILE_INTERVAL", "1s");
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

async fn start_with(variables: &[(&'static str, &str)]) -> System {
    let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let variables = [(EAGER.0, EAGER.1.to_owned())].into_iter().chain(variables).collect();
    System::start_with(|_: &ClickHouse| variables).await
}

/// Makes what was stored until now some hours older: stored in hours that are over.
pub(crate) async fn grow_old(system: &System, hours: u32) {
    let columns = "hour, source, account_id, write_id, subject, received, stored, duplicates, dead_lettered, ignored, deleted, \
        gateway_id, minute, entered_at, version";
    let older = columns.replacen("hour", &format!("hour - INTERVAL {hours} HOUR"), 1);
    let recent = "hour > now() - INTERVAL 2 HOUR";
    for statement in [
        format!("INSERT INTO ledger ({columns}) SELECT {older} FROM ledger FINAL WHERE {recent}"),
        format!("ALTER TABLE ledger DELETE WHERE {recent} SETTINGS mutations_sync = 2"),
        format!(
            "ALTER TABLE logs UPDATE ingested_at = ingested_at - INTERVAL {hours} HOUR \
            WHERE ingested_at > now() - INTERVAL 2 HOUR SETTINGS mutations_sync = 2"
        ),
    ] {
        system.sql(&statement).await;
    }
}

/// Asks for a removal of what ended before `before` (epoch milliseconds).
async fn ask(system: &System, gateway: &str, before: i64) {
    ask_at(system, gateway, before, now_ms()).await;
}

/// The same, as if it had been asked for at that time.
async fn ask_at(system: &System, gateway: &str, before: i64, asked_at: i64) {
    let time = |millis: i64| format!("fromUnixTimestamp64Milli({millis}, 'UTC')");
    let (before, asked_at) = (time(before), time(asked_at));
    let ask = format!(
        "INSERT INTO removals (account_id, gateway_id, id, before, asked_at, state, step) \
         SELECT 'acc', '{gateway}', toString(now64(9)), {before}, {asked_at}, 'waiting', 1"
    );
    system.sql(&ask).await;
}

/// How many rows each removal of a gateway took, once all of them are over.
async fn removed(system: &System, gateway: &str) -> Vec<u64> {
    let unfinished =
        format!("SELECT count() FROM removals FINAL WHERE gateway_id = '{gateway}' AND state != 'done'");
    eventually(LIMIT, "0".to_owned(), || system.sql(&unfinished)).await;
    let rows = format!("SELECT rows FROM removals FINAL WHERE gateway_id = '{gateway}' ORDER BY id");
    system.sql(&rows).await.lines().map(|line| line.parse().unwrap()).collect()
}

async fn count(system: &System, table: &str, gateway: &str) -> u64 {
    let count = format!("SELECT uniqExact(id) FROM {table} WHERE gateway_id = '{gateway}'");
    system.sql(&count).await.parse().unwrap()
}

/// Every body, whichever table it is in.
const BODIES: &str = "merge(currentDatabase(), '^(bodies|payloads)$')";
/// Puts bodies where a program of before had put them as well.
const AS_BEFORE: &str = "INSERT INTO payloads (account_id, gateway_id, started_at, id, request, response) \
    SELECT account_id, gateway_id, started_at, id, request, response FROM bodies";

/// Holds bodies, rollups and live windows against the rows that a gateway has now.
async fn expect_figures(system: &System, gateway: &str, rows: u64) {
    let expected = vec![rows; 2];
    eventually(LIMIT, expected, async || {
        vec![count(system, "logs", gateway).await, count(system, BODIES, gateway).await]
    })
    .await;
    expect_rollups(system, gateway).await;
    let of_day = format!(
        "SELECT count() FROM logs WHERE gateway_id = '{gateway}' AND created_at > now() - INTERVAL 23 HOUR"
    );
    let of_day = system.sql(&of_day).await.parse().ok();
    eventually(LIMIT, of_day, || live(system, gateway)).await;
}

/// Requests and cost by minute, of rollups and of rows.
pub(crate) async fn expect_rollups(system: &System, gateway: &str) {
    let by_minute = |table: &str, what: &str, minute: &str| {
        format!(
            "SELECT {minute} AS at, {what} AS requests, sum(cost) FROM {table} WHERE gateway_id = '{gateway}' \
             GROUP BY at HAVING requests > 0 ORDER BY at"
        )
    };
    let logs = by_minute("logs", "count()", "toStartOfMinute(created_at)");
    let rollups = by_minute("usage_1m FINAL", "sum(requests)", "minute");
    eventually(LIMIT, true, async || system.sql(&logs).await == system.sql(&rollups).await).await;
}

/// Waits until all is told.
async fn expect_told(system: &System) {
    let untold = "SELECT count() FROM ledger FINAL WHERE version < 2 * deleted";
    eventually(LIMIT, "0".to_owned(), || system.sql(untold)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_older_goes_and_is_counted_and_nothing_else_goes() {
    /// Entries of this one's days are as long as ids.
    const GATEWAY: &str = "default";
    let system = start_with(&[]).await;
    let now = now_ms();
    // Over forty days, two or three months.
    let at = |number: u64| now - i64::try_from(number).unwrap() * 4 * HOUR_MS - 1;
    let batch = lines(0..240, at);
    for gateway in [GATEWAY, "other"] {
        assert_eq!(system.push_to(&format!("acc/{gateway}"), &batch).await.json()["stored"], 240);
    }
    let annotate = "INSERT INTO annotations (account_id, gateway_id, field, id, value) \
        SELECT account_id, gateway_id, 'score', id, '1' FROM logs";
    system.sql(annotate).await;
    system.sql(AS_BEFORE).await;
    grow_old(&system, 3).await;
    expect_rollups(&system, GATEWAY).await;
    // What comes late is old too.
    let late = lines(300..310, |number| now - 39 * DAY_MS + i64::try_from(number).unwrap());
    assert_eq!(system.push_to(&format!("acc/{GATEWAY}"), &late).await.json()["stored"], 10);
    // Somebody deletes some of it first, by a filter.
    let api = format!(
        "http://{}/client/v4/accounts/acc/ai-gateway/gateways/{GATEWAY}/logs?limit=7",
        system.weir.addresses.query_api
    );
    let deleted = system.http.delete(api).bearer_auth(&system.weir.secrets.query_token).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::OK);
    assert_eq!(count(&system, "logs", GATEWAY).await, 243);

    // The log at the time itself stays; the minute is cut.
    ask(&system, GATEWAY, at(100)).await;
    assert_eq!(removed(&system, GATEWAY).await, [139 + 10 - 7]);
    assert_eq!(count(&system, "logs", GATEWAY).await, 101);
    assert_eq!(count(&system, "annotations FINAL", GATEWAY).await, 101);
    assert_eq!(
        system
            .sql(&format!(
                "SELECT min(toUnixTimestamp64Milli(created_at)) FROM logs WHERE gateway_id = '{GATEWAY}'"
            ))
            .await,
        at(100).to_string()
    );
    expect_figures(&system, GATEWAY, 101).await;
    expect_figures(&system, "other", 240).await;
    assert_eq!(count(&system, "annotations FINAL", "other").await, 240);
    assert_eq!(
        ledger(&system).await.as_array().unwrap()[..4],
        [json!(490), json!(341), json!(0), json!(149)]
    );
    let entries =
        "SELECT count() < 60, sum(deleted) > 100 FROM ledger FINAL WHERE startsWith(subject, 'deleted:')";
    assert_eq!(system.sql(entries).await, "1\t1", "most of it was not entered row by row");

    // Nothing is left to go.
    ask(&system, GATEWAY, at(100)).await;
    assert_eq!(removed(&system, GATEWAY).await, [142, 0]);
    // What is pushed again is new, and goes with the next one; so does more of the day that was cut.
    let again = system.push_to(&format!("acc/{GATEWAY}"), &batch).await.json();
    assert_eq!((&again["stored"], &again["duplicates"]), (&json!(139), &json!(101)), "{again}");
    expect_figures(&system, GATEWAY, 240).await;
    grow_old(&system, 6).await;
    ask(&system, GATEWAY, at(90)).await;
    assert_eq!(removed(&system, GATEWAY).await, [142, 0, 149]);
    expect_figures(&system, GATEWAY, 91).await;
    // One that had to wait takes nothing that was stored since it was asked for.
    ask_at(&system, GATEWAY, at(80), now_ms() - 9 * HOUR_MS).await;
    assert_eq!(removed(&system, GATEWAY).await, [142, 0, 149, 0]);
    expect_figures(&system, GATEWAY, 91).await;
    expect_told(&system).await;
    assert_eq!(ledger(&system).await, json!([730, 331, 101, 298, 0, 331]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removals_beside_pushes_and_deletions_count_every_log_once() {
    const BATCH: u64 = 50;
    let system = Arc::new(start_with(&[]).await);
    let second = system.second_ingest(vec![(EAGER.0, EAGER.1.to_owned())]).await;
    let old = now_ms() - 3 * DAY_MS;
    let at = move |number: u64| old + i64::try_from(number).unwrap() * 997;
    assert_eq!(system.push(&lines(0..3_000, at)).await.json()["stored"], 3_000);
    grow_old(&system, 3).await;
    let stop = Arc::new(AtomicBool::new(false));
    let pushes = {
        let (system, stop) = (Arc::clone(&system), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut next = 0;
            while !stop.load(Ordering::SeqCst) {
                // New ones among those that are being removed, and some of these again.
                let batch = lines(5_000 + next..5_000 + next + BATCH, at);
                let again = lines(next..next + BATCH, at);
                for batch in [&batch, &again] {
                    let answer = system.push(batch).await;
                    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
                }
                next += BATCH;
            }
        })
    };
    let delete = async || {
        let url = format!(
            "http://{}/client/v4/accounts/acc/ai-gateway/gateways/gw/logs?limit=400",
            system.weir.addresses.query_api
        );
        let request = system.http.delete(url).bearer_auth(&system.weir.secrets.query_token);
        let status = request.send().await.unwrap().status();
        assert!(status.is_success(), "{status}");
    };
    for minutes in [10, 25, 40] {
        let ask = async || ask(&system, "gw", old + minutes * 60_000 + 30_500).await;
        tokio::join!(delete(), ask(), delete(), ask());
        removed(&system, "gw").await;
    }
    stop.store(true, Ordering::SeqCst);
    pushes.await.unwrap();
    ask(&system, "gw", now_ms()).await;
    removed(&system, "gw").await;
    expect_figures(&system, "gw", 0).await;
    expect_told(&system).await;
    let sums = ledger(&system).await;
    assert_eq!((&sums[1], &sums[4], &sums[5]), (&json!(0), &json!(0), &json!(0)), "{sums}");
    second.service.kill_hard().unwrap();
}
