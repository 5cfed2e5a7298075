//! An AI Gateway job pushes what it encrypted: what comes out of ClickHouse is what went in at the gateway.

use harness::System;
use harness::traffic::{ai_gateway_example, ai_gateway_key, example};
use reqwest::StatusCode;
use serde_json::{Value, json};

async fn system() -> System {
    let keys = ["current", "retired"].map(ai_gateway_key).join(",");
    System::start_with(|_| vec![("WEIR_INGEST_LOGPUSH_PRIVATE_KEYS_FILES", keys)]).await
}

fn tally(received: u64, stored: u64, duplicates: u64, dead_lettered: u64) -> Value {
    json!({
        "received": received, "stored": stored, "duplicates": duplicates, "dead_lettered": dead_lettered,
        "ignored": 0,
    })
}

fn with_sealed(mut tally: Value, sealed: u64) -> Value {
    tally["sealed"] = sealed.into();
    tally
}

/// The ledger: every record is counted once, however much is kept of it.
#[tokio::test]
async fn a_job_of_all_gateways_is_decrypted_priced_and_stored_once() {
    let system = system().await;
    let batch =
        ["encrypted_chat", "plain_cache_hit", "encrypted_for_an_unknown_key", "encrypted_damaged_answer"]
            .map(ai_gateway_example)
            .concat();
    let push = async |expected: Value| {
        let answer = system.push_to("acc", &batch).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, expected), "{}", answer.text);
    };
    push(with_sealed(tally(4, 4, 0, 0), 2)).await;
    let rows = "SELECT model, cost, cost_source, tokens_in, metadata, arrayStringConcat(flags, ' '), gateway_id \
                FROM logs ORDER BY started_at FORMAT TSVRaw";
    let stored = system.sql(rows).await;
    assert_eq!(
        stored.lines().collect::<Vec<_>>(),
        [
            "gpt-4o-mini-2024-07-18\t0.0000858\tcomputed\t420\t{\"team\":3,\"user\":\"u-7\"}\t\tmy-gateway",
            "\t\\N\tunpriced\t\\N\t\trequest_undecryptable response_undecryptable metadata_undecryptable\tmy-gateway",
            "\t\\N\tunpriced\t\\N\t{\"user\":\"u-9\"}\tresponse_undecryptable\tmy-gateway",
            "gpt-4o-mini-2024-07-18\t0\tcached_zero\t0\t{\"user\":\"u-7\"}\t\tother_gateway",
        ]
    );
    let bodies = "SELECT request LIKE '%Grüße, 世界%', response LIKE '%Hallo%' FROM bodies \
                  ORDER BY started_at LIMIT 1";
    assert_eq!(system.sql(bodies).await, "1\t1");
    push(with_sealed(tally(4, 0, 4, 0), 2)).await;
    assert_eq!(system.sql(rows).await, stored);
    let no = "no private key here opens it";
    assert_eq!(
        system.sql("SELECT gateway_id, reason, detail FROM dead_letters FINAL ORDER BY position").await,
        format!(
            "my-gateway\tundecryptable\tMetadata: {no}; RequestBody: {no}; ResponseBody: {no}\n\
             my-gateway\tundecryptable\tResponseBody: data is damaged"
        )
    );
    let raw = system.sql("SELECT raw FROM dead_letters FINAL ORDER BY position LIMIT 1 FORMAT TSVRaw").await;
    assert_eq!(raw, ai_gateway_example("encrypted_for_an_unknown_key").trim_end());
}

#[tokio::test]
async fn a_key_that_is_retired_is_still_tried() {
    let system = system().await;
    let answer = system.push(&ai_gateway_example("encrypted_text_stream_retired_key")).await;
    assert_eq!(answer.json(), tally(1, 1, 0, 0), "{}", answer.text);
    let body = system.sql("SELECT response LIKE 'event: message_start%' FROM bodies").await;
    assert_eq!(body, "1");
}

#[tokio::test]
async fn without_a_gateway_in_path_or_record_there_is_no_row() {
    let system = system().await;
    let batch = [ai_gateway_example("plain_objects_no_gateway"), example("seed_tail")].concat();
    let answer = system.push_to("acc", &batch).await;
    assert_eq!(answer.json(), tally(2, 0, 0, 2), "{}", answer.text);
    let letters = "SELECT gateway_id, reason, count() FROM dead_letters FINAL GROUP BY ALL";
    assert_eq!(system.sql(letters).await, "\tno_gateway\t2");
    let answer = system.push(&batch).await;
    assert_eq!(answer.json(), tally(2, 2, 0, 0), "{}", answer.text);
    assert_eq!(system.push_to("not%20one", &batch).await.status, StatusCode::NOT_FOUND);
}
