//! The commands that have no log, as a person at a terminal meets them.

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn explain(record: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ingest"))
        .args(["prices", "explain"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary is built");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(record.as_bytes()).expect("it is read");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

#[test]
fn a_receipt_goes_to_standard_output_and_a_mistake_to_standard_error() {
    let seed = include_str!("../../schemas/json/examples/trace/seed_tail.ndjson");
    let told = explain(seed);
    assert!(told.status.success() && told.stderr.is_empty(), "{told:?}");
    let receipt = String::from_utf8_lossy(&told.stdout);
    for part in ["15 x 0.000005 = 0.000075", "354 x 0.000015 = 0.00531", "total 0.005385 USD"] {
        assert!(receipt.contains(part), "{receipt}");
    }

    let told = explain("{\"broken\"\n");
    assert!(!told.status.success() && told.stdout.is_empty(), "{told:?}");
    let error = String::from_utf8_lossy(&told.stderr);
    assert!(error.starts_with("error: ") && error.contains("not JSON"), "{error}");
}
