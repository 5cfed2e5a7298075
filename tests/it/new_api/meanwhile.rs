//! What is said of lists while rows come in.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness::eventually;
use serde_json::Value;
use weir_event::{EventId, Timestamp};
use weir_store::LogRow;

use super::callers::{TENANT, user, who};
use crate::query_api::world::World;

const LIMIT: Duration = Duration::from_mins(1);
const STARTED_AT_MS: i64 = 1_762_776_000_000;
const INSERTS: i64 = 60;
/// Rows of one insert, every other one of user 1.
const BATCH: i64 = 10;

/// Row `n`: it consumes one unit of quota.
fn row(n: i64) -> LogRow<'static> {
    let at_ms = STARTED_AT_MS + n;
    LogRow {
        account_id: "acc",
        gateway_id: "gw",
        created_at: at_ms,
        started_at: at_ms,
        id: EventId::derive(Timestamp::from_millis(at_ms).unwrap(), &[&n.to_le_bytes()]).bytes(),
        dialect: "new_api_log",
        kind: "consume",
        success: true,
        user_id: if n % 2 == 0 { "1" } else { "2" },
        model_requested: "gpt-4o",
        quota: Some(1),
        ..LogRow::default()
    }
}

#[tokio::test]
async fn a_stat_is_the_sum_over_its_list_while_rows_come_in_and_parts_are_merged() {
    let world = World::start().await;
    let (admin, own) = (
        user(&world, TENANT, "9", "admin", "admin").await,
        user(&world, TENANT, "1", "mina", "common").await,
    );
    for (token, id) in [(&admin, "9"), (&own, "1")] {
        let known = async || who(&world, token, id).await.text.contains(r#""success":true"#);
        eventually(LIMIT, true, known).await;
    }
    let get = async |path: &str, token: &str, id: &str| -> Value {
        let answer = world.ask("GET", path, &[("authorization", token), ("new-api-user", id)]).await;
        serde_json::from_str(&answer.text).unwrap()
    };
    // Every row is one unit, so a stat is between the totals of the lists before and after it.
    let look = async |list: &str, stat: &str, token: &str, id: &str| -> [i64; 3] {
        let before = get(&format!("{list}?page_size=1&model_name=gpt%25"), token, id).await;
        let stat = get(&format!("{stat}?model_name=gpt%25"), token, id).await;
        let after = get(&format!("{list}?page_size=1&model_name=gpt%25"), token, id).await;
        let found = [&before["data"]["total"], &stat["data"]["quota"], &after["data"]["total"]];
        found.map(|count| count.as_i64().unwrap())
    };
    let is_done = AtomicBool::new(false);
    let write = async {
        for insert in 0..INSERTS {
            let rows: Vec<_> = (insert * BATCH..(insert + 1) * BATCH).map(row).collect();
            world.insert_logs(&rows).await;
            if insert % 20 == 19 {
                world.sql("OPTIMIZE TABLE logs FINAL").await;
            }
        }
        is_done.store(true, Ordering::SeqCst);
    };
    let watch = async {
        let mut looks = 0;
        while !is_done.load(Ordering::SeqCst) {
            for (list, stat, token, id) in [
                ("/api/log/", "/api/log/stat", &admin, "9"),
                ("/api/log/self", "/api/log/self/stat", &own, "1"),
            ] {
                let found = look(list, stat, token, id).await;
                assert!(found.is_sorted(), "{list}: {found:?}");
            }
            looks += 1;
        }
        looks
    };
    let ((), looks) = tokio::join!(write, watch);
    assert!(looks > 0);
    let all = INSERTS * BATCH;
    assert_eq!(look("/api/log/", "/api/log/stat", &admin, "9").await, [all; 3]);
    assert_eq!(look("/api/log/self", "/api/log/self/stat", &own, "1").await, [all / 2; 3]);
}
