//! Removals as clients of new-api ask for them.

use std::net::SocketAddr;
use std::time::Duration;

use harness::traffic::now_ms;
use harness::{System, eventually};
use reqwest::{Method, StatusCode, redirect};
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_local::{Installation, Probe, Program, Service, Weir, free_address};

use super::{DAY_MS, LIMIT, count, expect_told, grow_old, ledger, lines, start_with};

/// In each gateway, a second apart.
const LOGS: u64 = 30;
/// Users of `acc/gw`: their token, and what they are.
const USERS: [(i64, &str, &str); 3] =
    [(1, "token-of-root", "root"), (2, "token-of-admin", "admin"), (3, "token-of-common", "common")];
const REQUEST_LIMIT: Duration = Duration::from_mins(1);

/// A query API, asked by users.
struct Api {
    client: reqwest::Client,
    address: SocketAddr,
}

impl Api {
    fn at(address: SocketAddr) -> Self {
        let client = reqwest::Client::builder().timeout(REQUEST_LIMIT).redirect(redirect::Policy::none());
        Self { client: client.build().unwrap(), address }
    }

    async fn ask(&self, method: Method, path: &str, user: (i64, &str, &str)) -> (StatusCode, Value) {
        let (id, token, _) = user;
        let request = self.client.request(method, format!("http://{}{path}", self.address));
        let response = request.bearer_auth(token).header("New-Api-User", id).send().await.unwrap();
        let status = response.status();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
    }

    async fn delete(&self, query: &str, user: (i64, &str, &str)) -> Value {
        let (status, answer) = self.ask(Method::DELETE, &format!("/api/log/{query}"), user).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }
}

