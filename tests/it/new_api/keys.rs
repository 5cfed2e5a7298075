//! Relay keys: made known by the commands, and what their holders are told.

use std::time::Duration;

use harness::eventually;
use serde_json::Value;
use tempfile::TempDir;
use weir_event::Timestamp;
use weir_service::auth::TokenDigest;
use weir_store::LogRow;

use super::callers::{OTHER_TENANT, TENANT, key, user, with_user};
use crate::query_api::rows::{STARTED_AT, id_of, seed_row};
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

#[tokio::test]
async fn what_was_used_is_what_the_rows_of_the_key_say_and_of_no_other() {
    let world = World::start_with(&[("WEIR_QUERY_API_NEW_API_DIALECT", "upstream-1.0")]).await;
    let token = user(&world, TENANT, "3", "alice", "common").await;
    let row = |name: &'static str, kind, quota, token_id| LogRow {
        account_id: "acc",
        gateway_id: "gw",
        id: id_of(STARTED_AT, name).bytes(),
        dialect: "new_api_log",
        kind,
        quota: Some(quota),
        token_id,
        user_id: "3",
        ..seed_row()
    };
    let beside = LogRow { gateway_id: "other", ..row("e", "consume", 10_000, "7") };
    let rows = [
        row("a", "consume", 1_000, "7"),
        row("b", "consume", 501, "7"),
        row("c", "refund", 250, "7"),
        row("d", "topup", 9_999, "7"),
        row("f", "consume", 40, "8"),
        beside,
        // Somebody calls their user 3 in a request that another gateway logs.
        LogRow { dialect: "malacca_object", ..row("g", "consume", 7, "") },
    ];
    world.insert_logs(&rows).await;
    let id = key(&world, KEY, &["--token-id", "7", "--quota", "2000", "--expires", "2090-01-01"]).await;
    key(&world, ENDLESS, &["--token-id", "8"]).await;
    let ask = async |path: &str, authorization: &str| {
        let answer = world.ask("GET", path, &[("authorization", authorization)]).await;
        (answer.status.as_u16(), answer.text)
    };
    let usage = |name: &str, numbers: [i64; 4], unlimited: bool| {
        let [expires, available, granted, used] = numbers;
        format!(
            r#"{{"code":true,"data":{{"expires_at":{expires},"model_limits":{{}},"model_limits_enabled":false,"name":"{name}","object":"token_usage","total_available":{available},"total_granted":{granted},"total_used":{used},"unlimited_quota":{unlimited}}},"message":"ok"}}"#
        )
    };
    let of_key = (200, usage("team", [3_786_912_000, 749, 2_000, 1_251], false));
    assert_eq!(ask("/api/usage/token/", &format!("Bearer sk-{KEY}")).await, of_key);
    let endless = (200, usage("team", [0, 0, 40, 40], true));
    assert_eq!(ask("/api/usage/token/", &format!("bearer {ENDLESS}")).await, endless);
    let cents = (200, r#"{"object":"list","total_usage":0.2502}"#.to_owned());
    for path in ["/v1/dashboard/billing/usage?start_date=2026-01-01", "/dashboard/billing/usage"] {
        assert_eq!(ask(path, KEY).await, cents, "{path}");
    }
    let told = |status, message: &str| (status, format!(r#"{{"message":"{message}","success":false}}"#));
    assert_eq!(ask("/api/usage/token/", KEY).await, told(401, "Invalid Bearer token"));
    assert_eq!(ask("/api/usage/token/", "Bearer stranger").await, told(401, "Invalid token"));
    assert_eq!(ask("/api/usage/token/", "").await, told(401, "Token not provided"));
    assert_eq!(ask("/api/usage/token?x=1", "").await.0, 301);
    world.succeeded(&["keys", "disable", &id]).await;
    let disabled = told(401, "This token status is unavailable");
    eventually(LIMIT, disabled, async || ask("/api/usage/token/", &format!("Bearer {KEY}")).await).await;

    let answer = ask("/api/user/self", &token).await;
    assert!(
        answer.1.contains(r#""request_count":3,"#) && answer.1.contains(r#""used_quota":1541,"#),
        "{answer:?}"
    );
}

#[tokio::test]
async fn what_was_used_before_a_dump_is_in_it_and_what_was_used_since_is_in_the_logs() {
    let world = World::start().await;
    let dumped_at = STARTED_AT + 3_600_000;
    let row = |name: &'static str, created_at, quota| LogRow {
        account_id: "acc",
        gateway_id: "gw",
        id: id_of(STARTED_AT, name).bytes(),
        created_at,
        dialect: "new_api_log",
        quota: Some(quota),
        token_id: "9",
        ..seed_row()
    };
    world.insert_logs(&[row("a", dumped_at - 1, 20), row("b", dumped_at, 3)]).await;
    let dir = TempDir::new().unwrap();
    let dump = dir.path().join("tokens.json");
    let import = async |(remain, used): (i64, i64), dumped_at: i64| {
        let dumped = format!(
            r#"{{"id":9,"key":"{KEY}","name":"dumped","remain_quota":{remain},"used_quota":{used}}}"#
        );
        std::fs::write(&dump, dumped).unwrap();
        let at = ["--dumped-at", &Timestamp::from_millis(dumped_at).unwrap().to_string()];
        let args = [&["keys", "import"], &TENANT[..], &at, &[dump.to_str().unwrap()]];
        world.succeeded(&args.concat()).await
    };
    import((1_000, 700), dumped_at).await;
    let used = async || {
        let authorization = format!("Bearer {KEY}");
        let answer = world.ask("GET", "/api/usage/token/", &[("authorization", &authorization)]).await;
        let answer: Value = serde_json::from_str(&answer.text).unwrap();
        let data = &answer["data"];
        [&data["total_granted"], &data["total_used"], &data["total_available"]].map(Value::as_i64)
    };
    eventually(LIMIT, [Some(1_700), Some(703), Some(997)], &used).await;

    // What goes of logs since then is used no more, until a later dump says it.
    world.sql("DELETE FROM logs WHERE token_id = '9'").await;
    eventually(LIMIT, [Some(1_700), Some(700), Some(1_000)], &used).await;
    import((997, 703), dumped_at + 3_600_000).await;
    eventually(LIMIT, [Some(1_700), Some(703), Some(997)], &used).await;
}

/// What is shown in `key` and in `Authorization`, with `GOOD`, `DISABLED`, `EXPIRED` and `BANNED` for keys, the last of a user who
/// is; and what is answered as it is documented, by 0.9 and by 1.0. `rows` stands for those of that key, `none` for no rows.
const TABLE: &str = "
key          | Authorization        | documented             | 0.9  | 1.0
-            | -                    | 200 Token不存在或无权限 | none | 401 Token not provided
stranger     | -                    | 200 Token不存在或无权限 | none | 401 Token not provided
GOOD         | -                    | rows                   | rows | 401 Token not provided
sk-GOOD      | -                    | rows                   | rows | 401 Token not provided
GOOD-some    | -                    | 200 Token不存在或无权限 | none | 401 Token not provided
-            | Bearer sk-GOOD       | rows                   | none | rows
-            | bearer GOOD          | rows                   | none | rows
-            | sk-GOOD              | rows                   | none | rows
-            | Bearer sk-GOOD-some  | 200 Token不存在或无权限 | none | rows
-            | BEARER GOOD          | 200 Token不存在或无权限 | none | 401 Invalid token
-            | stranger             | 200 Token不存在或无权限 | none | 401 Invalid token
stranger     | GOOD                 | 200 Token不存在或无权限 | none | rows
GOOD         | stranger             | rows                   | rows | 401 Invalid token
DISABLED     | DISABLED             | 200 Token不存在或无权限 | rows | 401 This token status is unavailable
EXPIRED      | EXPIRED              | rows                   | rows | rows
BANNED       | BANNED               | 200 Token不存在或无权限 | rows | 403 User has been banned
";

#[tokio::test]
async fn every_line_of_the_table_of_keys_is_kept_by_every_version() {
    for (column, dialect) in [(2, "documented"), (3, "upstream-0.9"), (4, "upstream-1.0")] {
        check_table(dialect, column).await;
    }
}

async fn check_table(dialect: &str, column: usize) {
    let world = World::start_with(&[("WEIR_QUERY_API_NEW_API_DIALECT", dialect)]).await;
    user(&world, TENANT, "3", "alice", "common").await;
    with_user(&world, "disable", "3", &[]).await;
    let names = ["GOOD", "DISABLED", "EXPIRED", "BANNED"];
    let keys = names.map(|name| format!("{name}{}", &KEY[..40]));
    let rows = keys.iter().zip(names).zip(1_i64..).map(|((key, name), number)| {
        let id = id_of(STARTED_AT, name).bytes();
        // Of every second one the number is known alone, of the others the hash of what was sent.
        let (token_hash, token_id) = match number % 2 {
            0 => (String::new(), number.to_string()),
            _ => (TokenDigest::of(&format!("sk-{key}")).to_hex(), String::new()),
        };
        let [token_hash, token_id] = [token_hash, token_id].map(|text| &*text.leak());
        LogRow {
            account_id: "acc",
            gateway_id: "gw",
            id,
            model: name,
            model_requested: name,
            token_hash,
            token_id,
            ..seed_row()
        }
    });
    world.insert_logs(&rows.collect::<Vec<_>>()).await;
    for (key_text, number) in keys.iter().zip(1..) {
        let number = number.to_string();
        let id = key(
            &world,
            key_text,
            &match &key_text[..2] {
                "EX" => ["--token-id", &number, "--expires", "1ms"],
                "BA" => ["--token-id", &number, "--user-id", "3"],
                _ => ["--token-id", &number, "--user-id", "9"],
            },
        )
        .await;
        if key_text.starts_with("DIS") {
            world.succeeded(&["keys", "disable", &id]).await;
        }
    }
    let with_keys = |text: &str| {
        names.iter().zip(&keys).fold(text.to_owned(), |text, (name, key)| text.replace(name, key))
    };
    for line in TABLE.trim().lines().skip(1) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let query = if cells[0] == "-" { String::new() } else { format!("?key={}", with_keys(cells[0])) };
        let authorization = with_keys(cells[1]);
        let headers = [("authorization", &*authorization), ("origin", "https://pages.example")];
        let headers = if cells[1] == "-" { &headers[1..] } else { &headers };
        let shown = names.iter().find(|name| line.contains(*name)).copied().unwrap_or("nothing");
        let ask = async || {
            let answer = world.ask("GET", &format!("/api/log/token{query}"), headers).await;
            assert_eq!(answer.headers["access-control-allow-origin"], "*", "{line}");
            let found = serde_json::from_str::<Value>(&answer.text).unwrap();
            let told = match found["data"].as_array().map(Vec::as_slice) {
                Some([]) => "none".to_owned(),
                Some([row]) if row["model_name"] == shown => "rows".to_owned(),
                Some(other) => panic!("{dialect} {line}: {other:?}"),
                None => format!("{} {}", answer.status.as_u16(), found["message"].as_str().unwrap()),
            };
            (line, told)
        };
        eventually(LIMIT, (line, cells[column].to_owned()), ask).await;
    }
}
