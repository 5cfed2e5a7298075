//! API tokens: made and taken back on the command line, and what a process that serves makes of them while ClickHouse is
//! there, away and frozen.

use std::time::Duration;

use harness::eventually;
use serde_json::Value;
use weir_local::ClickHouse;

use super::rows::{ACCOUNT, GATEWAY, seed_row};
use super::world::World;

const LIMIT: Duration = Duration::from_mins(1);
/// In the form of a token, and nobody's.
const STRANGER: &str = "weir_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A token as `create --json` shows it.
pub(super) struct Made {
    pub(super) id: String,
    pub(super) token: String,
}

/// Makes a token with these arguments.
pub(super) async fn make(world: &World, args: &[&str]) -> Made {
    let args = [&["tokens", "create", "--name", "test", "--json"], args].concat();
    let made: Value = serde_json::from_str(&world.succeeded(&args).await).unwrap();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    Made { id: text("id"), token: text("token") }
}

fn logs_of(account: &str, gateway: &str) -> String {
    format!("/client/v4/accounts/{account}/ai-gateway/gateways/{gateway}/logs")
}

async fn status(world: &World, gateway: &str, token: &str) -> u16 {
    let header = format!("Bearer {token}");
    world.ask("GET", &logs_of(ACCOUNT, gateway), &[("authorization", &header)]).await.status.as_u16()
}

#[tokio::test]
async fn tokens_are_made_shown_once_and_taken_back() {
    let world = World::start().await;
    world.insert_logs(&[seed_row()]).await;
    assert_eq!(world.succeeded(&["tokens", "list"]).await, "no tokens\n");

    let shown = world
        .succeeded(&[
            "tokens",
            "create",
            "--name",
            "dash board",
            "--permission",
            "read",
            "--account",
            ACCOUNT,
        ])
        .await;
    let token = shown.lines().next().unwrap();
    // A process that never heard of it looks it up.
    assert_eq!(status(&world, GATEWAY, token).await, 200);
    assert_eq!(status(&world, "other", token).await, 200);
    let one = make(&world, &["--permission", "read,write", "--account", ACCOUNT, "--gateway", GATEWAY]).await;
    assert_eq!(status(&world, GATEWAY, &one.token).await, 200);
    assert_eq!(status(&world, "other", &one.token).await, 403);

    let secret = token.strip_prefix("weir_").unwrap();
    let list = world.succeeded(&["tokens", "list"]).await;
    let lines: Vec<_> =
        world.succeeded(&["tokens", "list", "--json"]).await.lines().map(str::to_owned).collect();
    assert_eq!((list.lines().count(), lines.len()), (3, 2), "{list}");
    let stored = world.sql("SELECT * FROM api_tokens FORMAT JSONEachRow").await;
    assert_eq!(stored.lines().count(), 2);
    for text in [&list, &lines.join("\n"), &stored, &world.api.log_tail()] {
        assert!(!text.contains(secret) && !text.contains(&one.token), "{text}");
    }
    let first: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((&first["name"], &first["state"]), (&"dash board".into(), &"good".into()), "{first}");
    assert!(list.contains("acc/my-gateway") && list.contains("read,write"), "{list}");

    let revoked = world.succeeded(&["tokens", "revoke", &one.id]).await;
    assert_eq!(revoked, format!("{} (test) is revoked\n", one.id));
    eventually(LIMIT, 401, || status(&world, GATEWAY, &one.token)).await;
    assert_eq!(status(&world, GATEWAY, token).await, 200);
    assert!(world.succeeded(&["tokens", "list"]).await.contains("revoked"));
    // A merge changes nothing of it.
    world.sql("OPTIMIZE TABLE api_tokens FINAL").await;
    assert_eq!(status(&world, GATEWAY, &one.token).await, 401);

    let unknown = world.command(&["tokens", "revoke", "nobody"]).await;
    assert!(!unknown.status.success());
    assert_eq!(String::from_utf8(unknown.stderr).unwrap(), "error: there is no token nobody\n");
    let past = ["--permission", "read", "--all-accounts", "--expires", "2024-01-01"];
    let late = world.command(&[&["tokens", "create", "--name", "late"], &past[..]].concat()).await;
    assert_eq!(String::from_utf8(late.stderr).unwrap(), "error: --expires is in the past\n");
}

#[tokio::test]
async fn a_token_expires_by_itself() {
    let world = World::start().await;
    let made = make(&world, &["--permission", "read", "--account", ACCOUNT, "--expires", "5s"]).await;
    // On a machine with other work its time may be over before it is shown.
    let first = status(&world, GATEWAY, &made.token).await;
    assert!(first == 200 || first == 401, "{first}");
    eventually(LIMIT, 401, || status(&world, GATEWAY, &made.token)).await;
    assert!(world.succeeded(&["tokens", "list"]).await.contains("expired"));
}

#[tokio::test]
async fn while_clickhouse_is_away_known_tokens_are_known_and_strangers_are_not_judged() {
    let variables = [("WEIR_QUERY_API_TOKEN_REFRESH", "300ms"), ("WEIR_QUERY_API_TOKEN_GRACE", "20s")];
    let world = World::start_with(&variables).await;
    let known =
        make(&world, &["--permission", "read", "--account", ACCOUNT, "--gateway", GATEWAY]).await.token;
    assert_eq!(status(&world, GATEWAY, &known).await, 200);
    assert_eq!(status(&world, "other", STRANGER).await, 401);

    // What is foreign to a token is refused without a look at the logs: so one sees that the token is known.
    world.clickhouse.service.kill_hard().unwrap();
    assert_eq!(status(&world, "other", &known).await, 403);
    assert_eq!(status(&world, "other", STRANGER).await, 503);
    assert_eq!(status(&world, "other", "not-one-of-ours").await, 401);
    // For a while.
    eventually(LIMIT, 503, || status(&world, "other", &known)).await;
    assert_eq!(status(&world, GATEWAY, super::world::TOKEN).await, 503);
    let answer =
        world.ask("GET", &logs_of("other", "x"), &[("authorization", &format!("Bearer {known}"))]).await;
    assert_eq!(
        answer.text,
        r#"{"success":false,"errors":[{"code":10013,"message":"Service Unavailable"}],"messages":[],"result":null}"#
    );

    world.clickhouse.service.restart(ClickHouse::START_LIMIT).await.unwrap();
    eventually(LIMIT, 403, || status(&world, "other", &known)).await;
    eventually(LIMIT, 401, || status(&world, "other", STRANGER)).await;

    world.clickhouse.service.suspend().unwrap();
    assert_eq!(status(&world, "other", STRANGER).await, 503);
    world.clickhouse.service.resume().unwrap();
    eventually(LIMIT, 401, || status(&world, "other", STRANGER)).await;
    eventually(LIMIT, 200, || status(&world, GATEWAY, &known)).await;
}

#[tokio::test]
async fn a_flood_of_strangers_is_refused_and_keeps_nobody_out() {
    let world = World::start().await;
    let made = make(&world, &["--permission", "read", "--account", ACCOUNT]).await;
    for _ in 0..5 {
        let flood = (0..200).map(|_| status(&world, GATEWAY, STRANGER));
        let answers = futures_util::future::join_all(flood).await;
        assert!(answers.iter().all(|status| *status == 401), "{answers:?}");
    }
    assert_eq!(status(&world, GATEWAY, &made.token).await, 200);
}
