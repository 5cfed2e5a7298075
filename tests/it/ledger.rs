//! The ledger: what became of every record, what it says of a killed process, and whether its imbalance is seen.

use std::time::Duration;

use harness::traffic::{now_ms, record};
use harness::{System, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};
use weir_local::Weir;

use crate::deletion::live;
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
async fn what_was_taken_out_of_an_unentered_write_is_entered_with_it() {
    let system = System::start().await;
    let at = "(now() - INTERVAL 10 MINUTE)";
    // Of write 10 two rows are left of five, of write 12 none of two, of write 14 one is being taken out just now.
    for (write, left, taken_out) in [(10, 0..2, 2..5), (12, 10..10, 10..12), (14, 20..21, 20..21)] {
        for number in left {
            let row = "INSERT INTO logs (account_id, gateway_id, id, created_at, started_at, ingested_at, source, write_id) \
                SELECT 'acc', 'gw', leftPad";
            system.sql(&format!("{row}('{number}', 26, '0'), {at}, {at}, {at}, 'http', {write}")).await;
        }
        for number in taken_out {
            let correction = "INSERT INTO ledger (hour, source, account_id, write_id, subject, stored, duplicates, \
                    gateway_id, minute, entered_at, version) SELECT toStartOfHour";
            let rest =
                format!("'http', 'acc', {write}, leftPad('{number}', 26, '0'), -1, 1, 'gw', {at}, {at}, 2");
            system.sql(&format!("{correction}({at}), {rest}")).await;
        }
    }
    system.weir.ingest.kill_hard().unwrap();
    system.weir.ingest.restart(Weir::START_LIMIT).await.unwrap();
    let entries = "SELECT write_id, received, stored, duplicates, version FROM ledger FINAL WHERE subject = '' ORDER BY ALL";
    let expected = "10\t5\t5\t0\t0\n12\t2\t2\t0\t0\n14\t1\t1\t0\t0";
    eventually(LIMIT, expected.to_owned(), || system.sql(entries)).await;
    // As if the last one had been deleted.
    assert_eq!(system.sql(SUMS).await, "8\t2\t6\t0\t0");
}

#[tokio::test]
async fn a_write_of_several_accounts_is_entered_with_all_of_them_once_none_is_young() {
    let eager = ("WEIR_INGEST_RECONCILE_INTERVAL", "1s".to_owned());
    let system = System::start_with(|_| vec![eager]).await;
    system.weir.ingest.kill_hard().unwrap();
    let at = "(now() - INTERVAL 10 MINUTE)";
    // Write 10 has a row of each of two accounts and a letter of a third; write 12 is there to be waited for.
    for (account, number, write) in [("a", 1, 10), ("b", 2, 10), ("b", 3, 12)] {
        let row = "INSERT INTO logs (account_id, gateway_id, id, created_at, started_at, ingested_at, source, write_id)";
        let values =
            format!("'{account}', 'gw', leftPad('{number}', 26, '0'), {at}, {at}, {at}, 'http', {write}");
        system.sql(&format!("{row} SELECT {values}")).await;
    }
    let letter =
        "INSERT INTO dead_letters (account_id, digest, received_at, source, write_id, reason) SELECT";
    system.sql(&format!("{letter} 'c', 'd', {at}, 'http', 10, 'malformed_json'")).await;
    // One more row of it was taken out: just now, and then as if that had been long ago.
    let correct = async |entered_at: &str, version: u32| {
        let correction = "INSERT INTO ledger (hour, source, account_id, write_id, subject, stored, duplicates, gateway_id, \
            minute, entered_at, version) SELECT toStartOfHour";
        let rest =
            format!("'http', 'a', 10, leftPad('4', 26, '0'), -1, 1, 'gw', {at}, {entered_at}, {version}");
        system.sql(&format!("{correction}({at}), {rest}")).await
    };
    correct("now64(3)", 2).await;
    system.weir.ingest.restart(Weir::START_LIMIT).await.unwrap();
    let entries = "SELECT account_id, write_id, received, stored, dead_lettered FROM ledger FINAL \
        WHERE subject = '' ORDER BY write_id, account_id";
    eventually(LIMIT, "b\t12\t1\t1\t0".to_owned(), || system.sql(entries)).await;
    correct(at, 3).await;
    let all = "a\t10\t2\t2\t0\nb\t10\t1\t1\t0\nc\t10\t1\t0\t1\nb\t12\t1\t1\t0";
    eventually(LIMIT, all.to_owned(), || system.sql(entries)).await;
}

