//! What new-api wrote is what its clients read here: the published examples, through all of Weir.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::{System, eventually};
use serde_json::{Value, json};
use weir_local::{Installation, service_variables};

const LIMIT: Duration = Duration::from_mins(1);

fn examples() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/json/examples/new_api_log");
    let files =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files.map(|path| serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()).collect()
}

/// Makes an admin of the tests' tenant, and gives their token.
async fn admin(system: &System) -> String {
    let executable = Installation::detect().unwrap().binary("query-api").unwrap();
    let mut command = Command::new(executable);
    let tenant = ["--account", "acc", "--gateway", "gw"];
    command.args(["users", "create", "--json"]).args(tenant);
    command.args(["--id", "9", "--name", "admin", "--role", "admin"]);
    command.envs(service_variables(&system.weir.clickhouse, &system.weir.nats));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    made["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn rows_of_new_api_are_read_as_they_were_written() {
    let system = System::start().await;
    let token = admin(&system).await;
    let mut written = examples();
    let lines: Vec<_> = written.iter().map(Value::to_string).collect();
    let url = format!("http://{}/v1/events/acc/gw", system.weir.addresses.ingest);
    let push = system.http.post(url).bearer_auth(&system.weir.secrets.ingest_token).body(lines.join("\n"));
    let tally: Value = push.send().await.unwrap().json().await.unwrap();
    assert_eq!(tally["stored"], lines.len());

    let list = async || -> Value {
        let url = format!("http://{}/api/log?page_size=100", system.weir.addresses.query_api);
        let request = system.http.get(url).header("authorization", &token).header("new-api-user", "9");
        request.send().await.unwrap().json().await.unwrap()
    };
    eventually(LIMIT, true, async || list().await["success"] == true).await;
    let data = list().await["data"].take();
    assert_eq!((&data["total"], &data["page"]), (&json!(lines.len()), &json!(1)));
    let mut shown = data["items"].as_array().unwrap().clone();
    for row in &mut shown {
        let row = row.as_object_mut().unwrap();
        assert_eq!(row["channel"], row["channel_id"]);
        // One has no number of its own.
        if row.get("request_id") == Some(&json!("20260803182600000000000Zz9yX8wV")) {
            row.insert("id".to_owned(), 0.into());
        }
    }
    for row in &mut written {
        let row = row.as_object_mut().unwrap();
        let channel = row.get("channel").or_else(|| row.get("channel_id")).unwrap().clone();
        row.extend([("channel".to_owned(), channel.clone()), ("channel_id".to_owned(), channel)]);
    }
    for rows in [&mut shown, &mut written] {
        rows.sort_by_key(|row| row["id"].as_i64());
    }
    assert_eq!(shown, written);
}
