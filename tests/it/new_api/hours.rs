//! Use by hour that is more than an answer may have.

use std::time::Duration;

use harness::eventually;
use serde_json::Value;

use super::DIALECTS;
use super::callers::{TENANT, user, who};
use crate::query_api::world::World;

const LIMIT: Duration = Duration::from_mins(1);
const DAY_S: u32 = 86_400;
/// When the first of two days begins, in seconds.
const FIRST_S: u32 = 1_762_732_800;
/// The most sums of an answer.
const HOURS_MAX: u32 = 200_000;

#[tokio::test]
async fn use_by_hour_that_is_too_much_is_told_with_what_to_ask_for_instead() {
    for (dialect, message) in [
        (DIALECTS[0], "数据过多，请缩小时间范围"),
        (DIALECTS[2], "Too much data, please narrow the time range"),
    ] {
        let world = World::start_with(&[("WEIR_QUERY_API_NEW_API_DIALECT", dialect)]).await;
        // One model each; the last one is of the second day.
        let statement = format!(
            "INSERT INTO logs (account_id, gateway_id, created_at, started_at, id, dialect, kind, success, user_id, \
                 model_requested) \
             SELECT 'acc', 'gw', toDateTime64({FIRST_S} + if(number < {HOURS_MAX}, 0, {DAY_S}), 3, 'UTC') AS at, at, \
                 leftPad(toString(number), 26, '0'), 'new_api_log', 'consume', true, '1', toString(number) \
             FROM numbers({HOURS_MAX} + 1)"
        );
        world.sql(&statement).await;
        let admin = user(&world, TENANT, "9", "admin", "admin").await;
        let is_known = async || who(&world, &admin, "9").await.text.contains(r#""success":true"#);
        eventually(LIMIT, true, is_known).await;
        let asked = async |from_s: u32| {
            let path = format!("/api/data/?start_timestamp={from_s}&end_timestamp={}", FIRST_S + 2 * DAY_S);
            let answer = world.ask("GET", &path, &[("authorization", &admin), ("new-api-user", "9")]).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            answer.text
        };
        let expected = format!(r#"{{"message":"{message}","success":false}}"#);
        assert_eq!(asked(FIRST_S).await, expected, "{dialect}");
        let told: Value = serde_json::from_str(&asked(FIRST_S + DAY_S).await).unwrap();
        assert_eq!(told["data"].as_array().map(Vec::len), Some(1), "{told}");
    }
}
