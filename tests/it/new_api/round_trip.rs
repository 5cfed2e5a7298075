//! What new-api wrote is what its clients read here: the published examples, through all of Weir, by every way in.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use harness::{System, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_local::{Installation, service_variables};

use crate::kafka::{Outgoing, World};

const LIMIT: Duration = Duration::from_mins(1);

fn examples() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/json/examples/new_api_log");
    let files =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files.map(|path| serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()).collect()
}

/// Runs a command of a binary for a gateway, and gives what it printed.
async fn run(system: &System, binary: &str, args: &[&str], gateway: &str) -> String {
    let mut command = Command::new(Installation::detect().unwrap().binary(binary).unwrap());
    command.args(args).args(["--account", "acc", "--gateway", gateway]);
    command.envs(service_variables(&system.weir.clickhouse, &system.weir.nats));
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    let Output { status, stdout, stderr } = run.await.unwrap();
    assert!(status.success(), "{binary} {args:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// The rows of a gateway, as an admin of it lists them.
async fn listed(system: &System, gateway: &str, id: &str) -> Value {
    let new = ["users", "create", "--json", "--id", id, "--name", gateway, "--role", "admin"];
    let made: Value = serde_json::from_str(&run(system, "query-api", &new, gateway).await).unwrap();
    let list = async || -> Value {
        let url = format!("http://{}/api/log?page_size=100", system.weir.addresses.query_api);
        let request = system.http.get(url).header("authorization", made["token"].as_str().unwrap());
        request.header("new-api-user", id).send().await.unwrap().json().await.unwrap()
    };
    eventually(LIMIT, true, async || list().await["success"] == true).await;
    list().await["data"].take()
}

/// Pushes lines to a gateway, and gives how many were stored and how many were there.
async fn push(system: &System, gateway: &str, lines: &str) -> (u64, u64) {
    let url = format!("http://{}/v1/events/acc/{gateway}", system.weir.addresses.ingest);
    let push = system.http.post(url).bearer_auth(&system.weir.secrets.ingest_token).body(lines.to_owned());
    let tally: Value = push.send().await.unwrap().json().await.unwrap();
    (tally["stored"].as_u64().unwrap(), tally["duplicates"].as_u64().unwrap())
}

/// The rows as they are to be compared, in an order of their own: with both names of the channel, and without the numbers that
/// rows get which had none.
fn comparable(rows: &[Value], unnumbered: &HashSet<&str>) -> Vec<Value> {
    let mut rows = rows.to_vec();
    for row in &mut rows {
        let row = row.as_object_mut().unwrap();
        let channel = row.get("channel").or_else(|| row.get("channel_id")).unwrap().clone();
        row.extend([("channel".to_owned(), channel.clone()), ("channel_id".to_owned(), channel)]);
        if row.get("request_id").is_some_and(|id| unnumbered.contains(id.as_str().unwrap())) {
            row.insert("id".to_owned(), 0.into());
        }
    }
    rows.sort_by_key(|row| (row["id"].as_i64(), row["request_id"].to_string()));
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_new_api_are_read_as_they_were_written_whatever_way_they_came_and_once() {
    let topic = ("WEIR_INGEST_KAFKA_TOPICS", "usage=new_api_log:acc/gw");
    let world = World::start_with(1, &[topic]).await;
    let system = &world.system;
    let written = examples();
    let lines: Vec<_> = written.iter().map(Value::to_string).collect();
    let (folder, count) = (TempDir::new().unwrap(), u64::try_from(lines.len()).unwrap());
    let dump = folder.path().join("logs.jsonl");
    fs::write(&dump, lines.join("\n")).unwrap();
    let import = ["import", "newapi", dump.to_str().unwrap(), "--types", "documented"];
    let produce = async || {
        let message = |line: &String| Outgoing { value: Some(line.clone()), ..Outgoing::default() };
        world.produce_all(lines.iter().map(message).collect(), &[]).await;
        world.expect_committed("weir-ingest", 1).await;
    };

    produce().await;
    let of_topic = "SELECT count(), uniqExact(id) FROM logs WHERE source = 'kafka'";
    eventually(LIMIT, format!("{count}\t{count}"), || system.sql(of_topic)).await;
    // Each way brings what the others have brought, and to a gateway of its own what nobody has.
    assert_eq!(push(system, "gw", &lines.join("\n")).await, (0, count));
    let imported = run(system, "ingest", &import, "gw").await;
    assert_eq!(imported, format!("{count} rows: 0 stored, {count} there already\n"));
    produce().await;
    assert_eq!(push(system, "http", &lines.join("\n")).await, (count, 0));
    let imported = run(system, "ingest", &import, "import").await;
    assert_eq!(imported, format!("{count} rows: {count} stored, 0 there already\n"));

    let is_unnumbered = |row: &&Value| row["id"] == 0;
    let unnumbered: HashSet<_> =
        written.iter().filter(is_unnumbered).map(|row| row["request_id"].as_str().unwrap()).collect();
    assert!(unnumbered.len() > 1, "{unnumbered:?}");
    for (gateway, id) in [("gw", "7"), ("http", "8"), ("import", "9")] {
        let data = listed(system, gateway, id).await;
        assert_eq!((&data["total"], &data["page"]), (&json!(count), &json!(1)), "{gateway}");
        let shown = comparable(data["items"].as_array().unwrap(), &unnumbered);
        assert_eq!(shown, comparable(&written, &unnumbered), "{gateway}");
    }
    let sources = "SELECT gateway_id, source, count() FROM logs GROUP BY ALL ORDER BY ALL FORMAT TSV";
    let expected = format!("gw\tkafka\t{count}\nhttp\thttp\t{count}\nimport\timport\t{count}");
    assert_eq!(system.sql(sources).await, expected);
}
