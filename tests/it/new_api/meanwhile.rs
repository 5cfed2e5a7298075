//! What is said of lists while rows come in and go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness::eventually;
use serde_json::Value;
use weir_event::{EventId, Timestamp};
use weir_store::LogRow;

use super::callers::{TENANT, user, who};
use crate::query_api::world::{TOKEN, World};

const LIMIT: Duration = Duration::from_mins(1);
const STARTED_AT_MS: i64 = 1_762_776_000_000;
const INSERTS: i64 = 60;
/// Rows of one insert, every other one of user 1.
const BATCH: i64 = 10;
/// Rounds of deleting: in each a batch goes by one way, and the next by another.
const DELETIONS: i64 = 8;

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

/// An admin and user 1, who ask.
struct Askers {
    world: World,
    admin: String,
    own: String,
}

impl Askers {
    async fn start() -> Self {
        let world = World::start().await;
        let admin = user(&world, TENANT, "9", "admin", "admin").await;
        let own = user(&world, TENANT, "1", "mina", "common").await;
        let askers = Self { world, admin, own };
        for (token, id) in [(&askers.admin, "9"), (&askers.own, "1")] {
            let known = async || who(&askers.world, token, id).await.text.contains(r#""success":true"#);
            eventually(LIMIT, true, known).await;
        }
        askers
    }

    async fn get(&self, path: &str, is_admin: bool) -> Value {
        let (token, id) = if is_admin { (&self.admin, "9") } else { (&self.own, "1") };
        let answer = self.world.ask("GET", path, &[("authorization", token), ("new-api-user", id)]).await;
        serde_json::from_str(&answer.text).unwrap()
    }

    /// The total of a list, a stat over its rows, and the total again. Every row is one unit, so the stat is between them.
    async fn look(&self, is_admin: bool) -> [i64; 3] {
        let (list, stat) =
            if is_admin { ("/api/log/", "/api/log/stat") } else { ("/api/log/self", "/api/log/self/stat") };
        let before = self.get(&format!("{list}?page_size=1&model_name=gpt%25"), is_admin).await;
        let stat = self.get(&format!("{stat}?model_name=gpt%25"), is_admin).await;
        let after = self.get(&format!("{list}?page_size=1&model_name=gpt%25"), is_admin).await;
        let found = [&before["data"]["total"], &stat["data"]["quota"], &after["data"]["total"]];
        found.map(|count| count.as_i64().unwrap())
    }

    /// Looks again and again while `work` is done, and sees that `in_order` holds.
    async fn watch(&self, work: impl Future<Output = ()>, in_order: impl Fn(&[i64; 3]) -> bool) {
        let is_done = AtomicBool::new(false);
        let work = async {
            work.await;
            is_done.store(true, Ordering::SeqCst);
        };
        let look = async {
            let mut looks = 0;
            while !is_done.load(Ordering::SeqCst) {
                for is_admin in [true, false] {
                    let found = self.look(is_admin).await;
                    assert!(in_order(&found), "{found:?}");
                }
                looks += 1;
            }
            looks
        };
        let ((), looks) = tokio::join!(work, look);
        assert!(looks > 0);
    }
}

#[tokio::test]
async fn a_stat_is_the_sum_over_its_list_while_rows_come_in_go_and_parts_are_merged() {
    let askers = Askers::start().await;
    let world = &askers.world;
    let come_in = async {
        for insert in 0..INSERTS {
            let rows: Vec<_> = (insert * BATCH..(insert + 1) * BATCH).map(row).collect();
            world.insert_logs(&rows).await;
            if insert % 20 == 19 {
                world.sql("OPTIMIZE TABLE logs FINAL").await;
            }
        }
    };
    askers.watch(come_in, |found| found.is_sorted()).await;
    let all = INSERTS * BATCH;
    assert_eq!((askers.look(true).await, askers.look(false).await), ([all; 3], [all / 2; 3]));

    // By the API of Cloudflare's, the oldest first, and between them as a removal by age does it.
    let go = async {
        for step in 1..=DELETIONS {
            let path = format!("/client/v4/accounts/acc/ai-gateway/gateways/gw/logs?limit={BATCH}");
            let answer = world.ask("DELETE", &path, &[("authorization", &format!("Bearer {TOKEN}"))]).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            let before = STARTED_AT_MS + step * 2 * BATCH;
            world
                .sql(&format!(
                    "DELETE FROM logs WHERE created_at < fromUnixTimestamp64Milli({before}) \
                     SETTINGS lightweight_deletes_sync = 2"
                ))
                .await;
        }
    };
    askers.watch(go, |found| found.is_sorted_by(|a, b| a >= b)).await;
    let left = all - DELETIONS * 2 * BATCH;
    assert_eq!((askers.look(true).await, askers.look(false).await), ([left; 3], [left / 2; 3]));
}
