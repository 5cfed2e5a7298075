//! What survives, and who may have the folder.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::harness::{Server, command};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9() {
    let mut server = Server::start(&[]);
    server.sql("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n").await;
    let mut acknowledged = Vec::new();
    for round in 0..3_u64 {
        let url = server.url();
        let writer = tokio::spawn(async move {
            let client = reqwest::Client::new();
            let mut stored = Vec::new();
            for n in round * 1_000_000.. {
                let request =
                    client.post(&url).query(&[("query", "INSERT INTO t FORMAT TSV")]).body(format!("{n}\n"));
                match request.send().await {
                    Ok(response) if response.status().is_success() => stored.push(n),
                    _ => break,
                }
            }
            stored
        });
        tokio::time::sleep(Duration::from_millis(700)).await;
        server = server.killed_and_started_again();
        acknowledged.extend(writer.await.unwrap());
    }
    assert!(acknowledged.len() > 30, "{}", acknowledged.len());
    let text = server.sql("SELECT n FROM t").await;
    let stored: std::collections::HashSet<u64> = text.lines().map(|line| line.parse().unwrap()).collect();
    let lost: Vec<_> = acknowledged.iter().filter(|n| !stored.contains(n)).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert_eq!(text.lines().count(), stored.len(), "something is there twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_cannot_have_one_folder() {
    let mut server = Server::start(&[]);
    let second = command(&server.data()).stderr(Stdio::piped()).output().unwrap();
    let message = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(3), "{message}");
    assert!(
        message.contains(&server.data().display().to_string()) && message.contains("in use by process"),
        "{message}"
    );
    assert_eq!(server.sql("SELECT 1").await, "1\n");
    assert_eq!(server.stop().code(), Some(0));
    let server = server.started_again();
    assert_eq!(server.sql("SELECT 1").await, "1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_stop_lets_requests_finish() {
    let mut server = Server::start(&[]);
    server.sql("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n").await;
    server.sql_with(&[("session_id", "open")], "CREATE TEMPORARY TABLE x (n UInt8)").await;
    let url = server.url();
    let slow = tokio::spawn(async move {
        reqwest::Client::new().post(url).body("SELECT sleep(2)").send().await.unwrap().text().await.unwrap()
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let status = tokio::task::block_in_place(|| server.stop());
    assert_eq!(status.code(), Some(0));
    assert_eq!(slow.await.unwrap(), "0\n");
    let server = server.started_again();
    assert_eq!(server.sql("SELECT count() FROM t").await, "0\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_ever() {
    let mut server = Server::start(&["--drain-timeout-ms", "500"]);
    let url = server.url();
    let endless = tokio::spawn(async move {
        let sent = reqwest::Client::new().post(url).body("SELECT count() FROM system.numbers").send().await;
        sent.is_ok_and(|response| response.status().is_success())
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let asked = Instant::now();
    let status = tokio::task::block_in_place(|| server.stop());
    assert_eq!(status.code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    assert!(!endless.await.unwrap());
}

#[test]
fn a_wrong_command_line_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut missing = command(&folder.path().join("data"));
    let output = missing.args(["--listen", "0.0.0.0:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let mut wrong = std::process::Command::new(env!("CARGO_BIN_EXE_clickhouse-embedded"));
    let output = wrong
        .args(["--library", "/does/not/exist.so", "--path"])
        .arg(folder.path().join("data"))
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{message}");
    assert!(message.contains("/does/not/exist.so") && message.contains("provision.sh"), "{message}");
}
