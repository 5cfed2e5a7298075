//! Rows that are long: a list of them is sent as it is read, whatever they have together, and nobody holds it whole.

use std::io::Read;
use std::time::Duration;

use flate2::read::GzDecoder;
use harness::eventually;
use reqwest::Client;
use serde_json::Value;
use weir_event::{EventId, Timestamp};
use weir_store::LogRow;

use super::callers::{TENANT, key, user, who};
use crate::query_api::world::World;

const LIMIT: Duration = Duration::from_mins(1);
const STARTED_AT_MS: i64 = 1_762_776_000_000;
const KEY: &str = "abcdefghijklmnopqrst";
const ROWS: u32 = 100;
/// How often each row says its id, of 26 characters.
const REPETITIONS: usize = 32_000;
/// How much more memory than before may be taken for a list, which has more.
const TAKEN_BYTES_MAX: u64 = 64 << 20;

fn id_of(n: u32) -> EventId {
    EventId::derive(Timestamp::from_millis(STARTED_AT_MS).unwrap(), &[&n.to_le_bytes()])
}

/// When row `n` ended: there are three of each moment.
fn ended_at(n: u32) -> i64 {
    STARTED_AT_MS + i64::from(n / 3)
}

fn row(n: u32) -> LogRow<'static> {
    LogRow {
        account_id: "acc",
        gateway_id: "gw",
        created_at: ended_at(n),
        started_at: STARTED_AT_MS,
        id: id_of(n).bytes(),
        dialect: "new_api_log",
        kind: "consume",
        success: true,
        user_id: "1",
        token_id: "31",
        model_requested: "gpt-4o",
        quota: Some(1),
        ..LogRow::default()
    }
}

/// What the rows say, the newest first.
fn expected() -> Vec<String> {
    let mut places: Vec<_> = (0..ROWS).map(|n| (ended_at(n), id_of(n).to_string())).collect();
    places.sort();
    places.into_iter().rev().map(|(_, id)| format!("{{\"text\":\"{}\"}}", id.repeat(REPETITIONS))).collect()
}

/// With the rows, and an admin's token.
async fn with_long_rows() -> (World, String) {
    let world = World::start().await;
    world.insert_logs(&(0..ROWS).map(row).collect::<Vec<_>>()).await;
    let said = format!("concat('{{\"text\":\"', repeat(toString(id), {REPETITIONS}), '\"}}')");
    world
        .sql(&format!("ALTER TABLE logs UPDATE usage_json = {said} WHERE true SETTINGS mutations_sync = 2"))
        .await;
    let admin = user(&world, TENANT, "9", "admin", "admin").await;
    key(&world, KEY, &["--token-id", "31"]).await;
    let is_known = async || who(&world, &admin, "9").await.text.contains(r#""success":true"#);
    eventually(LIMIT, true, is_known).await;
    (world, admin)
}

/// Asks, and says how the answer came: whether it is packed, and all of it.
async fn ask(world: &World, token: &str, path: &str, packs: bool) -> (bool, Vec<u8>) {
    let request = Client::new().get(format!("{}{path}", world.url));
    let request = request.header("authorization", token).header("new-api-user", "9");
    let request = if packs { request.header("accept-encoding", "gzip") } else { request };
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let is_packed = answer.headers().get("content-encoding").is_some_and(|value| value == "gzip");
    (is_packed, answer.bytes().await.unwrap().to_vec())
}

fn said(rows: &Value) -> Vec<&str> {
    rows.as_array().unwrap().iter().map(|row| row["other"].as_str().unwrap()).collect()
}

/// The most memory that the query API has had, in bytes.
fn peak_of(world: &World) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.api.pid().unwrap())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_long_rows_is_told_whole_and_held_by_nobody() {
    let (world, admin) = with_long_rows().await;
    let (before, expected) = (peak_of(&world), expected());
    let (_, page) = ask(&world, &admin, "/api/log/?page_size=100", false).await;
    assert!(page.len() as u64 > TAKEN_BYTES_MAX);
    let page: Value = serde_json::from_slice(&page).unwrap();
    assert_eq!((&page["success"], &page["data"]["total"]), (&true.into(), &ROWS.into()));
    assert!(
        said(&page["data"]["items"]) == expected,
        "the page has other rows, or they are in another order"
    );
    drop(page);

    // The second page, of fewer than there are left.
    let (_, page) = ask(&world, &admin, "/api/log/?page_size=40&p=2", false).await;
    let page: Value = serde_json::from_slice(&page).unwrap();
    assert!(said(&page["data"]["items"]) == expected[40..80], "the second page is another one");
    drop(page);

    let (is_packed, found) = ask(&world, &admin, "/api/log/search?keyword=2", true).await;
    assert!(is_packed && found.len() < 8 << 20, "{is_packed} {}", found.len());
    let mut text = String::new();
    GzDecoder::new(&*found).read_to_string(&mut text).unwrap();
    let found: Value = serde_json::from_str(&text).unwrap();
    assert!(said(&found["data"]) == expected, "what is found is another list");
    drop(found);

    let (_, of_key) = ask(&world, &admin, &format!("/api/log/token?key=sk-{KEY}"), false).await;
    let of_key: Value = serde_json::from_slice(&of_key).unwrap();
    assert!(said(&of_key["data"]) == expected, "the key has other rows");
    let taken = peak_of(&world) - before;
    assert!(taken < TAKEN_BYTES_MAX, "{taken} bytes were taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_read_to_its_end_breaks_off() {
    let (world, admin) = with_long_rows().await;
    let request = Client::new().get(format!("{}/api/log/?page_size=100", world.url));
    let mut answer =
        request.header("authorization", &admin).header("new-api-user", "9").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.chunk().await.unwrap().is_some());
    world.clickhouse.service.kill_hard().unwrap();
    let rest = async {
        while answer.chunk().await?.is_some() {}
        Ok::<_, reqwest::Error>(())
    };
    rest.await.expect_err("half a document is not taken for the whole");
    let log = world.api.log_tail();
    assert!(log.contains("request cannot be answered now"), "{log}");
}
