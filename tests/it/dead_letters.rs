//! `ingest dead-letters`: what could not be taken in is found, shown as it came, taken in when it can be read, and deleted
//! when it is asked for.

mod late;
mod refused;
mod replay;

use std::process::{Command, Output};

use harness::System;
use harness::traffic::{now_ms, record};
use serde_json::{Value, json};
use weir_event::Timestamp;
use weir_local::{Installation, Weir, service_variables};

const BROKEN: &[u8] = br#"{"EventTimestampMs":1,"#;
const BYTES: &[u8] = b"\xff\xfe{ \x1b[2J";

/// What a command printed, and whether it did what was asked for.
struct Ended {
    success: bool,
    out: Vec<u8>,
    error: String,
}

impl Ended {
    fn text(&self) -> String {
        String::from_utf8(self.out.clone()).unwrap()
    }

    fn letters(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl From<Output> for Ended {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        Self { success: status.success(), out: stdout, error: String::from_utf8(stderr).unwrap() }
    }
}

/// `ingest dead-letters` with these arguments, of a system.
fn command(system: &System, args: &[&str]) -> Command {
    let Weir { clickhouse, nats, .. } = &system.weir;
    let mut command = Command::new(Installation::detect().unwrap().binary("ingest").unwrap());
    command.arg("dead-letters").args(args).envs(service_variables(clickhouse, nats));
    command
}

/// Runs `ingest dead-letters` with these arguments.
fn run(system: &System, args: &[&str]) -> Ended {
    command(system, args).output().unwrap().into()
}

fn succeeded(system: &System, args: &[&str]) -> Ended {
    let ended = run(system, args);
    assert!(ended.success, "{args:?}: {}", ended.error);
    ended
}

/// Three letters: a broken line and one that is no text, of `acc/gw`, and a good one that nobody's gateway is named for.
async fn three_letters(system: &System) {
    let token = system.weir.secrets.ingest_token.clone();
    let body = [BROKEN, b"\n", BYTES, b"\n"].concat();
    let answer = system.push_raw(body, Some(&token), None).await.json();
    assert_eq!(answer["dead_lettered"], 2, "{answer}");
    let answer = system.push_to("acc", &record(1, now_ms())).await.json();
    assert_eq!(answer["dead_lettered"], 1, "{answer}");
}

#[tokio::test]
async fn letters_are_listed_by_what_is_asked_for_and_shown_byte_for_byte() {
    let system = System::start().await;
    assert_eq!(succeeded(&system, &["list"]).text(), "no letters\n");
    three_letters(&system).await;

    let table = succeeded(&system, &["list"]).text();
    let rows: Vec<_> = table.lines().collect();
    assert!(rows.len() == 5 && rows[4] == "3 letters", "{table}");
    assert!(table.contains("acc/-") && table.contains("no_gateway") && table.contains(":2 "), "{table}");
    let limited = succeeded(&system, &["list", "--limit", "2"]).text();
    assert!(limited.ends_with("the latest 2 are shown, there are more (--limit)\n"), "{limited}");

    let found = |args: &[&str]| succeeded(&system, &[&["list", "--json"], args].concat()).letters();
    let all = found(&[]);
    assert_eq!(all.len(), 3);
    let of = |reason: &str| found(&["--reason", reason]);
    let orphan = &of("no_gateway")[0];
    assert_eq!((&orphan["gateway_id"], &orphan["form"]), (&json!(null), &json!("logpush")), "{orphan}");
    assert_eq!(found(&["--gateway", ""]), of("no_gateway"));
    assert_eq!(found(&["--gateway", "gw", "--account", "acc", "--source", "logpush"]).len(), 2);
    assert_eq!(found(&["--account", "other"]).len() + found(&["--source", "kafka"]).len(), 0);
    let hour_ago = Timestamp::from_millis(now_ms() - 3_600_000).unwrap().to_string();
    assert_eq!((found(&["--since", &hour_ago]).len(), found(&["--until", &hour_ago]).len()), (3, 0));

    let digest_of = |raw: &[u8]| {
        let is_it = |letter: &&Value| match letter["raw"].as_str() {
            Some(text) => text.as_bytes() == raw,
            None => std::str::from_utf8(raw).is_err(),
        };
        all.iter().find(is_it).unwrap()["digest"].as_str().unwrap().to_owned()
    };
    for raw in [BROKEN, BYTES] {
        let shown = succeeded(&system, &["show", &digest_of(raw)[..20], "--raw"]);
        assert_eq!(shown.out, raw);
    }
    let page = succeeded(&system, &["show", &digest_of(BYTES).to_uppercase()]).text();
    assert!(page.contains("\ngateway   gw\n") && page.ends_with("\n\n\\xff\\xfe{ \\x1b[2J\n"), "{page}");
    let page = succeeded(&system, &["show", &digest_of(BROKEN)]).text();
    assert!(page.ends_with("\n\n{\"EventTimestampMs\":1,\n"), "{page}");

    let unknown = run(&system, &["show", &"0".repeat(64)]);
    assert!(!unknown.success && unknown.error.starts_with("error: there is no letter"), "{}", unknown.error);
    // The same record for another account is another letter of the same digest.
    let token = system.weir.secrets.ingest_token.clone();
    let url = system.push_url().replace("/acc/", "/other/");
    let answer = system.http.post(url).bearer_auth(token).body(BROKEN).send().await.unwrap();
    assert!(answer.status().is_success());
    let ambiguous = run(&system, &["show", &digest_of(BROKEN)]);
    assert!(!ambiguous.success, "{}", ambiguous.text());
    assert!(
        ambiguous.error.contains("acc/gw") && ambiguous.error.contains("other/gw"),
        "{}",
        ambiguous.error
    );
    assert_eq!(succeeded(&system, &["show", &digest_of(BROKEN), "--account", "other", "--raw"]).out, BROKEN);
}

#[tokio::test]
async fn purge_deletes_what_is_settled_and_the_rest_only_when_it_is_told_to() {
    let system = System::start().await;
    three_letters(&system).await;
    let columns = "account_id, gateway_id, digest, received_at, source, form, batch, position, reason, raw";
    // The letter that names no gateway is dealt with: a newer row of it says so.
    let settle = format!(
        "INSERT INTO dead_letters ({columns}, settled_at, settled_as) \
         SELECT {columns}, now64(3), 'stored' FROM dead_letters WHERE reason = 'no_gateway'"
    );
    system.sql(&settle).await;
    assert_eq!(succeeded(&system, &["list", "--json"]).letters().len(), 2);
    let all = succeeded(&system, &["list", "--all", "--json"]).letters();
    assert_eq!(all.len(), 3);
    let settled: Vec<_> = all.iter().filter(|letter| letter["settled_as"] == "stored").collect();
    assert!(settled.len() == 1 && settled[0]["settled_at"].is_string(), "{all:?}");

    let minute_on = Timestamp::from_millis(now_ms() + 60_000).unwrap().to_string();
    let purge = |args: &[&str]| run(&system, &[&["purge"], args].concat());
    let unconfirmed = purge(&["--before", &minute_on]);
    assert!(!unconfirmed.success && unconfirmed.error.contains("--yes"), "{}", unconfirmed.error);
    assert_eq!(unconfirmed.text(), "3 letters are kept, 1 of them are to be deleted\n");
    let early = purge(&["--before", "2020-01-01", "--unsettled", "--yes"]);
    assert_eq!((early.success, &*early.text()), (true, "3 letters are kept, 0 of them are to be deleted\n"));
    assert_eq!(succeeded(&system, &["list", "--all", "--json"]).letters().len(), 3);

    let done = purge(&["--before", &minute_on, "--yes"]);
    assert!(done.success, "{}", done.error);
    let expected = "3 letters are kept, 1 of them are to be deleted\ndeleted, 2 letters are kept\n";
    assert_eq!(done.text(), expected);
    // Not only the row that said that it was dealt with.
    assert_eq!(system.sql("SELECT count() FROM dead_letters WHERE reason = 'no_gateway'").await, "0");
    let other = purge(&["--before", &minute_on, "--unsettled", "--account", "other", "--yes"]);
    assert!(other.success && other.text().contains("0 of them"), "{}", other.text());
    let rest = purge(&["--before", &minute_on, "--unsettled", "--yes"]);
    assert!(rest.success && rest.text().ends_with("deleted, 0 letters are kept\n"), "{}", rest.text());
    assert_eq!(system.sql("SELECT count() FROM dead_letters").await, "0");
}
