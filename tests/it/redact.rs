//! What people wrote is stored as far as the policy of its gateway has it, and costs the same under each.

use harness::System;
use harness::traffic::{now_ms, record};
use reqwest::StatusCode;
use serde_json::{Value, json};

const POLICIES: &str = "acc/gw=redact,acc/h*=heads,*/private=none,acc/raw=store";
const SECRET: &str = "ask alice@example.com\nsk-abcdEFGH1234abcdEFGH1234 of EMP-4711";
const KEPT: &str = "ask [redacted:email]\n[redacted:api_key] of [redacted:employee]";
const TEXTS: &str = "SELECT request, response FROM bodies WHERE gateway_id = ";

/// A record in which the request and the answer say `text`.
fn saying(text: &str, number: u64) -> String {
    let mut record: Value = serde_json::from_str(&record(number, now_ms())).unwrap();
    let request = json!({ "messages": [{ "role": "user", "content": text }], "model": "" });
    record["Logs"][0]["Message"][0] = json!({ "request_body": request }).to_string().into();
    let line: Value = serde_json::from_str(record["Logs"][1]["Message"][0].as_str().unwrap()).unwrap();
    let mut answer: Value = serde_json::from_str(line["response_body"].as_str().unwrap()).unwrap();
    answer["choices"] = json!([{ "message": { "content": text } }]);
    record["Logs"][1]["Message"][0] = json!({ "response_body": answer.to_string() }).to_string().into();
    record.to_string()
}

async fn push(system: &System, gateway: &str, lines: String) -> Value {
    let url = format!("http://{}/v1/logpush/acc/{gateway}", system.weir.addresses.ingest);
    let request = system.http.post(url).bearer_auth(&system.weir.secrets.ingest_token).body(lines);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

/// Both bodies of the only row of a gateway.
async fn bodies(system: &System, gateway: &str) -> [String; 2] {
    let text = system.sql(&format!("{TEXTS}'{gateway}' FORMAT JSONEachRow")).await;
    let row: Value = serde_json::from_str(&text).unwrap();
    ["request", "response"].map(|name| row[name].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn each_gateway_keeps_of_texts_what_its_policy_has() {
    let variables = [
        ("WEIR_INGEST_PAYLOAD_POLICIES", POLICIES),
        ("WEIR_INGEST_PAYLOAD_HEAD_CHARACTERS", "70"),
        ("WEIR_INGEST_REDACT_PATTERNS", "employee=EMP-[0-9]+"),
    ];
    let system = System::start_with(|_| variables.map(|(name, value)| (name, value.to_owned())).into()).await;
    let broken = format!("{{\"Logs\":[\"{}\"", SECRET.replace('\n', "\\n"));
    for gateway in ["gw", "heads", "private", "raw"] {
        let tally = push(&system, gateway, format!("{}\n{broken}\n", saying(SECRET, 7))).await;
        assert_eq!((&tally["stored"], &tally["dead_lettered"]), (&json!(1), &json!(1)), "{gateway}");
    }

    // What was sent is counted and priced, not what is kept.
    let rows = system
        .sql("SELECT gateway_id, cost, tokens_in, tokens_out, request_size = max(request_size) OVER (), response_size = max(response_size) OVER (), flags FROM logs ORDER BY gateway_id")
        .await;
    let row = |gateway: &str, flags: &str| format!("{gateway}\t0.00065\t100\t10\t1\t1\t{flags}");
    let expected = [
        row("gw", "['redacted']"),
        row("heads", "['redacted','bodies_cut']"),
        row("private", "['bodies_withheld']"),
        row("raw", "[]"),
    ];
    assert_eq!(rows, expected.join("\n"));

    let raw = bodies(&system, "raw").await;
    let redacted = bodies(&system, "gw").await;
    let heads = bodies(&system, "heads").await;
    for ((raw, redacted), head) in raw.iter().zip(&redacted).zip(heads) {
        let (said, kept) = (json!(SECRET).to_string(), json!(KEPT).to_string());
        assert!(raw.contains(&said), "{raw}");
        assert_eq!(*redacted, raw.replace(&said, &kept));
        assert_eq!(head, redacted[..70]);
    }
    assert_eq!(system.sql("SELECT count() FROM bodies WHERE gateway_id = 'private'").await, "0");

    let letters =
        system.sql("SELECT gateway_id, raw FROM dead_letters FINAL ORDER BY gateway_id FORMAT TSVRaw").await;
    let kept = format!("{{\"Logs\":[\"{}\"", KEPT.replace('\n', "\\n"));
    let expected = [
        format!("gw\t{kept}"),
        format!("heads\t{}", &kept[..70]),
        "private\t[withheld]".to_owned(),
        format!("raw\t{broken}"),
    ];
    assert_eq!(letters, expected.join("\n"));

    let logs = "/client/v4/accounts/acc/ai-gateway/gateways/private/logs";
    let id = system.get(logs).await.json()["result"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(system.get(&format!("{logs}/{id}/request")).await.status, StatusCode::NOT_FOUND);
}
