//! The real services under supervision: they start, stop, are killed, and come back with what they had.
//!
//! `make provision` has to have run, and `cargo build -p weir-clickhouse-embedded` in this profile.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use weir_local::{ClickHouse, Installation, Kafka, LocalError, Nats, Probe, Program, Service, free_address};

const LIMIT: Duration = Duration::from_secs(20);

fn installation() -> Installation {
    Installation::detect().unwrap()
}

fn shell(script: &str, folder: &TempDir) -> Program {
    Program::new("shell", "/bin/sh", folder.path().join("log")).args(["-c", script])
}

fn exists(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

fn state_of(pid: u32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
}

/// One exchange with the server in NATS's own protocol: says `commands`, and reads to the first line that begins with
/// `-ERR` or with `until`.
async fn ask_nats(nats: &Nats, token: &str, commands: &str, until: &str) -> String {
    let stream = TcpStream::connect(nats.url.trim_start_matches("nats://")).await.unwrap();
    let (reader, mut writer) = stream.into_split();
    let said = format!("CONNECT {{\"auth_token\":\"{token}\",\"verbose\":false}}\r\n{commands}");
    writer.write_all(said.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(reader).lines();
    let answer = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.starts_with("-ERR") || line.starts_with(until) {
                return line;
            }
        }
        panic!("the server hung up before it said {until}");
    };
    timeout(LIMIT, answer).await.unwrap()
}

