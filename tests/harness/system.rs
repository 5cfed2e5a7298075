//! A whole Weir for one test.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::sleep;
use weir_local::{Addresses, ClickHouse, Installation, Probe, Program, Secrets, Service, Weir, free_address};

use crate::SmallDisk;

/// The account and gateway that tests push for.
const SCOPE: &str = "acc/gw";
const REQUEST_LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);

/// All of Weir, on free ports, in a temporary folder.
pub struct System {
    /// The processes.
    pub weir: Weir,
    /// A client of them.
    pub http: Client,
    // Last, so that the processes are gone before their files.
    dir: TempDir,
}

/// A folder of a [`System`].
#[derive(Clone, Copy, Debug)]
pub enum Folder {
    /// What ClickHouse keeps.
    ClickHouse,
    /// The streams of NATS.
    JetStream,
}

/// One more `ingest` of a [`System`].
pub struct SecondIngest {
    /// The process.
    pub service: Service,
    /// Where it takes pushes.
    pub address: SocketAddr,
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its `Retry-After`.
    pub retry_after: Option<String>,
    /// Its body.
    pub text: String,
}

impl System {
    /// Starts everything, and waits until it is ready.
    pub async fn start() -> Self {
        Self::start_with(|_| Vec::new()).await
    }

    /// The same, with more variables for `ingest`.
    pub async fn start_with(
        ingest_variables: impl FnOnce(&ClickHouse) -> Vec<(&'static str, String)>,
    ) -> Self {
        Self::start_in(TempDir::new().unwrap(), ingest_variables).await
    }

    /// The same, where one of its folders is on a disk of its own, which outlives the system.
    pub async fn start_on(
        (folder, disk): (Folder, &SmallDisk),
        ingest_variables: Vec<(&'static str, String)>,
    ) -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join(match folder {
            Folder::ClickHouse => "clickhouse",
            Folder::JetStream => "nats/jetstream",
        });
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(disk.path(), path).unwrap();
        Self::start_in(dir, |_| ingest_variables).await
    }

    /// The same, where ClickHouse keeps its data in a folder that may have some already, and that is left as it is then.
    pub async fn start_over(clickhouse: &Path) -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir_all(clickhouse).unwrap();
        std::os::unix::fs::symlink(clickhouse, dir.path().join("clickhouse")).unwrap();
        Self::start_in(dir, |_| Vec::new()).await
    }

    /// A client of the tables.
    #[must_use]
    pub fn tables(&self) -> clickhouse::Client {
        let ClickHouse { url, user, password, .. } = &self.weir.clickhouse;
        weir_store::client(url, Weir::DATABASE, user, password)
    }

