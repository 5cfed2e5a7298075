//! `deploy/clickhouse/grants.sql`: each process does all of its work with what is granted to its user, and an analyst sees
//! figures and nothing else. (The engine asks for no grants on tables of `system`.)

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output};

use harness::traffic::now_ms;
use harness::{Answer, System, eventually, run_audit};
use reqwest::{Method, StatusCode};
use tempfile::TempDir;
use weir_event::Timestamp;
use weir_local::{ClickHouse, Installation, Nats, Service, Weir, free_address, service_variables};

use crate::deletion::lines;
use crate::removal::{LIMIT, expect_rollups, grow_old};

const GRANTS: &str = include_str!("../../deploy/clickhouse/grants.sql");
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const DENIED: &str = "Not enough privileges";
/// Another price of what the records of tests are of.
const PRICES: &str = r#"
provider = "azure-openai"
[[model]]
id = "gpt-4o"
match = ["gpt-4o-2024-05-13"]
[[model.price]]
per_million = { uncached_input = "6", text_output = "18" }
"#;

/// What is granted to these users.
fn grants(users: &[&str]) -> Vec<String> {
    let code: Vec<_> = GRANTS.lines().filter(|line| !line.starts_with("--")).collect();
    let code = code.join("\n");
    let statements = code.split(';').map(str::trim).filter(|statement| !statement.is_empty());
    let grants = statements.map(|statement| statement.rsplit_once(" TO ").unwrap());
    let granted: Vec<_> =
        grants.filter(|(_, user)| users.contains(user)).map(|(grant, _)| grant.to_owned()).collect();
    assert!(!granted.is_empty(), "{users:?}");
    granted
}

/// A server on `dir` in which every statement is run as a user who may do what is granted to these.
async fn serve_as(users: &[&str], dir: &Path, url: String, password: &str) -> ClickHouse {
    let mut queries = String::new();
    for grant in grants(users) {
        write!(queries, "<query>{grant}</query>").unwrap();
    }
    let (config, rights) = (dir.join("engine.xml"), dir.join("users.xml"));
    std::fs::create_dir_all(dir).unwrap();
    let include = format!("<clickhouse><users_config>{}</users_config></clickhouse>", rights.display());
    std::fs::write(&config, include).unwrap();
    let users = format!(
        "<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users><default><no_password/>\
         <networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>\
         <grants>{queries}</grants></default></users></clickhouse>"
    );
    std::fs::write(&rights, users).unwrap();
    let arguments = ["--engine-config".into(), config.into_os_string()];
    ClickHouse::start_at(&Installation::detect().unwrap(), dir, url, password, &arguments).await.unwrap()
}

/// Stops a process that was to have had all the rights that it needs.
async fn stop_unhindered(service: &Service, since: usize) {
    service.stop(Weir::STOP_LIMIT).await.unwrap();
    let log = std::fs::read_to_string(service.log()).unwrap();
    assert!(!log[since..].contains(DENIED), "{}", &log[since..]);
}

/// Starts a process again. Gives where its log goes on.
async fn start_again(service: &Service) -> usize {
    let since = std::fs::read_to_string(service.log()).unwrap().len();
    service.restart(Weir::START_LIMIT).await.unwrap();
    since
}

/// A command that has to succeed. Gives what it wrote.
fn run(system: &System, binary: &str, args: &[&str]) -> String {
    let Weir { clickhouse, nats, .. } = &system.weir;
    let mut command = Command::new(Installation::detect().unwrap().binary(binary).unwrap());
    let Output { status, stdout, stderr } =
        command.args(args).envs(service_variables(clickhouse, nats)).output().unwrap();
    let [out, error] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(status.success() && !error.contains(DENIED), "{binary} {args:?}: {out}{error}");
    out
}

