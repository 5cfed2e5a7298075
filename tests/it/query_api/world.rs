//! The query API with a ClickHouse and a NATS of its own.

use std::process::{Command, Output};
use std::time::Duration;

use clickhouse::Client;
use harness::create_tables;
use reqwest::header::HeaderMap;
use reqwest::{Client as HttpClient, Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use weir_local::{
    ClickHouse, Installation, Nats, Probe, Program, Service, Weir, free_address, random_secret,
    service_variables,
};
use weir_store::{BodyRow, LogRow};

use super::rows::{ACCOUNT, GATEWAY};
use crate::outage::proxy::Proxy;

/// What the tests show as their bearer token.
pub(crate) const TOKEN: &str = "query-token";
const START_LIMIT: Duration = Duration::from_secs(30);

/// Everything that the query API needs, and the query API.
pub(crate) struct World {
    pub(crate) api: Service,
    pub(crate) url: String,
    pub(crate) ops_url: String,
    pub(crate) client: Client,
    pub(crate) clickhouse: ClickHouse,
    pub(crate) nats: Nats,
    // Last, so that the processes are gone before their files.
    _dir: TempDir,
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: String,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with more variables for the query API.
    pub(crate) async fn start_with(variables: &[(&str, &str)]) -> Self {
        Self::start_behind(None, variables).await
    }

    /// The same with a query API that reaches ClickHouse through a proxy.
    pub(crate) async fn start_behind(proxy: Option<&mut Proxy>, variables: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let installation = Installation::detect().unwrap();
        let password = random_secret().unwrap();
        let clickhouse =
            ClickHouse::start(&installation, &dir.path().join("clickhouse"), &password).await.unwrap();
        let nats =
            Nats::start(&installation, &dir.path().join("nats"), &random_secret().unwrap()).await.unwrap();
        let client = create_tables(&clickhouse).await;
        let (listen, ops_listen) = (free_address().unwrap(), free_address().unwrap());
        let ops_url = format!("http://{ops_listen}");
        let mut program = Program::new(
            "query-api",
            installation.binary("query-api").unwrap(),
            dir.path().join("query-api.log"),
        )
        .args(["--query-api-listen", &listen.to_string(), "--query-api-ops-listen", &ops_listen.to_string()])
        .env("WEIR_QUERY_API_TOKENS", format!("tests:{TOKEN}"))
        .env("WEIR_QUERY_API_LIVE_TIMEOUT", "500ms")
        // All tests are one client.
        .env("WEIR_QUERY_API_NEW_API_LIMIT", "off")
        .env("WEIR_QUERY_API_NEW_API_KEY_LIMIT", "off")
        .reaching(&clickhouse, &nats)
        .ready_when(Probe::Http(format!("{ops_url}/readyz")));
        for (name, value) in variables {
            program = program.env(name, value);
        }
        if let Some(proxy) = proxy {
            program = program.env("WEIR_CLICKHOUSE_URL", proxy.lead_to(&clickhouse.url));
        }
        let api = Service::start(program, START_LIMIT).await.unwrap();
        Self { api, url: format!("http://{listen}"), ops_url, client, clickhouse, nats, _dir: dir }
    }

    pub(crate) async fn insert_logs(&self, rows: &[LogRow<'static>]) {
        let mut insert = self.client.insert::<LogRow<'_>>("logs").await.unwrap();
        for row in rows {
            insert.write(row).await.unwrap();
        }
        insert.end().await.unwrap();
    }

    pub(crate) async fn insert_bodies(&self, rows: &[BodyRow<'static>]) {
        let mut insert = self.client.insert::<BodyRow<'_>>("bodies").await.unwrap();
        for row in rows {
            insert.write(row).await.unwrap();
        }
        insert.end().await.unwrap();
    }

    /// Asks for a path under the gateway's logs.
    pub(crate) async fn logs(&self, tail: &str) -> Answer {
        self.get(&format!("/client/v4/accounts/{ACCOUNT}/ai-gateway/gateways/{GATEWAY}/logs{tail}")).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let request = reqwest::Client::new().get(format!("{}{path}", self.url)).bearer_auth(TOKEN);
        read(request).await
    }

    /// Sends a body to a log of the gateway.
    pub(crate) async fn patch(&self, id: &str, body: &str) -> Answer {
        self.patch_of(&format!("accounts/{ACCOUNT}/ai-gateway/gateways/{GATEWAY}"), id, body).await
    }

    pub(crate) async fn patch_of(&self, tenant: &str, id: &str, body: &str) -> Answer {
        let url = format!("{}/client/v4/{tenant}/logs/{id}", self.url);
        let request = reqwest::Client::new().patch(url).bearer_auth(TOKEN);
        let request = request.header("content-type", "application/json").body(body.to_owned());
        read(request).await
    }

    /// Sends a request with these headers and no others of ours.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let method: Method = method.parse().unwrap();
        // A redirect is an answer.
        let client = HttpClient::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let request = client.request(method, format!("{}{path}", self.url));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        read(request).await
    }

    /// Runs `query-api` with these arguments to its end.
    pub(crate) async fn command(&self, args: &[&str]) -> Output {
        let mut command = Command::new(Installation::detect().unwrap().binary("query-api").unwrap());
        command.args(args).envs(service_variables(&self.clickhouse, &self.nats));
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// What it says when it succeeds.
    pub(crate) async fn succeeded(&self, args: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.command(args).await;
        assert!(status.success(), "{args:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    /// What ClickHouse answers to a statement.
    pub(crate) async fn sql(&self, statement: &str) -> String {
        let ClickHouse { url, user, password, .. } = &self.clickhouse;
        let request = reqwest::Client::new().post(format!("{url}/?database={}", Weir::DATABASE));
        let request = request.basic_auth(user, Some(password)).body(statement.to_owned());
        request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
    }

    /// The ids on a page.
    pub(crate) async fn ids(&self, query: &str) -> Vec<String> {
        let answer = self.logs(query).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.text);
        let page: Value = serde_json::from_str(&answer.text).unwrap();
        let entries = page["result"].as_array().unwrap();
        entries.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
    }
}

async fn read(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let headers = response.headers().clone();
    let content_type = headers.get("content-type").map(|value| value.to_str().unwrap().to_owned());
    Answer {
        status: response.status(),
        content_type: content_type.unwrap_or_default(),
        headers,
        text: response.text().await.unwrap(),
    }
}

impl Drop for World {
    #[expect(clippy::print_stderr, reason = "what the services said is what a failed test is understood by")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("query-api: {}", self.api.log_tail());
            eprintln!("clickhouse: {}", self.clickhouse.service.log_tail());
        }
    }
}
