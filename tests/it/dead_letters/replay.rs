//! `ingest dead-letters replay`: a record that can be read by now is stored once, is in every figure, and its letter is
//! settled, whatever is killed on the way.

use std::process::{Child, Stdio};
use std::time::Duration;

use harness::traffic::{ai_gateway_example, ai_gateway_key, cost_units, now_ms, record};
use harness::{System, eventually};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use weir_event::Timestamp;
use weir_local::Weir;

use super::{BROKEN, Ended, command, run, succeeded};
use crate::ledger::sums;
use crate::outage::proxy::Proxy;

pub(super) const LIMIT: Duration = Duration::from_mins(2);
const KEYS: &str = "WEIR_INGEST_LOGPUSH_PRIVATE_KEYS_FILES";
pub(super) const INTO: [&str; 4] = ["replay", "--into-gateway", "gw", "--yes"];

/// A replay with the private key of the examples.
pub(super) fn replay_with_key(system: &System, args: &[&str]) -> Ended {
    command(system, args).env(KEYS, ai_gateway_key("current")).output().unwrap().into()
}

fn first_line(ended: &Ended) -> String {
    ended.text().lines().next().unwrap_or_default().to_owned()
}

/// Records of which nobody says whose gateway they are of.
pub(super) async fn orphans(system: &System, numbers: std::ops::Range<u64>) {
    let count = numbers.end - numbers.start;
    let lines: Vec<_> = numbers.map(|number| record(number, now_ms())).collect();
    let answer = system.push_to("acc", &lines.join("\n")).await.json();
    assert_eq!(answer["dead_lettered"], count, "{answer}");
}

/// What is listed, settled letters too.
fn listed(system: &System) -> Vec<Value> {
    succeeded(system, &["list", "--all", "--json"]).letters()
}

/// A record that is stored without what no key opens, and what is kept as a letter; every minute has another one.
pub(super) async fn sealed(system: &System, minute: u64) {
    let at = format!("\"Datetime\":\"2026-09-21T14:{:02}:20Z\"", 10 + minute);
    let log: Value = serde_json::from_str(&ai_gateway_example("encrypted_chat")).unwrap();
    let log = log.to_string().replace(&format!("\"Datetime\":{}", log["Datetime"]), &at);
    let answer = system.push_to("acc", &log).await.json();
    assert_eq!((&answer["stored"], &answer["sealed"]), (&json!(1), &json!(1)), "{answer}");
}

/// Holds the rows against the number of events, the ledger, the rollups and the live windows.
pub(super) async fn expect_events(system: &System, count: u64) {
    let expected = format!("{count}\t{count}\t{}", cost_units(count));
    let logs = "SELECT count(), uniqExact(id), toUInt128(sum(cost) * 1000000000000000000) FROM logs";
    assert_eq!(system.sql(logs).await, expected);
    let rollup = "SELECT toUInt64(sum(requests)), toUInt64(sum(requests)), \
        toUInt128(sum(cost) * 1000000000000000000) FROM usage_1m FINAL";
    eventually(LIMIT, expected, || system.sql(rollup)).await;
    let live = async || {
        let live = system.live().await.filter(|live| live["complete"] == Value::Bool(true))?;
        live["rows"].as_array()?.iter().map(|row| row["windows"][2]["requests"].as_u64()).sum()
    };
    eventually(LIMIT, Some(count), live).await;
}

pub(super) async fn expect_balance(system: &System, expected: [i64; 6]) {
    let told = told(system).await;
    assert_eq!((sums(&told), &told["balanced"]), (expected, &json!(true)), "{told}");
}

/// What the ledger says of this hour, the one before and the next.
async fn told(system: &System) -> Value {
    let hour_ms = 3_600_000;
    let time = |hours: i64| Timestamp::from_millis(now_ms() / hour_ms * hour_ms + hours * hour_ms).unwrap();
    let (from, to) = (time(-1), time(2));
    system.get(&format!("/v1/ledger?account_id=acc&from={from}&to={to}")).await.json()
}