    async fn start_in(
        dir: TempDir,
        ingest_variables: impl FnOnce(&ClickHouse) -> Vec<(&'static str, String)>,
    ) -> Self {
        let installation = Installation::detect().unwrap();
        let (secrets, addresses) = (Secrets::generate().unwrap(), Addresses::free().unwrap());
        let weir =
            Weir::start(&installation, dir.path(), secrets, addresses, ingest_variables).await.unwrap();
        let http = Client::builder().timeout(REQUEST_LIMIT).build().unwrap();
        Self { weir, http, dir }
    }

    /// Starts a second `ingest`, with these variables as well.
    pub async fn second_ingest(&self, variables: Vec<(&'static str, String)>) -> SecondIngest {
        let installation = Installation::detect().unwrap();
        let address = Addresses::free().unwrap().ingest;
        let place = (self.dir.path(), "ingest-2");
        let service = self.weir.start_ingest(&installation, place, address, variables).await.unwrap();
        SecondIngest { service, address }
    }

    /// Starts a second query API, with these variables, and gives where it answers.
    pub async fn second_query_api(&self, variables: Vec<(&'static str, String)>) -> (Service, SocketAddr) {
        let binary = Installation::detect().unwrap().binary("query-api").unwrap();
        let (listen, ops) = (free_address().unwrap(), free_address().unwrap());
        let program = Program::new("query-api", binary, self.dir.path().join("query-api-2.log"))
            .reaching(&self.weir.clickhouse, &self.weir.nats)
            .env("WEIR_QUERY_API_LISTEN", listen.to_string())
            .env("WEIR_QUERY_API_OPS_LISTEN", ops.to_string())
            .ready_when(Probe::Http(format!("http://{ops}/readyz")));
        let program = variables.into_iter().fold(program, |program, (name, value)| program.env(name, value));
        (Service::start(program, REQUEST_LIMIT).await.unwrap(), listen)
    }

    /// Starts one more aggregator, with no other settings than the first.
    pub async fn another_aggregator(&self, name: &str) -> Service {
        let binary = Installation::detect().unwrap().binary("aggregator").unwrap();
        let ops = free_address().unwrap();
        let program = Program::new(name, binary, self.dir.path().join(format!("{name}.log")))
            .reaching(&self.weir.clickhouse, &self.weir.nats)
            .env("WEIR_AGGREGATOR_OPS_LISTEN", ops.to_string())
            .ready_when(Probe::Http(format!("http://{ops}/readyz")));
        Service::start(program, REQUEST_LIMIT).await.unwrap()
    }

    /// Pushes gzipped lines to the `ingest` at `address`, which may not be there.
    pub async fn push_at(&self, address: SocketAddr, lines: &str) -> reqwest::Result<Answer> {
        let url = format!("http://{address}/v1/logpush/{SCOPE}");
        let request = self.http.post(url).bearer_auth(&self.weir.secrets.ingest_token);
        Answer::of(request.header(CONTENT_ENCODING, "gzip").body(crate::traffic::gzip(lines))).await
    }

    /// The metrics of a service that is running.
    pub async fn metrics_of(&self, service: &Service) -> String {
        self.ops(service, "/metrics").await.text
    }

    /// The URL of intake for the tests' gateway.
    #[must_use]
    pub fn push_url(&self) -> String {
        format!("http://{}/v1/logpush/{SCOPE}", self.weir.addresses.ingest)
    }

    /// Pushes gzipped lines, as Logpush does.
    pub async fn push(&self, lines: &str) -> Answer {
        self.try_push(lines).await.unwrap()
    }

    /// The same, for when there may be nobody to push to.
    pub async fn try_push(&self, lines: &str) -> reqwest::Result<Answer> {
        let request = self
            .http
            .post(self.push_url())
            .bearer_auth(&self.weir.secrets.ingest_token)
            .header(CONTENT_ENCODING, "gzip")
            .body(crate::traffic::gzip(lines));
        Answer::of(request).await
    }

    /// Pushes gzipped lines to a path of intake: an account, or an account and a gateway.
    pub async fn push_to(&self, path: &str, lines: &str) -> Answer {
        let url = format!("http://{}/v1/logpush/{path}", self.weir.addresses.ingest);
        let request = self.http.post(url).bearer_auth(&self.weir.secrets.ingest_token);
        Answer::of(request.body(crate::traffic::gzip(lines))).await.unwrap()
    }

    /// Pushes any body with any headers.
    pub async fn push_raw(&self, body: Vec<u8>, token: Option<&str>, encoding: Option<&str>) -> Answer {
        let mut request = self.http.post(self.push_url()).body(body);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(encoding) = encoding {
            request = request.header(CONTENT_ENCODING, encoding);
        }
        Answer::of(request).await.unwrap()
    }

    /// Gets a path of the query API.
    pub async fn get(&self, path: &str) -> Answer {
        let url = format!("http://{}{path}", self.weir.addresses.query_api);
        Answer::of(self.http.get(url).bearer_auth(&self.weir.secrets.query_token)).await.unwrap()
    }

    /// What ClickHouse answers to a statement, as tab-separated text without the last line end.
    pub async fn sql(&self, statement: &str) -> String {
        let clickhouse = &self.weir.clickhouse;
        let request = self
            .http
            .post(format!("{}/?database={}", clickhouse.url, Weir::DATABASE))
            .basic_auth(&clickhouse.user, Some(&clickhouse.password))
            .body(statement.to_owned());
        let answer = Answer::of(request).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{statement}: {}", answer.text);
        answer.text.trim_end().to_owned()
    }

    /// What the ops listener of a process says under a path.
    pub async fn ops(&self, service: &Service, path: &str) -> Answer {
        let log = std::fs::read_to_string(service.log()).unwrap();
        let line = log.lines().rfind(|line| line.contains("ops listener is up")).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        let url = format!("http://{}{path}", line["listen"].as_str().unwrap());
        Answer::of(self.http.get(url)).await.unwrap()
    }

    /// The records that `ingest` has read, and those whose way has ended.
    pub async fn records(&self) -> (u64, u64) {
        let (mut received, mut ended) = (0, 0);
        let metrics = self.metrics_of(&self.weir.ingest).await;
        for line in metrics.lines().filter(|line| line.starts_with("weir_ingest_records_total{")) {
            let count: u64 = line.rsplit(' ').next().unwrap().parse().unwrap();
            *(if line.contains("\"Received\"") { &mut received } else { &mut ended }) += count;
        }
        (received, ended)
    }

    /// The longest live windows of the tests' gateway: requests and cost, summed over every token and model.
    pub async fn live(&self) -> Option<Value> {
        let answer = self.get("/v1/live?account_id=acc&gateway_id=gw").await;
        (answer.status == StatusCode::OK).then(|| answer.json())
    }
}

impl Answer {
    async fn of(request: RequestBuilder) -> reqwest::Result<Self> {
        let response = request.send().await?;
        let retry_after =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Self { status: response.status(), retry_after, text: response.text().await? })
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

/// Waits until `attempt` gives `expected`; fails with what it gave last when `limit` is over.
pub async fn eventually<T, F>(limit: Duration, expected: T, attempt: impl Fn() -> F)
where
    T: PartialEq + std::fmt::Debug,
    F: Future<Output = T>,
{
    let begun = Instant::now();
    loop {
        let found = attempt().await;
        if found == expected {
            return;
        }
        assert!(begun.elapsed() < limit, "after {limit:?}: found {found:?}, expected {expected:?}");
        sleep(POLL).await;
    }
}