/// Logs of three days ago in two gateways, stored some time ago, and users of one. Gives the second of the first log.
async fn seed(system: &System) -> i64 {
    let at = (now_ms() - 3 * DAY_MS) / 60_000 * 60_000;
    let batch = lines(0..LOGS, |number| at + i64::try_from(number).unwrap() * 1_000);
    for gateway in ["gw", "other"] {
        assert_eq!(system.push_to(&format!("acc/{gateway}"), &batch).await.json()["stored"], LOGS);
    }
    for (id, token, role) in USERS {
        let user = format!(
            "INSERT INTO users (account_id, gateway_id, id, name, role, status, sha256, created_at, version) \
             SELECT 'acc', 'gw', {id}, 'name-{id}', '{role}', 'enabled', lower(hex(SHA256('{token}'))), now64(3), 1"
        );
        system.sql(&user).await;
    }
    grow_old(system, 3).await;
    at / 1_000
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_removes_what_is_older_than_a_second_and_is_told_how_much_that_was() {
    let system = start_with(&[]).await;
    let first = seed(&system).await;
    let api = Api::at(system.weir.addresses.query_api);
    let [root, admin, common] = USERS;
    let done = |data: u64| json!({"data": data, "message": "", "success": true});

    let required = json!({"message": "target timestamp is required", "success": false});
    for query in ["", "?target_timestamp=0", "?target_timestamp=yesterday", "?target_timestamp=1782604800000"]
    {
        assert_eq!(api.delete(query, admin).await, required, "{query}");
    }
    let everything = format!("?target_timestamp={}", now_ms() / 1_000);
    let refused = api.delete(&everything, common).await;
    assert_eq!(refused["success"], false, "{refused}");
    assert_eq!(count(&system, "logs", "gw").await, LOGS);
    let path = format!("/api/log{everything}");
    assert_eq!(api.ask(Method::DELETE, &path, admin).await.0, StatusCode::TEMPORARY_REDIRECT);

    let query = format!("?target_timestamp={}", first + 12);
    assert_eq!(api.delete(&query, admin).await, done(12));
    assert_eq!(count(&system, "logs", "gw").await, LOGS - 12, "that of the second itself is there");
    assert_eq!(api.delete(&query, root).await, done(0));
    assert_eq!(api.delete("?target_timestamp=-1", admin).await, done(0));

    // Nobody is there to do it: what is true by then is told, and it is done later.
    system.weir.ingest.kill_hard().unwrap();
    let query = format!("?target_timestamp={}", first + 20);
    let answer = api.delete(&query, admin).await;
    assert_eq!((&answer["data"], &answer["success"]), (&json!(0), &json!(true)), "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("goes on"), "{answer}");
    system.weir.ingest.restart(Weir::START_LIMIT).await.unwrap();
    eventually(LIMIT, LOGS - 20, || count(&system, "logs", "gw")).await;
    assert_eq!(api.delete(&everything, admin).await, done(LOGS - 20));
    assert_eq!(count(&system, "logs", "other").await, LOGS);
    expect_told(&system).await;
    assert_eq!(ledger(&system).await, json!([2 * LOGS, LOGS, 0, LOGS, 0, LOGS]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_removes_and_can_be_looked_at() {
    let system = start_with(&[]).await;
    let first = seed(&system).await;
    let dir = TempDir::new().unwrap();
    let (_service, api) = start_upstream(&system, &dir).await;
    let [root, admin, _] = USERS;

    let cleanup = |query: &str| format!("/api/system-task/log-cleanup{query}");
    let target = cleanup(&format!("?target_timestamp={}", first + 12));
    assert_eq!(api.ask(Method::POST, &target, admin).await.0, StatusCode::FORBIDDEN);
    let path = format!("/api/log/?target_timestamp={}", first + 12);
    assert_eq!(api.ask(Method::DELETE, &path, root).await.0, StatusCode::NOT_FOUND);
    let (status, answer) = api.ask(Method::POST, &cleanup(""), root).await;
    assert_eq!((status, &answer["message"]), (StatusCode::OK, &json!("target timestamp is required")));

    // While it waits it is the one that is asked for again.
    system.weir.ingest.kill_hard().unwrap();
    let current = "/api/system-task/current?type=log_cleanup";
    assert_eq!(api.ask(Method::GET, current, root).await.1["data"], Value::Null);
    let task = api.ask(Method::POST, &target, root).await.1["data"].clone();
    assert_eq!((&task["type"], &task["status"]), (&json!("log_cleanup"), &json!("pending")), "{task}");
    assert_eq!(task["payload"]["target_timestamp"], first + 12);
    for (method, path) in [(Method::POST, target.as_str()), (Method::GET, current)] {
        assert_eq!(api.ask(method, path, root).await.1["data"]["task_id"], task["task_id"]);
    }
    system.weir.ingest.restart(Weir::START_LIMIT).await.unwrap();
    let path = format!("/api/system-task/{}", task["task_id"].as_str().unwrap());
    let result = async || {
        let task = api.ask(Method::GET, &path, root).await.1["data"].clone();
        (task["status"].clone(), task["result"]["deleted_count"].clone(), task["state"]["progress"].clone())
    };
    eventually(LIMIT, (json!("succeeded"), json!(12), json!(100)), result).await;
    assert_eq!(count(&system, "logs", "gw").await, LOGS - 12);
    assert_eq!(count(&system, "logs", "other").await, LOGS);
    assert_eq!(api.ask(Method::GET, current, root).await.1["data"], Value::Null);
    let listed = api.ask(Method::GET, "/api/system-task/list?limit=5", root).await.1["data"].clone();
    assert_eq!((listed.as_array().map(Vec::len), &listed[0]["task_id"]), (Some(1), &task["task_id"]));
    let (status, answer) = api.ask(Method::GET, "/api/system-task/systask_none", root).await;
    assert_eq!((status, &answer["message"]), (StatusCode::NOT_FOUND, &json!("task not found")));
}

/// One more query API, that speaks as new-api 1.0 does.
async fn start_upstream(system: &System, dir: &TempDir) -> (Service, Api) {
    let installation = Installation::detect().unwrap();
    let (listen, ops) = (free_address().unwrap(), free_address().unwrap());
    let log = dir.path().join("query-api.log");
    let program = Program::new("query-api", installation.binary("query-api").unwrap(), log)
        .reaching(&system.weir.clickhouse, &system.weir.nats)
        .env("WEIR_QUERY_API_LISTEN", listen.to_string())
        .env("WEIR_QUERY_API_OPS_LISTEN", ops.to_string())
        .env("WEIR_QUERY_API_TOKENS", "query-token")
        .env("WEIR_QUERY_API_NEW_API_DIALECT", "upstream-1.0")
        .ready_when(Probe::Http(format!("http://{ops}/readyz")));
    (Service::start(program, Weir::START_LIMIT).await.unwrap(), Api::at(listen))
}