#[tokio::test]
async fn a_record_is_stored_once_and_its_letter_settled() {
    let system = System::start().await;
    let at = now_ms();
    let records: Vec<_> = (1..=3).map(|number| record(number, at)).collect();
    assert_eq!(system.push_to("acc", &records.join("\n")).await.json()["dead_lettered"], 3);
    let token = system.weir.secrets.ingest_token.clone();
    assert_eq!(system.push_raw(BROKEN.to_vec(), Some(&token), None).await.json()["dead_lettered"], 1);

    let nowhere = run(&system, &["replay", "--dry-run"]);
    assert!(nowhere.success, "{}", nowhere.error);
    let text = nowhere.text();
    assert!(text.starts_with("4 letters: 0 stored, 0 duplicates, 0 ignored, 0 opened, 4 stay\n"), "{text}");
    assert!(text.contains("\nmalformed_json  1 ") && text.contains("\nno_gateway      3 "), "{text}");
    let dry = succeeded(&system, &["replay", "--dry-run", "--into-gateway", "gw"]);
    assert_eq!(first_line(&dry), "4 letters: 3 stored, 0 duplicates, 0 ignored, 0 opened, 1 stay");
    assert!(dry.text().ends_with("dry run: nothing was changed\n"), "{}", dry.text());
    assert_eq!(system.sql("SELECT count() FROM logs").await, "0");
    expect_balance(&system, [4, 0, 0, 4, 0, 0]).await;

    let done = run(&system, &INTO);
    assert_eq!(first_line(&done), first_line(&dry), "{}", done.error);
    assert!(!done.success && done.text().contains("\nmalformed_json  1 "), "one stays: {}", done.text());
    expect_events(&system, 3).await;
    expect_balance(&system, [4, 3, 0, 1, 0, 3]).await;
    let body = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let call: Value = serde_json::from_str(line["Logs"][0]["Message"][0].as_str().unwrap()).unwrap();
        call["request_body"].to_string()
    };
    let bodies = system.sql("SELECT DISTINCT request FROM bodies FORMAT TSVRaw").await;
    assert_eq!(bodies, body(&records[0]));
    let odd = "SELECT countIf(bitAnd(write_id, 1) = 1), uniqExact(gateway_id), any(gateway_id) FROM logs";
    assert_eq!(system.sql(odd).await, "3\t1\tgw");
    let letters = listed(&system);
    assert_eq!(letters.iter().filter(|letter| letter["settled_as"] == "stored").count(), 3, "{letters:?}");
    // A settled letter came when the other row of it did; merged, it is the later one that is left.
    system.sql("OPTIMIZE TABLE dead_letters FINAL").await;
    let left = succeeded(&system, &["list", "--json"]).letters();
    assert!(left.len() == 1 && left[0]["reason"] == "malformed_json", "{left:?}");

    let again = run(&system, &[&INTO[..], &["--reason", "no_gateway"]].concat());
    assert_eq!((again.success, &*again.text()), (true, "no letters to replay\n"), "{}", again.error);
    let pushed = system.push(&records.join("\n")).await.json();
    assert_eq!(pushed["duplicates"], 3, "it is the same event that a push would have brought: {pushed}");
    expect_balance(&system, [7, 3, 3, 1, 0, 3]).await;
    // What is refused once more is a letter again, and its event is there.
    assert_eq!(system.push_to("acc", &records[0]).await.json()["dead_lettered"], 1);
    let again = run(&system, &[&INTO[..], &["--reason", "no_gateway"]].concat());
    assert_eq!((again.success, listed(&system).len()), (true, 4), "{}", again.text());
    expect_balance(&system, [8, 3, 4, 1, 0, 3]).await;
    expect_events(&system, 3).await;
}

