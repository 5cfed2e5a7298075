//! A Logpush destination, as Cloudflare meets it: what is acked is stored, once, and nothing else is acked.

use std::time::Duration;

use harness::traffic::{example, gzip, now_ms, record};
use harness::{System, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};
use weir_local::Weir;

const LIMIT: Duration = Duration::from_secs(20);
const LOGS: &str = "/client/v4/accounts/acc/ai-gateway/gateways/gw/logs";
const STORED: &str = "SELECT count(), sum(cost), sum(tokens_in), sum(tokens_out) FROM logs";
const LETTERS: &str = "SELECT count() FROM dead_letters FINAL";

fn tally(received: u64, stored: u64, duplicates: u64, dead_lettered: u64, ignored: u64) -> Value {
    json!({
        "received": received, "stored": stored, "duplicates": duplicates, "dead_lettered": dead_lettered,
        "ignored": ignored,
    })
}

async fn push(system: &System, lines: &str, expected: Value) {
    let answer = system.push(lines).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn the_same_batch_three_times_is_stored_once() {
    let system = System::start().await;
    let batch =
        [example("seed_tail"), example("malacca_tagged_stream_tail"), example("exception_tail")].concat();
    push(&system, &batch, tally(3, 3, 0, 0, 0)).await;
    let (stored, page) = (system.sql(STORED).await, system.get(LOGS).await);
    assert_eq!(stored, "3\t0.007745\t1215\t418");
    assert!(page.text.contains(r#""cost":0.005385"#), "{}", page.text);
    push(&system, &batch, tally(3, 0, 3, 0, 0)).await;
    push(&system, &batch, tally(3, 0, 3, 0, 0)).await;
    assert_eq!(system.sql(STORED).await, stored);
    assert_eq!(system.get(LOGS).await.json()["result"], page.json()["result"]);
}

#[tokio::test]
async fn one_event_in_two_shapes_and_twice_in_a_batch_is_one_row() {
    let system = System::start().await;
    let tail = example("seed_tail");
    push(&system, &[tail.as_str(), &tail].concat(), tally(2, 1, 1, 0, 0)).await;
    push(&system, &example("seed_logpush"), tally(1, 0, 1, 0, 0)).await;
    assert_eq!(system.sql(STORED).await, "1\t0.005385\t15\t354");
}

#[tokio::test]
async fn a_truncated_record_is_a_partial_row() {
    let system = System::start().await;
    push(&system, &example("seed_logpush_truncated"), tally(1, 1, 0, 0, 0)).await;
    let row = system
        .sql(
            "SELECT provider, model_requested, status_code, truncated, tokens_in, tokens_out, cost FROM logs",
        )
        .await;
    assert_eq!(row, "azure-openai\tgpt4o\t200\ttrue\t\\N\t\\N\t\\N");
}

#[tokio::test]
async fn a_broken_line_is_kept_and_its_neighbours_are_stored() {
    let system = System::start().await;
    let broken = r#"{"EventTimestampMs": 1790000000000, "Logs": [{"Mess"#;
    let batch = [&example("seed_tail"), broken, "\n", &example("malacca_metrics_logpush")].concat();
    push(&system, &batch, tally(3, 2, 0, 1, 0)).await;
    let letter =
        system.sql("SELECT reason, position, source, raw FROM dead_letters FINAL FORMAT TSVRaw").await;
    assert_eq!(letter, format!("malformed_json\t2\tlogpush\t{broken}"));
    push(&system, &batch, tally(3, 0, 2, 1, 0)).await;
    assert_eq!(system.sql(LETTERS).await, "1");
}

#[tokio::test]
async fn without_the_right_token_nothing_is_stored() {
    let system = System::start().await;
    let body = gzip(&example("seed_tail"));
    for token in [None, Some("wrong"), Some(""), Some(system.weir.secrets.query_token.as_str())] {
        let answer = system.push_raw(body.clone(), token, Some("gzip")).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token:?}");
        assert!(!answer.text.contains(&system.weir.secrets.ingest_token));
    }
    assert_eq!(system.sql("SELECT count() FROM logs").await, "0");
}

#[tokio::test]
async fn the_probe_and_an_empty_body_are_fine() {
    let system = System::start().await;
    push(&system, "{\"content\":\"tests\"}\n", tally(1, 0, 0, 0, 1)).await;
    push(&system, "", tally(0, 0, 0, 0, 0)).await;
    let plain = system.push_raw(Vec::new(), Some(&system.weir.secrets.ingest_token), None).await;
    assert_eq!((plain.status, plain.json()), (StatusCode::OK, tally(0, 0, 0, 0, 0)));
    assert_eq!(system.sql("SELECT count() FROM logs").await, "0");
    assert_eq!(system.sql(LETTERS).await, "0");
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_told_so() {
    let system = System::start().await;
    let token = system.weir.secrets.ingest_token.as_str();
    let whole = gzip(&example("seed_tail"));
    let check = async |body: &[u8], encoding, status, error: &str| {
        let answer = system.push_raw(body.to_vec(), Some(token), encoding).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        let message = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(message.starts_with(error), "{message}");
    };
    let cut = &whole[..whole.len() - 8];
    check(cut, Some("gzip"), StatusCode::BAD_REQUEST, "the body cannot be read as gzip").await;
    check(b"not gzip", Some("gzip"), StatusCode::BAD_REQUEST, "the body cannot be read as gzip").await;
    check(
        &whole,
        Some("br"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "the content encoding is not one of gzip, zstd",
    )
    .await;
    let url = format!("http://{}/v1/logpush/acc/Not%20A%20Gateway", system.weir.addresses.ingest);
    let answer = system.http.post(url).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let answer = system.http.get(system.push_url()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    // Plain NDJSON needs no header, and gzip is known by its first bytes.
    assert_eq!(system.push_raw(whole, Some(token), None).await.json(), tally(1, 1, 0, 0, 0));
}

#[tokio::test]
async fn without_clickhouse_and_a_spool_nothing_is_acked_and_the_sender_comes_back() {
    let system = System::start_with(|_| vec![("WEIR_INGEST_SPOOL_BYTES_MAX", "0B".to_owned())]).await;
    system.weir.clickhouse.service.stop(Weir::STOP_LIMIT).await.unwrap();
    let answer = system.push(&example("seed_tail")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
    assert!(answer.retry_after.is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    assert_eq!(answer.text, r#"{"error":"the records cannot be stored"}"#);
    system.weir.clickhouse.service.restart(Weir::START_LIMIT).await.unwrap();
    let status = async || system.push(&example("seed_tail")).await.status;
    eventually(LIMIT, StatusCode::OK, status).await;
    assert_eq!(system.sql(STORED).await, "1\t0.005385\t15\t354");
}

#[tokio::test]
async fn without_nats_pushes_are_stored_and_the_statistics_follow() {
    let system = System::start().await;
    system.weir.nats.service.stop(Weir::STOP_LIMIT).await.unwrap();
    push(&system, &record(1, now_ms()), tally(1, 1, 0, 0, 0)).await;
    system.weir.nats.service.restart(Weir::START_LIMIT).await.unwrap();
    push(&system, &record(2, now_ms()), tally(1, 1, 0, 0, 0)).await;
    eventually(LIMIT, "2\t0.0013".to_owned(), || {
        system.sql("SELECT sum(requests), sum(cost) FROM usage_1m FINAL")
    })
    .await;
    eventually(LIMIT, Some(json!(2)), || async {
        Some(system.live().await?["rows"][0]["windows"][3]["requests"].clone())
    })
    .await;
}
