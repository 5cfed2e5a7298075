//! Cloudflare's own Python SDK against the query API.

use harness::run_python;
use serde_json::json;
use weir_store::LogRow;

use super::rows::{ACCOUNT, GATEWAY, id_of, id_text, many_rows, payload_of, seed_row};
use super::world::{TOKEN, World};

#[tokio::test]
async fn query_api_is_understood_by_cloudflares_python_sdk() {
    let world = World::start().await;
    let mut rows = many_rows();
    let newest = seed_row().started_at + 1_000_000;
    let row = LogRow {
        id: id_of(newest, "sdk").bytes(),
        started_at: newest,
        created_at: newest + 6_587,
        ..seed_row()
    };
    rows.push(row.clone());
    let (request, response) =
        (r#"{"messages":[{"role":"user","content":"hi"}]}"#, "data: {}\n\ndata: [DONE]\n\n");
    world.insert_payloads(&[payload_of(&row, Some(request), Some(response))]).await;
    world.insert_logs(&rows).await;
    let mut ids: Vec<_> = rows.iter().map(|row| (row.created_at, id_text(row))).collect();
    ids.sort();
    let ids: Vec<_> = ids.into_iter().rev().map(|(_, id)| id).collect();
    let task = json!({
        "base_url": format!("{}/client/v4", world.url),
        "api_token": TOKEN,
        "account_id": ACCOUNT,
        "gateway_id": GATEWAY,
        "ids": ids,
        "request": serde_json::from_str::<serde_json::Value>(request).unwrap(),
        "response": response,
    });
    tokio::task::spawn_blocking(move || run("logs.py", &task.to_string())).await.unwrap();
}

/// Runs a script of `tests/conformance/cloudflare` with the task on its standard input.
fn run(script: &str, task: &str) {
    let _ = run_python(&format!("cloudflare/{script}"), task);
}
