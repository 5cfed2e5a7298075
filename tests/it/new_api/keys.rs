//! Relay keys: made known by the commands, and what their holders are told.

use std::time::Duration;

use harness::eventually;
use serde_json::Value;
use tempfile::TempDir;

use super::callers::{OTHER_TENANT, TENANT, key, user, with_user};
use crate::query_api::world::{Answer, World};

const LIMIT: Duration = Duration::from_mins(1);
const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL";
const ENDLESS: &str = "bbcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL";
const INVALID: &str = r#"{"error":{"message":"无效的令牌","type":"new_api_error","param":"","code":""}}"#;

async fn granted(world: &World, authorization: &str) -> Answer {
    world.ask("GET", "/v1/dashboard/billing/subscription", &[("authorization", authorization)]).await
}

#[tokio::test]
async fn the_holder_of_a_key_is_told_what_it_was_granted_and_nobody_else_is() {
    let world = World::start().await;
    assert_eq!(world.succeeded(&["keys", "list"]).await, "no keys\n");
    user(&world, TENANT, "3", "alice", "common").await;
    let more = ["--quota", "1234567", "--expires", "2090-01-01", "--user-id", "3", "--token-id", "7"];
    let id = key(&world, &format!("sk-{KEY}"), &more).await;
    key(&world, ENDLESS, &[]).await;
    let limited = |limit: &str, until: i64| {
        format!(
            r#"{{"object":"billing_subscription","has_payment_method":true,"soft_limit_usd":{limit},"hard_limit_usd":{limit},"system_hard_limit_usd":{limit},"access_until":{until}}}"#
        )
    };
    for authorization in [
        KEY.to_owned(),
        format!("sk-{KEY}"),
        format!("Bearer sk-{KEY}"),
        format!("bearer {KEY}-some-channel"),
    ] {
        let answer = granted(&world, &authorization).await;
        let expected = (200, limited("2.469134", 3_786_912_000));
        assert_eq!((answer.status.as_u16(), answer.text), expected, "{authorization}");
    }
    assert_eq!(granted(&world, ENDLESS).await.text, limited("100000000", 0));
    for stranger in ["", "sk-", "stranger", &KEY[1..], &KEY.to_lowercase()] {
        let answer = granted(&world, stranger).await;
        assert_eq!((answer.status.as_u16(), &*answer.text), (401, INVALID), "{stranger}");
    }

    let shared = [("authorization", KEY), ("origin", "https://pages.example")];
    let answer = world.ask("GET", "/dashboard/billing/subscription", &shared).await;
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    let slash = world.ask("GET", "/dashboard/billing/subscription/?x=1", &shared[..1]).await;
    assert_eq!(slash.status, 301);
    assert_eq!(slash.headers["location"], "/dashboard/billing/subscription?x=1");

    let status = async || granted(&world, KEY).await.status.as_u16();
    with_user(&world, "disable", "3", &[]).await;
    eventually(LIMIT, 403, &status).await;
    assert!(granted(&world, KEY).await.text.contains("用户已被封禁"));
    with_user(&world, "enable", "3", &[]).await;
    eventually(LIMIT, 200, &status).await;
    for (what, is, expected) in
        [("disable", "disabled", 401), ("enable", "enabled", 200), ("remove", "removed", 401)]
    {
        assert_eq!(world.succeeded(&["keys", what, &id]).await, format!("{id} (team) is {is}\n"));
        eventually(LIMIT, expected, &status).await;
    }
    let unknown = world.command(&["keys", "enable", &id]).await;
    assert_eq!(String::from_utf8(unknown.stderr).unwrap(), format!("error: there is no key {id}\n"));
}

#[tokio::test]
async fn a_dump_of_keys_is_taken_over_whole_and_no_key_is_kept() {
    let world = World::start().await;
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("tokens.csv");
    let import = async |tenant: [&str; 4], rows: &str| {
        let names = "id,user_id,key,status,name,expired_time,remain_quota,unlimited_quota,used_quota\n";
        std::fs::write(&file, format!("{names}{rows}")).unwrap();
        let output =
            world.command(&[&["keys", "import"], &tenant[..], &[file.to_str().unwrap()]].concat()).await;
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let rows = format!("1,3,{KEY},1,team a,-1,400000,0,100000\n2,3,{ENDLESS},2,team b,-1,0,1,5\n");
    let (told, _) = import(TENANT, &rows).await;
    assert_eq!(told, "2 added, 0 changed, 0 unchanged, 0 removed\n");
    assert!(granted(&world, KEY).await.text.contains(r#""hard_limit_usd":1,"#));
    assert_eq!(granted(&world, ENDLESS).await.status, 401, "it was disabled");
    let (told, _) = import(TENANT, &rows.replace("400000", "900000")).await;
    assert_eq!(told, "0 added, 1 changed, 1 unchanged, 0 removed\n");
    let (_, refused) = import(OTHER_TENANT, &rows).await;
    assert!(refused.starts_with("error: there is a key "), "{refused}");
    let (_, refused) = import(TENANT, &format!("{rows}x,3,{KEY},1,n,-1,1,0,0\n")).await;
    assert!(refused.contains("row 3: id is no whole number"), "{refused}");

    let list = world.succeeded(&["keys", "list"]).await;
    let lines = world.succeeded(&["keys", "list", "--json"]).await;
    let stored = world.sql("SELECT * FROM relay_keys FORMAT JSONEachRow").await;
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((&first["name"], &first["granted_quota"]), (&"team a".into(), &1_000_000.into()), "{first}");
    for text in [&list, &lines, &stored, &world.api.log_tail(), &refused] {
        assert!(!text.contains(&KEY[4..44]) && !text.contains(&ENDLESS[4..44]), "{text}");
    }
}
