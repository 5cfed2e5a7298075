//! Starts the server as a child process, on a free port and a folder of its own, and talks to it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use reqwest::Response;
use tempfile::TempDir;

/// How long the server may take to open or to stop.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) const PASSWORD: &str = "correct horse; battery'staple\\";

/// A running server. It is killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    port: u16,
    folder: TempDir,
    flags: Vec<String>,
}

impl Server {
    /// Starts with an empty data folder.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), flags)
    }

    fn start_in(folder: TempDir, flags: &[&str]) -> Self {
        let port_file = folder.path().join("port");
        let _ = fs::remove_file(&port_file);
        let mut child = command(&folder.path().join("data"))
            .arg("--port-file")
            .arg(&port_file)
            .args(flags)
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let started = Instant::now();
        let port = loop {
            if let Ok(text) = fs::read_to_string(&port_file) {
                break text.trim().parse().unwrap();
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended with {status} before it listened");
            }
            assert!(started.elapsed() < PATIENCE, "the server did not listen in time");
            thread::sleep(Duration::from_millis(5));
        };
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self { child, port, folder, flags }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The official client.
    pub(crate) fn client(&self) -> clickhouse::Client {
        clickhouse::Client::default().with_url(self.url())
    }

    /// POSTs a statement and expects it to succeed.
    pub(crate) async fn sql(&self, sql: &str) -> String {
        self.sql_with(&[], sql).await
    }

    /// POSTs a statement with URL parameters and expects it to succeed.
    pub(crate) async fn sql_with(&self, query: &[(&str, &str)], sql: &str) -> String {
        let response = self.post(query, sql.as_bytes().to_vec()).await;
        let status = response.status();
        let text = String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned();
        assert!(status.is_success(), "{status}: {sql}: {text}");
        text
    }

    /// POSTs a statement and expects it to fail: status, code and text.
    pub(crate) async fn fails(&self, query: &[(&str, &str)], sql: &str) -> (u16, u16, String) {
        failure(self.post(query, sql.as_bytes().to_vec()).await).await
    }

    /// POSTs any body.
    pub(crate) async fn post(&self, query: &[(&str, &str)], body: Vec<u8>) -> Response {
        reqwest::Client::new().post(self.url()).query(query).body(body).send().await.unwrap()
    }

    /// GETs with URL parameters.
    pub(crate) async fn get(&self, query: &[(&str, &str)]) -> Response {
        reqwest::Client::new().get(self.url()).query(query).send().await.unwrap()
    }

    /// Resident memory in MiB.
    pub(crate) fn memory_mib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }

    /// `kill -9`, then a new server on the same folder.
    pub(crate) fn killed_and_started_again(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.started_again()
    }

    /// Asks the server to stop and waits for it.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.tell_to_stop();
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(asked.elapsed() < PATIENCE, "the server did not stop in time");
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn tell_to_stop(&self) {
        let told = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(told.success());
    }

    /// A new server on the folder of one that has ended.
    pub(crate) fn started_again(mut self) -> Self {
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        let flags = self.flags.clone();
        Self::start_in(folder, &flags.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary with its library and data folder, on a free port.
pub(crate) fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clickhouse-embedded"));
    command.arg("--library").arg(library()).arg("--path").arg(data).args([
        "--listen",
        "127.0.0.1:0",
        "--log",
        "warn",
    ]);
    command.env_remove("CLICKHOUSE_PASSWORD");
    command
}

/// Status, `X-ClickHouse-Exception-Code` and text of a failed request.
pub(crate) async fn failure(response: Response) -> (u16, u16, String) {
    let status = response.status().as_u16();
    let code = response.headers().get("x-clickhouse-exception-code");
    let code = code.map_or(0, |code| code.to_str().unwrap().parse().unwrap());
    let text = String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned();
    assert!(status >= 400, "{status}: {text}");
    assert!(text.starts_with(&format!("Code: {code}. DB::")) || code == 0, "{text}");
    (status, code, text)
}

fn library() -> PathBuf {
    let named = env::var_os("WEIR_CHDB_LIBRARY").map(PathBuf::from);
    let library = named.or_else(weir_clickhouse_embedded::config::default_library);
    match library {
        Some(library) if library.is_file() => library,
        other => panic!(
            "the ClickHouse library is not at {}: run deploy/local/provision.sh, or set WEIR_CHDB_LIBRARY",
            other.unwrap_or_default().display()
        ),
    }
}