/// A materialized view of the operator's own that fails: ClickHouse says that the insert failed, and its rows are there.
#[tokio::test]
async fn rows_that_are_stored_although_their_insert_failed_are_counted_once() {
    let system = System::start().await;
    system.sql("CREATE TABLE copies (id String) ENGINE = MergeTree ORDER BY id").await;
    let fails = "CREATE MATERIALIZED VIEW fails TO copies AS \
        SELECT toString(id) AS id FROM logs WHERE NOT throwIf(ray_id = '0000000000000003', 'a view that fails')";
    system.sql(fails).await;
    let batch = lines(5);
    assert_eq!(system.push(&batch).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(system.sql("SELECT count(), uniqExact(id) FROM logs").await, "5\t5");
    assert_eq!(system.sql(SUMS).await, "0\t0\t0\t0\t0");
    system.sql("DROP VIEW fails").await;
    let again = system.push(&batch).await.json();
    assert_eq!((&again["stored"], &again["duplicates"]), (&json!(0), &json!(5)), "{again}");
    // Whoever finds them there tells the aggregator of them.
    eventually(LIMIT, Some(5), || live(&system, "gw")).await;
    let age = "ALTER TABLE logs UPDATE ingested_at = ingested_at - INTERVAL 10 MINUTE WHERE 1 SETTINGS mutations_sync = 2";
    system.sql(age).await;
    system.weir.ingest.kill_hard().unwrap();
    system.weir.ingest.restart(Weir::START_LIMIT).await.unwrap();
    eventually(LIMIT, "10\t5\t5\t0\t0".to_owned(), || system.sql(SUMS)).await;
    assert_eq!(system.sql("SELECT count(), uniqExact(id) FROM logs").await, "5\t5");
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

/// What the API says of the last hour and the next, so that a full hour may strike.
async fn told(system: &System, account: &str, rest: &str) -> Value {
    let time = |millis: i64| weir_event::Timestamp::from_millis(millis).unwrap();
    let (from, to) = (time(now_ms() - 3_600_000), time(now_ms() + 3_600_000));
    let answer = system.get(&format!("/v1/ledger?account_id={account}&from={from}&to={to}{rest}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()
}

/// The sums over the hours: received, stored, duplicates, dead letters, ignored, rows.
pub(crate) fn sums(told: &Value) -> [i64; 6] {
    let names = ["received", "stored", "duplicates", "dead_lettered", "ignored", "rows"];
    let hours = told["hours"].as_array().unwrap();
    names.map(|name| hours.iter().map(|hour| hour[name].as_i64().unwrap()).sum())
}

#[tokio::test]
async fn every_record_is_in_the_ledger_and_a_row_that_is_gone_is_missed() {
    let system = System::start().await;
    let batch = format!("{}\nbroken\n", lines(5));
    let first = system.push(&batch).await.json();
    assert_eq!((&first["stored"], &first["dead_lettered"]), (&json!(5), &json!(1)), "{first}");
    system.push(&batch).await;
    let all = told(&system, "acc", "").await;
    assert_eq!((sums(&all), &all["balanced"]), ([12, 5, 5, 2, 0, 5], &json!(true)), "{all}");
    assert!(all["hours"].as_array().unwrap().iter().all(|hour| hour["source"] == "logpush"), "{all}");
    assert_eq!(all["in_flight"], json!({"processes": 1, "records": {}, "spooled": {}}));

    let second = system.second_ingest(Vec::new()).await;
    assert_eq!(told(&system, "acc", "").await["in_flight"]["processes"], 2);
    drop(second);

    assert_eq!(told(&system, "acc", "&source=logpush").await["hours"], all["hours"]);
    assert_eq!(told(&system, "acc", "&source=kafka").await["hours"], json!([]));
    assert_eq!(told(&system, "other", "").await["hours"], json!([]));

    system.sql("DELETE FROM logs WHERE ray_id = '0000000000000003'").await;
    let less = told(&system, "acc", "").await;
    assert_eq!((sums(&less), &less["balanced"]), ([12, 5, 5, 2, 0, 4], &json!(false)), "{less}");
    // Whoever deletes a row says so.
    let deletion = "INSERT INTO ledger (hour, source, account_id, write_id, subject, stored, deleted, version) \
        SELECT toStartOfHour(any(ingested_at)), 'logpush', 'acc', any(write_id), 'deleted:by hand', -1, 1, 1 FROM logs";
    system.sql(deletion).await;
    assert_eq!(told(&system, "acc", "").await["balanced"], true);

    let bad = system.get("/v1/ledger?account_id=acc&from=1&to=2026-01-01T00:00:00Z&source=x").await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST, "{}", bad.text);
    assert!(bad.text.contains("from: ") && bad.text.contains("source: "), "{}", bad.text);
}

#[tokio::test]
async fn what_waits_in_the_spool_is_in_flight_until_it_is_stored() {
    let system = System::start().await;
    let weir = &system.weir;
    weir.ingest.kill_hard().unwrap();
    let nowhere = ("WEIR_CLICKHOUSE_URL", "http://127.0.0.1:1".to_owned());
    let cut_off = system.second_ingest(vec![nowhere]).await;
    let answer = system.push_at(cut_off.address, &lines(5)).await.unwrap().json();
    assert_eq!(answer["spooled"], 5, "{answer}");
    let all = told(&system, "acc", "").await;
    assert_eq!((sums(&all), &all["in_flight"]["spooled"]), ([0; 6], &json!({"logpush": 5})), "{all}");
    assert_eq!(told(&system, "acc", "&source=kafka").await["in_flight"]["spooled"], json!({}));

    weir.ingest.restart(Weir::START_LIMIT).await.unwrap();
    let spooled = async || told(&system, "acc", "").await["in_flight"]["spooled"].clone();
    eventually(LIMIT, json!({}), spooled).await;
    let all = told(&system, "acc", "").await;
    assert_eq!((sums(&all), &all["balanced"]), ([5, 5, 0, 0, 0, 5], &json!(true)), "{all}");

    weir.nats.service.kill_hard().unwrap();
    let unknown = json!({"processes": null, "records": null, "spooled": null});
    eventually(LIMIT, unknown, async || told(&system, "acc", "").await["in_flight"].clone()).await;
}

#[tokio::test]
async fn an_hour_has_what_was_taken_in_within_it() {
    let system = System::start().await;
    let hour_ms = 3_600_000;
    let strikes = now_ms() / hour_ms * hour_ms - 2 * hour_ms;
    // A write at the last millisecond of an hour, and one at the first of the next.
    for (write, at) in [(2, strikes - 1), (4, strikes)] {
        let row = format!(
            "INSERT INTO logs (account_id, gateway_id, id, created_at, started_at, ingested_at, source, write_id) \
             SELECT 'acc', 'gw', leftPad('{write}', 26, '0'), fromUnixTimestamp64Milli({at}), \
                 fromUnixTimestamp64Milli({at}), fromUnixTimestamp64Milli({at}), 'http', {write}"
        );
        let entry = format!(
            "INSERT INTO ledger (hour, source, account_id, write_id, received, stored, version) \
             SELECT toStartOfHour(fromUnixTimestamp64Milli({at}, 'UTC')), 'http', 'acc', {write}, 1, 1, 1"
        );
        system.sql(&row).await;
        system.sql(&entry).await;
    }
    let time = |millis: i64| weir_event::Timestamp::from_millis(millis).unwrap();
    for hour in [strikes - hour_ms, strikes] {
        let (from, to) = (time(hour), time(hour + hour_ms));
        let answer = system.get(&format!("/v1/ledger?account_id=acc&from={from}&to={to}")).await.json();
        assert_eq!((sums(&answer), &answer["balanced"]), ([1, 1, 0, 0, 0, 1], &json!(true)), "{answer}");
        assert_eq!(answer["hours"][0]["hour"], from.to_string());
    }
}
