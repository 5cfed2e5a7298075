//! Every form that producers write events in, from the published examples to what the tables have.

use std::fs;
use std::path::Path;

use harness::System;
use serde_json::{Value, json};

/// The folders of examples, and the dialects of what is in them.
const FOLDERS: [&str; 4] = ["valid", "cloud_events", "cloudflare_log", "new_api_log"];

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