#[tokio::test]
async fn what_was_stored_closed_is_opened_when_the_key_is_there() {
    let system = System::start().await;
    let chat = ai_gateway_example("encrypted_chat");
    let half = half_open();
    let batch =
        [&chat, &half, &ai_gateway_example("encrypted_damaged_answer")].map(String::as_str).join("\n");
    let answer = system.push_to("acc", &batch).await.json();
    assert_eq!((&answer["stored"], &answer["sealed"]), (&json!(3), &json!(3)), "{answer}");
    // Its letter is then of another write than its row.
    assert_eq!(system.push_to("acc", &chat).await.json()["duplicates"], 1);
    // A row that came as the clock struck belongs to the hour before, once it is replaced.
    let strikes = "ALTER TABLE logs UPDATE ingested_at = toStartOfHour(ingested_at) WHERE 1 SETTINGS mutations_sync = 2";
    system.sql(strikes).await;
    let priced = "ALTER TABLE logs UPDATE cost = 0.5, cost_source = 'computed', unpriced_reason = '', cost_revision = 2 \
        WHERE request_size IS NULL AND response_size IS NULL SETTINGS mutations_sync = 2";
    system.sql(priced).await;
    expect_balance(&system, [4, 3, 1, 0, 0, 3]).await;
    let closed = run(&system, &["replay", "--yes"]);
    assert!(!closed.success && closed.text().contains("\nundecryptable  3 "), "{}", closed.text());

    let opened = replay_with_key(&system, &["replay", "--yes"]);
    assert_eq!(first_line(&opened), "3 letters: 0 stored, 0 duplicates, 0 ignored, 2 opened, 1 stay");
    assert!(!opened.success && opened.text().contains("ResponseBody: data is damaged"), "{}", opened.text());
    let rows = "SELECT arrayStringConcat(flags, ' '), cost, tokens_in, request_size > 0, response_size > 0 \
        FROM logs ORDER BY cost NULLS LAST, flags";
    let expected = "\t0.0000858\t420\t1\t1\n\t0.0000858\t420\t1\t1\nresponse_undecryptable\t\\N\t\\N\t1\t\\N";
    assert_eq!(system.sql(rows).await, expected);
    // Two of them were priced anew before, and what that was is kept, as with any other new price.
    let revisions = "SELECT revision, old_cost, old_cost_source, new_cost, new_cost_source FROM cost_revisions \
        ORDER BY old_cost NULLS LAST, new_cost NULLS LAST";
    let kept = "3\t0.5\tcomputed\t0.0000858\tcomputed\n3\t0.5\tcomputed\t\\N\tunpriced\n1\t\\N\tunpriced\t0.0000858\tcomputed";
    assert_eq!(system.sql(revisions).await, kept);
    assert_eq!(system.sql("SELECT cost_revision FROM logs ORDER BY cost_revision").await, "1\n3\n3");
    let bodies = "SELECT count(), uniqExact(id), countIf(request LIKE '%Grüße, 世界%'), countIf(response LIKE '%Hallo%') \
        FROM (SELECT id, request, response FROM bodies ORDER BY version DESC LIMIT 1 BY id)";
    assert_eq!(system.sql(bodies).await, "3\t3\t3\t2", "the bodies that came last count");
    let told = told(&system).await;
    assert_eq!((sums(&told), &told["balanced"]), ([4, 3, 1, 0, 0, 3], &json!(true)), "{told}");
    assert_eq!(told["hours"].as_array().unwrap().len(), 2, "{told}");
    let rollup = "SELECT sum(requests), sum(unpriced), toString(sum(cost)) FROM usage_1m FINAL";
    eventually(LIMIT, "3\t1\t0.0001716".to_owned(), || system.sql(rollup)).await;

    let again = replay_with_key(&system, &["replay", "--yes"]);
    assert_eq!(first_line(&again), "1 letters: 0 stored, 0 duplicates, 0 ignored, 0 opened, 1 stay");
    assert_eq!(system.sql(rows).await, expected);
    // A letter that came once more is settled by the row that is there.
    assert_eq!(system.push_to("acc", &chat).await.json()["sealed"], 1);
    let again = replay_with_key(&system, &["replay", "--yes"]);
    assert_eq!(first_line(&again), "2 letters: 0 stored, 0 duplicates, 0 ignored, 1 opened, 1 stay");
    assert_eq!(system.sql(rows).await, expected);
    expect_balance(&system, [5, 3, 2, 0, 0, 3]).await;
}

/// A log whose request came in the open.
fn half_open() -> String {
    let mut log: Value = serde_json::from_str(&ai_gateway_example("encrypted_chat")).unwrap();
    log["RequestBody"] =
        json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "Grüße, 世界" }] });
    log.to_string()
}

