//! The whole of this crate in a process of its own: `examples/minimal.rs` under real signals.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

/// A running example. It is killed when the test ends, whatever happens.
struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
    ops: String,
}

fn example(args: &[&str]) -> Command {
    let mut path: PathBuf = std::env::current_exe().unwrap();
    path.pop();
    path.set_file_name("examples");
    path.push("minimal");
    assert!(path.exists(), "{} is missing: build it with `cargo build --examples`", path.display());
    let mut command = Command::new(path);
    command.args(args).env_clear();
    command
}

impl Running {
    fn start(args: &[&str]) -> Self {
        let mut child = example(args).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut running = Self { child, stderr, ops: String::new() };
        let line = running.wait_for("ops listener is up");
        line.split('"').find(|part| part.starts_with("127.0.0.1:")).unwrap().clone_into(&mut running.ops);
        running
    }

    fn wait_for(&mut self, message: &str) -> String {
        let mut line = String::new();
        while self.stderr.read_line(&mut line).unwrap() > 0 {
            if line.contains(message) {
                return line;
            }
            line.clear();
        }
        panic!("the process ended without logging {message:?}");
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.ops).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }

    fn end(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_signal_drains_and_ends_with_success() {
    for signal in ["-TERM", "-INT"] {
        let mut running = Running::start(&[]);
        assert!(running.get("/healthz").starts_with("HTTP/1.1 200"));
        assert!(running.get("/metrics").contains("weir_build_info"));
        running.signal(signal);
        assert_eq!(running.end().code(), Some(0), "{signal}");
    }
}

#[test]
fn while_it_drains_it_is_alive_and_not_ready_and_a_second_signal_ends_it_with_a_failure() {
    let mut running = Running::start(&["--ingest-drain-takes", "1h", "--ingest-drain-timeout", "1h"]);
    running.signal("-TERM");
    running.wait_for("stopping: draining");
    assert!(running.get("/readyz").starts_with("HTTP/1.1 503"));
    assert!(running.get("/healthz").starts_with("HTTP/1.1 200"));
    running.signal("-TERM");
    running.wait_for("second signal");
    assert_eq!(running.end().code(), Some(1));
}

#[test]
fn a_missed_drain_deadline_is_a_failure() {
    let mut running = Running::start(&["--ingest-drain-takes", "1h", "--ingest-drain-timeout", "50ms"]);
    running.signal("-TERM");
    running.wait_for("drain deadline passed");
    assert_eq!(running.end().code(), Some(1));
}

#[test]
fn the_log_is_json_where_nobody_watches() {
    let mut running = Running::start(&[]);
    running.signal("-TERM");
    let line = running.wait_for("stopping: draining");
    assert!(line.starts_with('{') && line.contains(r#""signal":"SIGTERM""#), "{line}");
}

#[test]
fn an_address_that_is_taken_is_an_error_with_its_cause() {
    let running = Running::start(&[]);
    let output = example(&["--ingest-ops-listen", &running.ops]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8(output.stderr).unwrap();
    let expected = format!("cannot listen on {}: Address already in use", running.ops);
    assert!(log.contains(&expected), "{log}");
}

#[test]
fn mistakes_end_it_with_two_before_anything_starts() {
    let output = example(&["--ingest-drain-timeout", "soon"]).env("WEIR_NOISE", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let expected = "error: 2 problems in the configuration\n  \
        WEIR_NOISE (WEIR_NOISE): unknown variable\n  \
        ingest.drain_timeout (--ingest-drain-timeout): \
        \"soon\" is not a duration such as 250ms, 30s, 5m or 1h\n";
    assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
    assert_eq!(example(&["--no-such-flag"]).output().unwrap().status.code(), Some(2));
}

#[test]
fn help_and_version_go_to_standard_output() {
    for flag in ["--help", "--version"] {
        let output = example(&[flag]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
    }
}
