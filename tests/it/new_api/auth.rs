//! Who is let in, by every version's table, and what the commands make of it.

use std::time::{Duration, Instant};

use harness::eventually;
use serde_json::Value;
use weir_local::ClickHouse;
use weir_store::LogRow;

use super::callers::{OTHER_TENANT, TENANT, user, who, with_user};
use crate::query_api::rows::seed_row;
use crate::query_api::world::World;

const LIMIT: Duration = Duration::from_mins(1);
const DIALECT: &str = "WEIR_QUERY_API_NEW_API_DIALECT";

/// What is sent, with `ADMIN`, `COMMON` and `BANNED` for tokens, and what is answered by versions 0.9 and 1.0. A message stands
/// for a refusal, `ok` for being let in; before that of 1.0 stands its code.
const TABLE: &str = "
Authorization     | New-Api-User | 0.9                                                | 1.0
-                 | 1            | 401 无权进行此操作，未登录且未提供 access token    | 401 AUTH_UNAUTHORIZED Unauthorized, invalid access token
-                 | -            | 401 无权进行此操作，未登录且未提供 access token    | 401 AUTH_UNAUTHORIZED Unauthorized, invalid access token
stranger          | 1            | 200 无权进行此操作，access token 无效              | 401 AUTH_UNAUTHORIZED Unauthorized, invalid access token
stranger          | -            | 200 无权进行此操作，access token 无效              | 401 AUTH_UNAUTHORIZED Unauthorized, invalid access token
Basic ADMIN       | 1            | 200 无权进行此操作，access token 无效              | 401 AUTH_UNAUTHORIZED Unauthorized, invalid access token
Bearer            | 1            | 200 无权进行此操作，access token 无效              | 401 AUTH_UNAUTHORIZED Unauthorized, invalid access token
ADMIN             | -            | 401 无权进行此操作，未提供 New-Api-User            | ok
ADMIN             | alice        | 401 无权进行此操作，New-Api-User 格式错误          | ok
ADMIN             | 1.0          | 401 无权进行此操作，New-Api-User 格式错误          | ok
ADMIN             | 2            | 401 无权进行此操作，New-Api-User 与登录用户不匹配  | ok
ADMIN             | 1            | ok                                                 | ok
ADMIN             | +1           | ok                                                 | ok
ADMIN             | 001          | ok                                                 | ok
Bearer ADMIN      | 1            | ok                                                 | ok
bearer ADMIN      | 1            | 200 无权进行此操作，access token 无效              | ok
BEARER ADMIN      | 1            | 200 无权进行此操作，access token 无效              | ok
Bearer Bearer ADMIN | 1          | 200 无权进行此操作，access token 无效              | 401 AUTH_UNAUTHORIZED Unauthorized, invalid access token
COMMON            | 2            | ok                                                 | ok
BANNED            | -            | 401 无权进行此操作，未提供 New-Api-User            | 401 AUTH_USER_DISABLED User has been banned
BANNED            | 2            | 401 无权进行此操作，New-Api-User 与登录用户不匹配  | 401 AUTH_USER_DISABLED User has been banned
BANNED            | 3            | 200 用户已被封禁                                   | 401 AUTH_USER_DISABLED User has been banned
";

#[tokio::test]
async fn every_line_of_the_table_is_kept_as_it_is_documented() {
    check_table("documented", 2).await;
}

#[tokio::test]
async fn every_line_of_the_table_is_kept_by_0_9() {
    check_table("upstream-0.9", 2).await;
}

#[tokio::test]
async fn every_line_of_the_table_is_kept_by_1_0() {
    check_table("upstream", 3).await;
}

/// Sends every line, and compares the answers with this column.
async fn check_table(dialect: &str, column: usize) {
    let world = World::start_with(&[(DIALECT, dialect)]).await;
    let admin = user(&world, TENANT, "1", "alice", "admin").await;
    let common = user(&world, TENANT, "2", "bob", "common").await;
    let banned = user(&world, TENANT, "3", "carol", "root").await;
    with_user(&world, "disable", "3", &[]).await;
    let with_tokens =
        |text: &str| text.replace("ADMIN", &admin).replace("COMMON", &common).replace("BANNED", &banned);
    for line in TABLE.trim().lines().skip(1) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let (authorization, named) = (with_tokens(cells[0]), cells[1]);
        let headers = [("authorization", authorization.as_str()), ("new-api-user", named)];
        let headers: Vec<_> = headers.into_iter().filter(|(_, value)| *value != "-").collect();
        // What was said on the command line is known within a refresh.
        let ask = async || {
            let answer = world.ask("GET", "/api/user/self", &headers).await;
            assert_eq!(answer.content_type, "application/json; charset=utf-8", "{line}");
            assert!(!answer.headers["x-oneapi-request-id"].is_empty(), "{line}");
            (answer.status.as_u16(), answer.text)
        };
        eventually(LIMIT, expected(cells[column], cells[0].contains("COMMON")), ask).await;
    }
}