#[tokio::test]
async fn a_closed_record_of_no_gateway_is_stored_first_and_opened_later() {
    let system = System::start().await;
    let mut log: Value = serde_json::from_str(&ai_gateway_example("encrypted_chat")).unwrap();
    log.as_object_mut().unwrap().remove("Gateway");
    assert_eq!(system.push_to("acc", &log.to_string()).await.json()["dead_lettered"], 1);
    let stored = run(&system, &INTO);
    assert!(stored.success, "{}", stored.text());
    let expected = "1 letters: 1 stored, 0 duplicates, 0 ignored, 0 opened, 0 stay\n\
        1 of the events have fields that no private key opens, and a letter with them\n";
    assert_eq!(stored.text(), expected);
    let letters = succeeded(&system, &["list", "--json"]).letters();
    assert!(letters.len() == 1 && letters[0]["reason"] == "undecryptable", "{letters:?}");
    expect_balance(&system, [1, 1, 0, 0, 0, 1]).await;
    let opened = replay_with_key(&system, &["replay", "--yes"]);
    assert_eq!(first_line(&opened), "1 letters: 0 stored, 0 duplicates, 0 ignored, 1 opened, 0 stay");
    assert!(opened.success, "{}", opened.text());
    assert_eq!(system.sql("SELECT toString(cost), flags FROM logs").await, "0.0000858\t[]");
    expect_balance(&system, [1, 1, 0, 0, 0, 1]).await;
    assert_eq!(system.push(&log.to_string()).await.json()["duplicates"], 1);
}

