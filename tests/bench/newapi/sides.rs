//! The two sides: the API, and PostgreSQL.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::{NewApiVolume, System};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;
use tokio_postgres::{Client, Row};
use weir_event::Scope;
use weir_local::{Installation, Service, service_variables};

use super::case::{Case, KEYS, USER, Who};

/// Asks the API.
pub(crate) struct Sides {
    http: reqwest::Client,
    address: SocketAddr,
    admin: String,
    user: String,
    _query_api: Service,
}

const ADMIN: u32 = 1_000_000;

/// A connection of PostgreSQL.
pub(crate) struct Connection(Client);

impl Sides {
    /// Makes the users and keys that ask, and starts a query API that lets one client ask as often as it likes.
    pub(crate) async fn new(system: &System) -> Self {
        let user = |id: u32, name: &str, role: &str| {
            let args = format!("users create --id {id} --name {name} --role {role} --json");
            let made: Value = serde_json::from_str(&command(system, &args, "")).unwrap();
            made["token"].as_str().unwrap().to_owned()
        };
        let (admin, user) = (user(ADMIN, "root", "root"), user(USER, "user7", "common"));
        for (key, token_id) in KEYS {
            command(system, &format!("keys add --token-id {token_id} --name key"), key);
        }
        let off = || "off".to_owned();
        let variables =
            vec![("WEIR_QUERY_API_NEW_API_LIMIT", off()), ("WEIR_QUERY_API_NEW_API_KEY_LIMIT", off())];
        let (query_api, address) = system.second_query_api(variables).await;
        Self { http: system.http.clone(), address, admin, user, _query_api: query_api }
    }

    /// The time until the answer is there.
    pub(crate) async fn time(&self, case: &Case) -> Duration {
        let begun = Instant::now();
        let answer = self.answer(case).await;
        let time = begun.elapsed();
        assert!(answer.contains("\"success\":true"), "{}: {answer}", case.path);
        time
    }

    /// Both sides have to answer the same, or there is nothing to compare.
    pub(crate) async fn check(&self, case: &Case, connection: &Connection) {
        let answer: Value = serde_json::from_str(&self.answer(case).await).unwrap();
        let answers = connection.answers(case).await;
        let data = &answer["data"];
        let ids = |rows: &[Row]| rows.iter().map(|row| row.get::<_, i64>("id")).collect::<Vec<_>>();
        let found = |rows: &Value| {
            let rows = rows.as_array().unwrap_or_else(|| panic!("{}: {answer}", case.path));
            rows.iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>()
        };
        match (answers.as_slice(), case.who) {
            ([count, page], Who::Admin) if data.get("items").is_some() => {
                assert_eq!(data["total"].as_i64(), Some(count[0].get(0)), "{}", case.path);
                assert_eq!(found(&data["items"]), ids(page), "{}", case.path);
            }
            // A user sees other ids.
            ([count, page], Who::User) => {
                assert_eq!(data["total"].as_i64(), Some(count[0].get(0)), "{}", case.path);
                assert_eq!(found(&data["items"]).len(), page.len(), "{}", case.path);
            }
            ([quota, _], Who::Admin) => {
                let quota: String = quota[0].get(0);
                assert_eq!(data["quota"].to_string(), quota, "{}", case.path);
            }
            ([rows], Who::Anybody) => assert_eq!(found(data).len(), rows.len(), "{}", case.path),
            _ => panic!("{}: {answer}", case.path),
        }
    }

    async fn answer(&self, case: &Case) -> String {
        let request = self.http.get(format!("http://{}{}", self.address, case.path));
        let request = match case.who {
            Who::Admin => shown(request, &self.admin, ADMIN),
            Who::User => shown(request, &self.user, USER),
            Who::Anybody => request,
        };
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{}: {text}", case.path);
        text
    }
}

impl Connection {
    /// With a plan for each statement, as an application's connections have.
    pub(crate) async fn new(client: Client) -> Self {
        client.batch_execute("SET jit = off").await.unwrap();
        Self(client)
    }

    /// The time until the answers are there.
    pub(crate) async fn time(&self, case: &Case) -> Duration {
        let begun = Instant::now();
        self.answers(case).await;
        begun.elapsed()
    }

    async fn answers(&self, case: &Case) -> Vec<Vec<Row>> {
        let mut answers = Vec::new();
        for statement in &case.statements {
            answers.push(self.0.query(statement, &[]).await.unwrap());
        }
        answers
    }
}

fn shown(request: RequestBuilder, token: &str, id: u32) -> RequestBuilder {
    request.bearer_auth(token).header("New-Api-User", id)
}

/// Runs `query-api` with these arguments for the tenant, and this on its standard input, and gives what it says.
fn command(system: &System, args: &str, input: &str) -> String {
    let Scope { account_id, gateway_id } = NewApiVolume::scope();
    let mut command = Command::new(Installation::detect().unwrap().binary("query-api").unwrap());
    command.args(args.split(' ')).args(["--account", account_id.as_str(), "--gateway", gateway_id.as_str()]);
    command.env_remove("WEIR_BENCH_ROWS").envs(service_variables(&system.weir.clickhouse, &system.weir.nats));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{args}");
    String::from_utf8(output.stdout).unwrap()
}
