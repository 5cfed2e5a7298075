//! Every form that producers write events in, from the published examples to what the tables have.

use std::fs;
use std::path::Path;
use std::time::Duration;

use harness::{System, eventually, traffic};
use serde_json::{Value, json};

/// The folders of examples, and the dialects of what is in them.
const FOLDERS: [&str; 4] = ["valid", "cloud_events", "cloudflare_log", "new_api_log"];

const LIMIT: Duration = Duration::from_mins(1);

/// The examples of a folder, each on a line.
fn examples(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/json/examples").join(folder);
    let files =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files.map(|path| fs::read_to_string(path).unwrap().replace('\n', " ")).collect()
}

#[tokio::test]
async fn every_example_is_stored_once_whatever_its_form() {
    let system = System::start().await;
    let mut lines: Vec<String> = FOLDERS.iter().flat_map(|folder| examples(folder)).collect();
    let good = lines.len();
    lines.push(r#"{"none":"of these"}"#.to_owned());
    let body = lines.join("\n");
    for stored in [good, 0] {
        let url = format!("http://{}/v1/events/acc/gw", system.weir.addresses.ingest);
        let push = system.http.post(url).bearer_auth(&system.weir.secrets.ingest_token).body(body.clone());
        let tally: Value = push.send().await.unwrap().json().await.unwrap();
        let expected = json!({
            "received": good + 1, "stored": stored, "duplicates": good - stored, "dead_lettered": 1, "ignored": 0,
        });
        assert_eq!(tally, expected);
    }
    let dialects = system.sql("SELECT DISTINCT dialect FROM logs ORDER BY dialect FORMAT TSV").await;
    assert_eq!(dialects, "canonical\ncloudflare_log\nnew_api_log");
    let costs = system.sql("SELECT toString(cost) FROM logs WHERE model = 'gpt-4o' AND step = 0").await;
    assert_eq!(costs, "0.002807001650333404", "22 digits of Cloudflare's, held at 18");
    let charged =
        system.sql("SELECT sum(quota) FROM logs WHERE kind = 'topup' AND dialect = 'new_api_log'").await;
    assert_eq!(charged, "5000000");
    let letter = system.sql("SELECT reason, raw FROM dead_letters FINAL FORMAT TSVRaw").await;
    assert_eq!(letter, "unknown_form\t{\"none\":\"of these\"}");
}

/// Of all that new-api logs only calls are requests: credit, refunds and logins are rows, and in no statistics.
#[tokio::test]
async fn what_is_no_call_is_stored_and_counts_as_no_request() {
    const ROLLUPS: &str = "SELECT sum(requests), sum(errors), sum(unpriced) FROM usage_1m FINAL";
    let system = System::start().await;
    let ended_at_s = traffic::now_ms() / 1_000;
    let row = |id: i64, row_type: i64| {
        json!({
            "id": id, "type": row_type, "created_at": ended_at_s, "model_name": "gpt-4o", "quota": 5,
            "prompt_tokens": 1, "completion_tokens": 1,
        })
    };
    let body = (1..=7).map(|number| row(number, number).to_string()).collect::<Vec<_>>().join("\n");
    let url = format!("http://{}/v1/events/acc/gw", system.weir.addresses.ingest);
    let push = async || {
        let push = system.http.post(&url).bearer_auth(&system.weir.secrets.ingest_token).body(body.clone());
        push.send().await.unwrap().json::<Value>().await.unwrap()
    };
    assert_eq!(push().await["stored"], Value::from(7));
    let requests = async || {
        let live = system.live().await?;
        let windows = live["rows"].as_array()?.iter().map(|row| &row["windows"][3]);
        let sum = |name: &str| windows.clone().map(|window| window[name].as_u64().unwrap()).sum();
        Some((sum("requests"), sum("errors"), sum("unpriced")))
    };
    let calls = Some((2, 1, 2));
    eventually(LIMIT, calls, requests).await;
    eventually(LIMIT, "2\t1\t2".to_owned(), || system.sql(ROLLUPS)).await;
    // Told of again as duplicates, and then read back from the rows.
    assert_eq!(push().await["duplicates"], Value::from(7));
    system.weir.aggregator.kill_hard().unwrap();
    system.weir.aggregator.restart(LIMIT).await.unwrap();
    eventually(LIMIT, calls, requests).await;
    eventually(LIMIT, "2\t1\t2".to_owned(), || system.sql(ROLLUPS)).await;
    let kinds = system.sql("SELECT uniqExact(kind), count() FROM logs").await;
    assert_eq!(kinds, "7\t7");
}