/// The answer to a request to JetStream.
async fn ask_jetstream(nats: &Nats, subject: &str, body: &str) -> String {
    let request = format!("SUB answer 1\r\nPUB {subject} answer {}\r\n{body}\r\n", body.len());
    ask_nats(nats, &nats.token, &request, r#"{"type":"#).await
}

#[tokio::test]
async fn nats_keeps_its_streams_over_a_kill_and_a_restart() {
    let folder = TempDir::new().unwrap();
    let nats = Nats::start(&installation(), folder.path(), "right").await.unwrap();
    assert_eq!(ask_nats(&nats, "wrong", "PING\r\n", "PONG").await, "-ERR 'Authorization Violation'");
    assert_eq!(ask_nats(&nats, "right", "PING\r\n", "PONG").await, "PONG");
    let stream = r#"{"name":"kept","subjects":["kept"]}"#;
    let created = ask_jetstream(&nats, "$JS.API.STREAM.CREATE.kept", stream).await;
    assert!(created.contains(r#""did_create":true"#), "{created}");
    nats.service.kill_hard().unwrap();
    assert!(TcpStream::connect(nats.url.trim_start_matches("nats://")).await.is_err());
    nats.service.restart(LIMIT).await.unwrap();
    let names = ask_jetstream(&nats, "$JS.API.STREAM.NAMES", "").await;
    assert!(names.contains(r#""streams":["kept"]"#), "{names}");
    assert_eq!(nats.service.stop(LIMIT).await.unwrap().code(), Some(0));
}

/// Says `sql` to ClickHouse and gives what it answers, one way or the other.
async fn ask_clickhouse(clickhouse: &ClickHouse, password: &str, sql: &str) -> String {
    let client = reqwest::Client::new();
    let request =
        client.post(&clickhouse.url).basic_auth(&clickhouse.user, Some(password)).body(sql.to_owned());
    request.send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn clickhouse_keeps_what_is_committed_over_a_kill_and_a_restart() {
    let folder = TempDir::new().unwrap();
    let clickhouse = ClickHouse::start(&installation(), folder.path(), "right").await.unwrap();
    let create = "CREATE TABLE kept (n UInt8) ENGINE = MergeTree ORDER BY n";
    assert_eq!(ask_clickhouse(&clickhouse, "right", create).await, "");
    assert_eq!(ask_clickhouse(&clickhouse, "right", "INSERT INTO kept SELECT 7").await, "");
    assert!(ask_clickhouse(&clickhouse, "wrong", "SELECT 1").await.contains("AUTHENTICATION_FAILED"));
    clickhouse.service.kill_hard().unwrap();
    clickhouse.service.restart(ClickHouse::START_LIMIT).await.unwrap();
    assert_eq!(ask_clickhouse(&clickhouse, "right", "SELECT n FROM kept").await, "7\n");
    assert_eq!(clickhouse.service.stop(LIMIT).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn kafka_starts_stops_and_comes_back_after_a_kill() {
    let folder = TempDir::new().unwrap();
    let kafka = Kafka::start(&installation(), folder.path()).await.unwrap();
    kafka.service.kill_hard().unwrap();
    assert!(TcpStream::connect(&kafka.brokers).await.is_err());
    kafka.service.restart(Kafka::START_LIMIT).await.unwrap();
    assert!(TcpStream::connect(&kafka.brokers).await.is_ok());
    // A JVM that SIGTERM ends says so by its exit code.
    assert_eq!(kafka.service.stop(LIMIT).await.unwrap().code(), Some(143));
}

#[tokio::test]
async fn a_service_that_ends_at_once_is_told_with_its_log() {
    let folder = TempDir::new().unwrap();
    let program =
        shell("echo no such port; exit 3", &folder).ready_when(Probe::Connects(free_address().unwrap()));
    let error = Service::start(program, LIMIT).await.unwrap_err();
    let LocalError::Ended { status, log_tail, .. } = &error else { panic!("{error}") };
    assert_eq!((status.code(), log_tail.as_str()), (Some(3), "no such port\n"));
    assert!(error.to_string().starts_with("shell ended with exit status: 3; the end of "));
}

#[tokio::test]
async fn a_service_that_is_never_ready_is_told_with_its_log_and_does_not_stay() {
    let folder = TempDir::new().unwrap();
    let program = shell("echo thinking; exec sleep 600", &folder);
    let program = program.ready_when(Probe::Connects(free_address().unwrap()));
    let error = Service::start(program, Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(&error, LocalError::NotReady { log_tail, .. } if log_tail == "thinking\n"), "{error}");
}

#[tokio::test]
async fn a_service_that_does_not_stop_is_killed() {
    let folder = TempDir::new().unwrap();
    let service = Service::spawn(shell("trap '' TERM; while :; do sleep 0.05; done", &folder)).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let error = service.stop(Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(error, LocalError::NotStopped { .. }), "{error}");
    assert!(!service.is_running());
    assert!(matches!(service.stop(LIMIT).await, Err(LocalError::NotRunning { .. })));
}

#[tokio::test]
async fn a_suspended_service_is_frozen_until_it_is_resumed() {
    let folder = TempDir::new().unwrap();
    let service = Service::spawn(shell("exec sleep 600", &folder)).unwrap();
    let pid = service.pid().unwrap();
    let becomes = async |frozen: bool| {
        for _ in 0..200 {
            if (state_of(pid) == 'T') == frozen {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the process is in state {}", state_of(pid));
    };
    service.suspend().unwrap();
    becomes(true).await;
    service.resume().unwrap();
    becomes(false).await;
}

#[tokio::test]
async fn a_dropped_service_is_gone() {
    let folder = TempDir::new().unwrap();
    let service = Service::spawn(shell("exec sleep 600", &folder)).unwrap();
    let pid = service.pid().unwrap();
    assert!(exists(pid));
    drop(service);
    assert!(!exists(pid));
}

#[tokio::test]
async fn the_shells_own_settings_do_not_reach_a_service() {
    let folder = TempDir::new().unwrap();
    let program = shell("env", &folder).env("WEIR_NATS_URL", "nats://here");
    let service = Service::spawn(program).unwrap();
    service.wait_until_ended(LIMIT).await.unwrap();
    assert!(service.log_tail().contains("WEIR_NATS_URL=nats://here"));
}

/// This test is two: as a child (told by a variable) it starts a service and is killed; as itself it looks whether
/// the service went with it.
#[test]
fn a_service_does_not_outlive_the_process_that_started_it() {
    if std::env::var_os("PLAY_PARENT").is_some() {
        let folder = TempDir::new().unwrap();
        // From a thread that ends, as the threads of tests do: that must not end the service.
        let start = std::thread::spawn(move || Service::spawn(shell("exec sleep 600", &folder)).unwrap());
        let service = start.join().unwrap();
        std::thread::sleep(Duration::from_millis(200));
        println!("service {}", service.pid().unwrap());
        std::process::abort();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_service_does_not_outlive_the_process_that_started_it", "--nocapture"])
        .env("PLAY_PARENT", "1")
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let pid =
        printed.lines().find_map(|line| line.split_once("service ")).expect("the service had started").1;
    let pid: u32 = pid.parse().unwrap();
    for _ in 0..200 {
        if !exists(pid) || state_of(pid) == 'Z' {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("process {pid} lives on");
}