/// The status and the body that a cell stands for.
fn expected(cell: &str, is_common: bool) -> (u16, String) {
    if cell == "ok" {
        let (name, id, role) = if is_common { ("bob", 2, 1) } else { ("alice", 1, 10) };
        let data = format!(
            r#"{{"display_name":"{name}","group":"default","id":{id},"quota":0,"request_count":0,"role":{role},"status":1,"used_quota":0,"username":"{name}"}}"#
        );
        return (200, format!(r#"{{"data":{data},"message":"","success":true}}"#));
    }
    let (status, told) = cell.split_once(' ').unwrap();
    let body = match told.split_once(' ').filter(|(code, _)| code.starts_with("AUTH_")) {
        Some((code, message)) => format!(r#"{{"code":"{code}","message":"{message}","success":false}}"#),
        None => format!(r#"{{"message":"{told}","success":false}}"#),
    };
    (status.parse().unwrap(), body)
}

#[tokio::test]
async fn users_are_made_changed_and_removed_and_nobody_sees_their_tokens() {
    let world = World::start().await;
    assert_eq!(world.succeeded(&["users", "list"]).await, "no users\n");
    let token = user(&world, TENANT, "7", "alice", "admin").await;
    // The number of another tenant's user is no number of this one's.
    let other = user(&world, OTHER_TENANT, "7", "alice", "common").await;
    let role = async |token: &str| {
        let answer = who(&world, token, "7").await;
        serde_json::from_str::<Value>(&answer.text).unwrap()["data"]["role"].as_u64()
    };
    assert_eq!((role(&token).await, role(&other).await), (Some(10), Some(1)));

    with_user(&world, "set-role", "7", &["root"]).await;
    eventually(LIMIT, Some(100), || role(&token)).await;
    with_user(&world, "disable", "7", &[]).await;
    eventually(LIMIT, None, || role(&token)).await;
    with_user(&world, "enable", "7", &[]).await;
    // One that was kept out is let in at once.
    assert_eq!(role(&token).await, Some(100));

    let shown = with_user(&world, "rotate-token", "7", &[]).await;
    let rotated = shown.lines().next().unwrap();
    assert_eq!(role(rotated).await, Some(100));
    eventually(LIMIT, None, || role(&token)).await;

    let list = world.succeeded(&["users", "list"]).await;
    let lines = world.succeeded(&["users", "list", "--json"]).await;
    let stored = world.sql("SELECT * FROM users FORMAT JSONEachRow").await;
    assert!(list.contains("acc/gw") && list.contains("alice") && list.contains("root"), "{list}");
    assert_eq!(lines.lines().count(), 2, "{lines}");
    for secret in [&*token, rotated, &other] {
        let digits = secret.strip_prefix("weir_").unwrap();
        for text in [&list, &lines, &stored, &world.api.log_tail()] {
            assert!(!text.contains(digits), "{text}");
        }
    }

    for (args, problem) in [
        (&["--id", "7", "--name", "dave"][..], "error: there is a user 7 already\n"),
        (&["--id", "8", "--name", "alice"], "error: there is a user alice already\n"),
    ] {
        let refused = world.command(&[&["users", "create"], &TENANT[..], args].concat()).await;
        assert_eq!(String::from_utf8(refused.stderr).unwrap(), problem);
    }
    assert_eq!(with_user(&world, "remove", "7", &[]).await, "7 (alice) is removed\n");
    eventually(LIMIT, None, || role(rotated)).await;
    assert_eq!(role(&other).await, Some(1));
    world.sql("OPTIMIZE TABLE users FINAL").await;
    let gone = world.command(&[&["users", "enable"], &TENANT[..], &["7"]].concat()).await;
    assert_eq!(String::from_utf8(gone.stderr).unwrap(), "error: there is no user 7\n");
    // The number may be given again.
    let again = user(&world, TENANT, "7", "alice", "common").await;
    assert_eq!(role(&again).await, Some(1));
}

#[tokio::test]
async fn a_user_who_is_renamed_keeps_what_is_theirs_and_rows_keep_the_name_they_had() {
    let world = World::start().await;
    let token = user(&world, TENANT, "7", "alice", "common").await;
    user(&world, TENANT, "8", "bob", "common").await;
    let (dialect, kind, success) = ("new_api_log", "consume", true);
    let whose = LogRow { user_id: "7", user_name: "alice", gateway_id: "gw", ..seed_row() };
    world.insert_logs(&[LogRow { dialect, kind, success, quota: Some(5), ..whose }]).await;
    let asked = async |path: &str, token: &str, id: &str| {
        let headers = [("authorization", token), ("new-api-user", id)];
        let answer = world.ask("GET", path, &headers).await;
        serde_json::from_str::<Value>(&answer.text).unwrap()["data"].take()
    };

    assert_eq!(with_user(&world, "rename", "7", &["alicia"]).await, "7 (alice) is alicia now\n");
    assert_eq!(with_user(&world, "rename", "7", &["alicia"]).await, "7 (alicia) is alicia now\n");
    let shown = async || {
        let user = asked("/api/user/self", &token, "7").await;
        (user["username"].clone(), user["used_quota"].clone())
    };
    eventually(LIMIT, ("alicia".into(), 5.into()), shown).await;
    let own = asked("/api/log/self", &token, "7").await;
    assert_eq!((&own["total"], &own["items"][0]["username"]), (&1.into(), &"alice".into()));

    for (args, problem) in [
        (["7", "bob"], "error: there is a user bob already\n"),
        (["9", "carol"], "error: there is no user 9\n"),
    ] {
        let refused = world.command(&[&["users", "rename"], &TENANT[..], &args].concat()).await;
        assert_eq!(String::from_utf8(refused.stderr).unwrap(), problem);
    }
    // Who gets the name gets no more than that.
    let other = user(&world, TENANT, "9", "alice", "common").await;
    assert_eq!(asked("/api/log/self", &other, "9").await["total"], 0);
    assert_eq!(with_user(&world, "remove", "7", &[]).await, "7 (alicia) is removed\n");
}

#[tokio::test]
async fn a_token_that_is_not_let_in_takes_as_long_as_one_that_is_not_known() {
    let world = World::start().await;
    let banned = user(&world, TENANT, "1", "alice", "admin").await;
    with_user(&world, "disable", "1", &[]).await;
    eventually(LIMIT, true, async || who(&world, &banned, "1").await.text.contains("封禁")).await;
    // Of each the median, one after the other.
    let (mut unknown, mut disabled) = (Vec::new(), Vec::new());
    for _ in 0..25 {
        for (token, times) in [(banned.as_str(), &mut disabled), ("weir_stranger", &mut unknown)] {
            let begun = Instant::now();
            assert!(who(&world, token, "1").await.text.contains("false"));
            times.push(begun.elapsed());
        }
    }
    unknown.sort();
    disabled.sort();
    let (one, other) = (unknown[12], disabled[12]);
    // Both wait for a read of the table, which is many times what it takes to look one up in memory.
    assert!(one < other * 3 && other < one * 3, "{one:?} and {other:?}");
}

#[tokio::test]
async fn while_clickhouse_is_away_known_users_are_known_and_strangers_are_told_so() {
    let world = World::start_with(&[(DIALECT, "upstream-1.0")]).await;
    let token = user(&world, TENANT, "1", "alice", "admin").await;
    let known = who(&world, &token, "1").await;
    assert_eq!((known.status.as_u16(), known.headers.contains_key("auth-version")), (200, true));
    world.clickhouse.service.kill_hard().unwrap();
    // One is let in, and there are no logs to count; of the other nobody can say who it is.
    let known = who(&world, &token, "1").await;
    assert!(!known.text.contains("AUTH_"), "{}", known.text);
    let stranger = who(&world, "stranger", "1").await;
    let expected = r#"{"code":"AUTH_INTERNAL_ERROR","message":"Database error, please contact the administrator","success":false}"#;
    assert_eq!((stranger.status.as_u16(), &*stranger.text), (500, expected));
    world.clickhouse.service.restart(ClickHouse::START_LIMIT).await.unwrap();
    eventually(LIMIT, 401, async || who(&world, "stranger", "1").await.status.as_u16()).await;
}

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_nothing_but_when_to_come_again() {
    let variables = [("WEIR_QUERY_API_NEW_API_LIMIT", "3/1h"), ("WEIR_QUERY_API_PROXIES", "1")];
    let world = World::start_with(&variables).await;
    let ask = async |client: &str| {
        let forwarded = format!("203.0.113.9, {client}");
        world.ask("GET", "/api/status", &[("x-forwarded-for", &forwarded)]).await
    };
    for _ in 0..3 {
        assert_eq!(ask("198.51.100.7").await.status, 200);
    }
    let refused = ask("198.51.100.7").await;
    assert_eq!((refused.status.as_u16(), &*refused.text), (429, ""));
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=3_600).contains(&wait), "{wait}");
    assert_eq!(ask("198.51.100.8").await.status, 200);
    // What is not new-api's has no such limit.
    for _ in 0..5 {
        assert_eq!(world.get("/openapi.json").await.status, 200);
    }
}