async fn ask(system: &System, method: Method, path: &str, body: &str) -> Answer {
    let url = format!("http://{}{path}", system.weir.addresses.query_api);
    let request = system.http.request(method, url).bearer_auth(&system.weir.secrets.query_token);
    let request = if body.is_empty() { request } else { request.body(body.to_owned()) };
    let response = request.header("content-type", "application/json").send().await.unwrap();
    Answer { status: response.status(), retry_after: None, text: response.text().await.unwrap() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_made_by_a_user_that_may_make_tables() {
    let (dir, installation) = (TempDir::new().unwrap(), Installation::detect().unwrap());
    let nats = Nats::start(&installation, &dir.path().join("nats"), "secret").await.unwrap();
    let url = format!("http://{}", free_address().unwrap());
    let clickhouse = serve_as(&["weir_migrate"], &dir.path().join("clickhouse"), url, "secret").await;
    for _ in 0..2 {
        let mut migrate = Command::new(installation.binary("ingest").unwrap());
        let Output { status, stderr, .. } =
            migrate.arg("migrate").envs(service_variables(&clickhouse, &nats)).output().unwrap();
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    }
}

/// A system of which nothing runs but what is looked at, on a server that is started anew for each user.
struct Stage {
    system: System,
    now: i64,
}

impl Stage {
    /// Forty logs, 0 to 117 days old, stored by processes that may do everything.
    async fn start() -> Self {
        let variables = [
            ("WEIR_INGEST_RECONCILE_INTERVAL", "1s".to_owned()),
            ("WEIR_INGEST_RETENTION_LOGS", "40d".to_owned()),
        ];
        let system = System::start_with(|_| variables.to_vec()).await;
        let now = now_ms();
        let at = |number: u64| now - i64::try_from(number).unwrap() * 3 * DAY_MS;
        assert_eq!(system.push(&lines(0..40, at)).await.json()["stored"], 40);
        expect_rollups(&system, "gw").await;
        grow_old(&system, 3).await;
        for service in [&system.weir.ingest, &system.weir.aggregator, &system.weir.query_api] {
            service.stop(Weir::STOP_LIMIT).await.unwrap();
        }
        Self { system, now }
    }

    async fn become_users(&mut self, users: &[&str]) -> &System {
        let ClickHouse { service, url, password, .. } = &self.system.weir.clickhouse;
        service.stop(Weir::STOP_LIMIT).await.unwrap();
        let dir = service.log().parent().unwrap();
        let restricted = serve_as(users, dir, url.clone(), password).await;
        self.system.weir.clickhouse = restricted;
        &self.system
    }

    /// Retention, then pushes: stored, known, dead letters.
    async fn ingest(&mut self) {
        let now = self.now;
        let system = self.become_users(&["weir_ingest"]).await;
        let since = start_again(&system.weir.ingest).await;
        eventually(LIMIT, "14".to_owned(), || system.sql("SELECT count() FROM logs")).await;
        let batch = format!("{}\n{{", lines(100..110, |_| now));
        for (stored, duplicates) in [(10, 0), (0, 10)] {
            let answer = system.push(&batch).await.json();
            assert_eq!([&answer["stored"], &answer["duplicates"]], [stored, duplicates], "{answer}");
            assert_eq!(answer["dead_lettered"], 1, "{answer}");
        }
        let entered = "SELECT sum(stored) FROM ledger FINAL WHERE hour > now() - INTERVAL 2 HOUR";
        eventually(LIMIT, "10".to_owned(), || system.sql(entered)).await;
        stop_unhindered(&system.weir.ingest, since).await;
    }

    /// Rollups of minutes and quarters, and those that are computed anew.
    async fn aggregator(&mut self) {
        let now = self.now;
        let system = self.become_users(&["weir_aggregator"]).await;
        let since = start_again(&system.weir.aggregator).await;
        expect_rollups(system, "gw").await;
        let quarters = "SELECT sum(requests) FROM usage_15m_by_model FINAL";
        eventually(LIMIT, "24".to_owned(), || system.sql(quarters)).await;
        let day = |millis: i64| Timestamp::from_millis(millis).unwrap().to_string()[..10].to_owned();
        let audit = ["rebuild", "--from", &day(now - 6 * DAY_MS), "--to", &day(now + DAY_MS)];
        let (code, told) = run_audit(&system.weir.clickhouse, &system.weir.nats, &audit).await;
        assert_eq!(code, 0, "{told}");
        stop_unhindered(&system.weir.aggregator, since).await;
    }

    /// What is read, set, watched, deleted.
    async fn query_api(&mut self) {
        let now = self.now;
        let system = self.become_users(&["weir_query_api"]).await;
        let since = start_again(&system.weir.query_api).await;
        let logs = "/client/v4/accounts/acc/ai-gateway/gateways/gw/logs";
        let list = ask(system, Method::GET, logs, "").await.json();
        assert_eq!(list["result_info"]["total_count"], 24, "{list}");
        let log = format!("{logs}/{}", list["result"][0]["id"].as_str().unwrap());
        let set = ask(system, Method::PATCH, &log, r#"{"feedback":1}"#).await;
        assert_eq!(set.status, StatusCode::OK, "{}", set.text);
        let budget = r#"{"name":"all","measure":"cost","limit":1,"period":"day"}"#;
        let made = ask(system, Method::POST, "/v1/budgets?account_id=acc&gateway_id=gw", budget).await;
        assert!(made.status.is_success(), "{}", made.text);
        let id = made.json()["id"].as_str().unwrap().to_owned();
        let gone = format!("/v1/budgets/{id}?account_id=acc&gateway_id=gw");
        let gone = ask(system, Method::DELETE, &gone, "").await;
        assert!(gone.status.is_success(), "{}", gone.text);
        let deleted = ask(system, Method::DELETE, &format!("{logs}?limit=4"), "").await;
        assert_eq!(deleted.status, StatusCode::OK, "{}", deleted.text);
        assert_eq!(system.sql("SELECT count() FROM logs").await, "20");
        let hour = |millis: i64| Timestamp::from_millis(millis / HOUR_MS * HOUR_MS).unwrap();
        let ledger = format!("/v1/ledger?account_id=acc&from={}&to={}", hour(now - DAY_MS), hour(now));
        let ledger = ask(system, Method::GET, &ledger, "").await;
        assert_eq!(ledger.status, StatusCode::OK, "{}", ledger.text);
        stop_unhindered(&system.weir.query_api, since).await;
    }

    /// Tokens; then costs that are computed anew, and dead letters that are thrown away.
    async fn operators(&mut self) {
        let now = self.now;
        let system = self.become_users(&["weir_identity"]).await;
        run(
            system,
            "query-api",
            &["tokens", "create", "--name", "test", "--account", "acc", "--permission", "read"],
        );
        run(system, "query-api", &["tokens", "list"]);

        let system = self.become_users(&["weir_ingest", "weir_operator"]).await;
        let folder = TempDir::new().unwrap();
        let prices = folder.path().join("prices.toml");
        std::fs::write(&prices, PRICES).unwrap();
        let of_all = ["reprice", "--from", "2020-01-01", "--to", "2099-01-01", "--yes", "--price-file"];
        let repriced = run(system, "ingest", &[&of_all[..], &[prices.to_str().unwrap()]].concat());
        assert!(repriced.contains("20 differ"), "{repriced}");
        let before = Timestamp::from_millis(now + DAY_MS).unwrap().to_string();
        run(system, "ingest", &["dead-letters", "purge", "--before", &before, "--unsettled", "--yes"]);
        assert_eq!(system.sql("SELECT count() FROM dead_letters FINAL").await, "0");
    }

    /// Figures, and nothing else.
    async fn analysts(&mut self) {
        let system = self.become_users(&["weir_analyst"]).await;
        assert_eq!(system.sql("SELECT count(), countIf(cost > 0) FROM logs").await, "20\t20");
        assert_eq!(system.sql("SELECT count() > 0 FROM cost_revisions").await, "1");
        let ClickHouse { url, user, password, .. } = &system.weir.clickhouse;
        for table in ["bodies", "payloads", "dead_letters", "api_tokens", "users", "relay_keys"] {
            let request = system.http.post(format!("{url}/?database=weir")).basic_auth(user, Some(password));
            let answer = request.body(format!("SELECT * FROM {table}")).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{table}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_do_their_work_with_what_is_granted_to_their_users() {
    let mut stage = Stage::start().await;
    stage.ingest().await;
    stage.aggregator().await;
    stage.query_api().await;
    stage.operators().await;
    stage.analysts().await;
}