#[tokio::test]
async fn without_nats_nothing_is_begun() {
    let system = System::start().await;
    orphans(&system, 1..3).await;
    system.weir.nats.service.kill_hard().unwrap();
    let failed = run(&system, &INTO);
    assert!(!failed.success && failed.error.contains("nats cannot be reached"), "{}", failed.error);
    assert_eq!(system.sql("SELECT count() FROM logs").await, "0");
    system.weir.nats.service.restart(Weir::START_LIMIT).await.unwrap();
    assert!(run(&system, &INTO).success);
    expect_events(&system, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_nats_was_not_told_of_is_not_settled() {
    const LETTERS: u64 = 5_000;
    let system = System::start().await;
    orphans(&system, 0..LETTERS).await;
    let mut replay = command(&system, &INTO);
    let replay = replay.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually(LIMIT, "1".to_owned(), || system.sql("SELECT count() > 0 FROM logs")).await;
    system.weir.nats.service.suspend().unwrap();
    let ended: Ended = spawn_blocking(|| replay.wait_with_output().unwrap()).await.unwrap().into();
    system.weir.nats.service.resume().unwrap();
    assert!(!ended.success && ended.error.contains("run it again"), "{}", ended.error);
    let unsettled = "SELECT countIf(settled_at IS NULL) FROM dead_letters FINAL";
    let (rows, unsettled) = (system.sql("SELECT count() FROM logs").await, system.sql(unsettled).await);
    let (rows, unsettled): (u64, u64) = (rows.parse().unwrap(), unsettled.parse().unwrap());
    assert!(rows + unsettled > LETTERS, "{rows} rows, {unsettled} letters");
    let again = run(&system, &INTO);
    assert!(again.success, "{} {}", again.text(), again.error);
    assert_eq!(
        first_line(&again),
        format!("{unsettled} letters: {unsettled} stored, 0 duplicates, 0 ignored, 0 opened, 0 stay")
    );
    expect_balance(&system, [5_000, 5_000, 0, 0, 0, 5_000]).await;
    expect_events(&system, LETTERS).await;
}

/// A statement of a replay: behind how many with these parts it comes, and the parts.
pub(super) type Point = (usize, &'static [&'static str]);

/// The entry of what was stored: what is about to be stored is entered before.
pub(super) const ENTRY: Point = (1, &["INSERT", "ledger"]);

/// A replay that is killed when it sends a statement. ClickHouse gets it when the proxy is dropped.
pub(super) async fn kill_at(system: &System, point: Point) -> Proxy {
    let (proxy, replay) = hold_at(system, point).await;
    kill(replay);
    proxy
}

/// The same when it has sent all of an insert.
pub(super) async fn kill_behind(system: &System, point: Point) -> Proxy {
    let (proxy, replay) = hold_at(system, point).await;
    tokio::select! {
        () = proxy.wait_until_it_is_whole() => {}
        () = sleep(LIMIT) => panic!("the insert does not end"),
    }
    kill(replay);
    proxy
}

async fn hold_at(system: &System, (first, parts): Point) -> (Proxy, Child) {
    let mut proxy = Proxy::new();
    let url = proxy.lead_to(&system.weir.clickhouse.url);
    proxy.hold_behind(first, parts);
    let mut command = command(system, &INTO);
    command.env("WEIR_CLICKHOUSE_URL", url).env(KEYS, ai_gateway_key("current"));
    let replay = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    tokio::select! {
        () = proxy.wait_until_it_came() => {}
        () = sleep(LIMIT) => panic!("no statement had {parts:?}"),
    }
    (proxy, replay)
}

fn kill(mut replay: Child) {
    replay.kill().unwrap();
    replay.wait().unwrap();
}

#[tokio::test]
async fn a_replay_that_is_killed_anywhere_is_finished_by_the_next() {
    let system = System::start().await;
    let points: [Point; 8] = [
        (0, &["INSERT", "bodies"]),
        (0, &["INSERT", "cost_revisions"]),
        (0, &["INSERT", "ledger"]),
        (0, &["INSERT", "logs"]),
        ENTRY,
        (0, &["splitByChar"]),
        (0, &["DELETE FROM logs"]),
        (0, &["INSERT INTO dead_letters", "settled_as"]),
    ];
    let (mut events, mut held) = (0, Vec::new());
    for (round, point) in (0_u64..).zip(points) {
        orphans(&system, events..events + 2).await;
        events += 2;
        sealed(&system, round).await;
        held.push(kill_at(&system, point).await);
        let done = replay_with_key(&system, &INTO);
        assert!(done.success, "{point:?}: {} {}", done.text(), done.error);
        let count = (events + round + 1).to_string();
        let rows = system.sql("SELECT count(), uniqExact(id), countIf(empty(flags)) FROM logs").await;
        assert_eq!(rows, [&*count; 3].join("\t"), "{point:?}");
        let told = told(&system).await;
        let count: i64 = count.parse().unwrap();
        assert_eq!(
            (sums(&told), &told["balanced"]),
            ([count, count, 0, 0, 0, count], &json!(true)),
            "{point:?} {told}"
        );
        let open = succeeded(&system, &["list"]).text();
        assert_eq!(open, "no letters\n", "{point:?}");
    }
    let again = replay_with_key(&system, &INTO);
    assert_eq!((again.success, &*again.text()), (true, "no letters to replay\n"));
    let rollup = "SELECT sum(requests), sum(unpriced) FROM usage_1m FINAL";
    eventually(LIMIT, format!("{}\t0", events + 8), || system.sql(rollup)).await;
    let revisions = "SELECT count(), uniqExact(id), countIf(old_cost IS NULL), toString(sum(new_cost)) FROM cost_revisions";
    assert_eq!(system.sql(revisions).await, "8\t8\t8\t0.0006864", "what each cost before is kept once");
}

#[tokio::test]
async fn two_replays_at_once_store_each_event_once() {
    let system = System::start().await;
    orphans(&system, 1..301).await;
    let closed: Vec<_> = (0..20)
        .map(|second| {
            let log: Value = serde_json::from_str(&ai_gateway_example("encrypted_chat")).unwrap();
            let at = format!("\"Datetime\":\"2026-09-21T14:20:{:02}Z\"", 10 + second);
            log.to_string().replace(&format!("\"Datetime\":{}", log["Datetime"]), &at)
        })
        .collect();
    assert_eq!(system.push_to("acc", &closed.join("\n")).await.json()["sealed"], 20);
    let replays: Vec<_> = (0..3)
        .map(|_| {
            let mut command = command(&system, &INTO);
            let command = command.env(KEYS, ai_gateway_key("current"));
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for replay in replays {
        let ended: Ended = replay.wait_with_output().unwrap().into();
        assert!(ended.success, "{} {}", ended.text(), ended.error);
    }
    let rows = "SELECT count(), uniqExact(id), countIf(empty(flags)) FROM logs";
    assert_eq!(system.sql(rows).await, "320\t320\t320");
    expect_balance(&system, [320, 320, 0, 0, 0, 320]).await;
    assert_eq!(succeeded(&system, &["list"]).text(), "no letters\n");
}
