//! The doors of intake over HTTP: every encoding and framing of the same records, events, and who may push what.

mod events;
mod large;
mod slow;

use std::time::Duration;

use harness::traffic::{ai_gateway_example, example, gzip, record};
use harness::{System, eventually};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::outage::proxy::Proxy;

const LIMIT: Duration = Duration::from_mins(1);

const ENDED_AT: i64 = 1_790_000_000_000;

fn tally(received: u64, stored: u64, duplicates: u64, dead_lettered: u64) -> Value {
    json!({
        "received": received, "stored": stored, "duplicates": duplicates, "dead_lettered": dead_lettered,
        "ignored": 0,
    })
}

fn post(system: &System, path: &str) -> RequestBuilder {
    let url = format!("http://{}/v1/{path}", system.weir.addresses.ingest);
    system.http.post(url).bearer_auth(&system.weir.secrets.ingest_token)
}

async fn taken(request: RequestBuilder, expected: Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{text}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
}

async fn refused(request: RequestBuilder, status: StatusCode, error: &str) -> HeaderMap {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), status);
    let headers = response.headers().clone();
    let answer: Value = response.json().await.unwrap();
    let told = answer["error"].as_str().unwrap();
    assert!(told.contains(error), "{told}");
    headers
}

#[tokio::test]
async fn the_same_records_are_the_same_in_every_encoding_and_framing() {
    let system = System::start().await;
    let records: Vec<String> = (1..=3).map(|number| record(number, ENDED_AT)).collect();
    let (lines, elements) = (records.join("\n"), records.join(",\n"));
    let array = format!("[{elements}]");
    let push = |body: Vec<u8>| post(&system, "logpush/acc/gw").body(body);
    taken(push(lines.clone().into()), tally(3, 3, 0, 0)).await;
    let again = tally(3, 0, 3, 0);
    taken(push(array.clone().into()), again.clone()).await;
    taken(push(format!("\u{feff}{{\"events\": {array}}}").into()), again.clone()).await;
    let zstd = zstd::encode_all(array.as_bytes(), 3).unwrap();
    taken(push(zstd.clone()), again.clone()).await;
    taken(push(zstd).header(CONTENT_ENCODING, "zstd"), again.clone()).await;
    taken(push(gzip(&array)).header(CONTENT_ENCODING, "gzip"), again).await;
    let broken = format!("[{},{}", records[0], &records[1][..100]);
    taken(push(broken.into()), tally(2, 0, 1, 1)).await;
    let letter = system.sql("SELECT position, raw FROM dead_letters FINAL FORMAT TSVRaw").await;
    assert!(letter.starts_with("2\t{\"Event"), "{letter}");
    assert_eq!(system.sql("SELECT count() FROM logs").await, "3");
}

#[tokio::test]
async fn a_body_in_no_known_encoding_is_refused_with_those_that_are() {
    let system = System::start().await;
    for encoding in ["br", "gzip, gzip"] {
        let push = post(&system, "logpush/acc/gw").header(CONTENT_ENCODING, encoding).body(gzip("{}"));
        let answer = refused(push, StatusCode::UNSUPPORTED_MEDIA_TYPE, "not one of gzip, zstd").await;
        assert_eq!(answer[ACCEPT_ENCODING], "gzip, zstd, deflate, identity");
    }
    for (encoding, body) in [("gzip", &b"no"[..]), ("zstd", b"no"), ("deflate", b"no")] {
        let push = post(&system, "logpush/acc/gw").header(CONTENT_ENCODING, encoding).body(body);
        let error = format!("the body cannot be read as {encoding}");
        refused(push, StatusCode::BAD_REQUEST, &error).await;
    }
}

#[tokio::test]
async fn events_come_in_through_their_own_door() {
    let system = System::start().await;
    let push = |query: &str, media_type: &str, body: &'static str| {
        post(&system, &format!("events/acc/gw{query}")).header(CONTENT_TYPE, media_type).body(body)
    };
    // None of these is JSON, so none is an event in any form: what counts is how many they are.
    let document = "{\n  \"no\": event\n}";
    taken(push("", "application/json", document), tally(1, 0, 0, 1)).await;
    taken(push("", "application/x-ndjson", "{\"no\":a}\n{\"no\":b}"), tally(2, 0, 0, 2)).await;
    taken(push("?form=canonical", "application/json", "[{\"no\":a},{\"no\":c}]"), tally(2, 0, 0, 2)).await;
    let batch = push("", "application/cloudevents-batch+json", "[{\"specversion\":no}]");
    taken(batch, tally(1, 0, 0, 1)).await;
    let binary = push("", "text/plain", "[1,\n2").header("ce-specversion", "1.0").header("ce-id", "a%20b");
    taken(binary, tally(1, 0, 0, 1)).await;
    let letters = system.sql("SELECT count() FROM dead_letters FINAL").await;
    assert_eq!(letters, "6", "one of seven came twice");
    let sources = system.sql("SELECT DISTINCT source FROM dead_letters FINAL").await;
    assert_eq!(sources, "http");
    let answer = refused(
        push("", "application/x-www-form-urlencoded", "{}"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "the content type is not one of application/json",
    )
    .await;
    assert!(answer[ACCEPT].to_str().unwrap().contains("application/x-ndjson"));
    let unknown = push("?form=openai", "application/json", "{}");
    let listed = "form is not one of canonical, cloudevents, cloudflare_log, new_api_log";
    refused(unknown, StatusCode::BAD_REQUEST, listed).await;
    let lines = post(&system, "events/acc").body(example("seed_tail"));
    refused(lines, StatusCode::NOT_FOUND, "POST /v1/events/{account_id}/{gateway_id}").await;
}

#[tokio::test]
async fn a_token_of_the_file_pushes_what_it_may_and_no_more() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("tokens.toml");
    let entry = |label: &str, token: &str, rest: &str| {
        let digest = hex::encode(Sha256::digest(token));
        format!("[[token]]\nlabel = \"{label}\"\nsha256 = \"{digest}\"\n{rest}\n")
    };
    let narrow = "accounts = [\"acc/gw\"]\nsources = [\"logpush\"]";
    std::fs::write(&path, entry("narrow", "narrow-1", narrow)).unwrap();
    let variable = ("WEIR_INGEST_SENDERS_FILE", path.to_str().unwrap().to_owned());
    let system = System::start_with(|_| vec![variable]).await;
    let push = |token: &str, to: &str| {
        let url = format!("http://{}/v1/{to}", system.weir.addresses.ingest);
        system.http.post(url).bearer_auth(token).body(record(1, ENDED_AT))
    };
    taken(push("narrow-1", "logpush/acc/gw"), tally(1, 1, 0, 0)).await;
    let (status, error) = (StatusCode::FORBIDDEN, "this token may not push");
    for to in ["logpush/acc/other", "logpush/else/gw", "logpush/acc", "events/acc/gw"] {
        refused(push("narrow-1", to), status, error).await;
    }
    // One job carries the logs of all gateways, so a record of this one may name another.
    let foreign = push("narrow-1", "logpush/acc/gw").body(ai_gateway_example("plain_cache_hit"));
    refused(foreign, status, "a record names another gateway than the path").await;
    refused(push("narrow-2", "logpush/acc/gw"), StatusCode::UNAUTHORIZED, "unknown bearer token").await;

    let limited = format!("{narrow}\nrecords_per_second = 1");
    let replaced = [entry("narrow", "narrow-2", narrow), entry("slow", "slow", &limited)].concat();
    std::fs::write(&path, replaced).unwrap();
    let status_of = async |token: &str| push(token, "logpush/acc/gw").send().await.unwrap().status();
    eventually(LIMIT, StatusCode::OK, || status_of("narrow-2")).await;
    assert_eq!(status_of("narrow-1").await, StatusCode::UNAUTHORIZED);
    let many = (0..1_000).map(|number| record(number, ENDED_AT) + "\n").collect::<String>();
    taken(push("slow", "logpush/acc/gw").body(many), tally(1_000, 999, 1, 0)).await;
    let error = "more than this token may push";
    let headers = refused(push("slow", "logpush/acc/gw"), StatusCode::TOO_MANY_REQUESTS, error).await;
    let wait: u64 = headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=1_000).contains(&wait), "{wait}");

    std::fs::write(&path, "[[token").unwrap();
    let stale =
        async || system.metrics_of(&system.weir.ingest).await.contains("weir_ingest_senders_file_stale 1");
    eventually(LIMIT, true, stale).await;
    assert_eq!(status_of("narrow-2").await, StatusCode::OK, "the tokens from before count on");
}

#[tokio::test]
async fn what_goes_over_a_network_is_compressed_and_comes_as_it_is() {
    const SENT: &str = "decompress=1";
    const ASKED_FOR: &str = "accept-encoding: lz4";
    const STORED: &str = "SELECT (SELECT sum(cityHash64(id, cost, usage_json)) FROM logs), \
        (SELECT sum(cityHash64(id, texts)) FROM bodies)";
    let system = System::start().await;
    let mut proxy = Proxy::new();
    let near = proxy.lead_to(&system.weir.clickhouse.url);
    let compressed = || [proxy.count(SENT) > 0, proxy.count(ASKED_FOR) > 0];
    assert_eq!(compressed(), [false, false]);
    let records: Vec<String> = (1..=200).map(|number| record(number, ENDED_AT)).collect();
    let push = async |address, stored: u64, duplicates: u64| {
        let answer = system.push_at(address, &records.join("\n")).await.unwrap().json();
        assert_eq!(answer, tally(200, stored, duplicates, 0));
    };

    // This machine, by an address that does not say so.
    let far = near.replace("127.0.0.1", "0.0.0.0");
    let mut as_it_is = None;
    for (url, is_compressed) in [(near, false), (far, true)] {
        let ingest = system.second_ingest(vec![("WEIR_CLICKHOUSE_URL", url)]).await;
        push(ingest.address, 200, 0).await;
        push(ingest.address, 0, 200).await;
        assert_eq!(compressed(), [is_compressed; 2]);
        let stored = system.sql(STORED).await;
        assert_eq!(*as_it_is.get_or_insert_with(|| stored.clone()), stored);
        drop(ingest);
        for table in ["logs", "bodies"] {
            system.sql(&format!("TRUNCATE TABLE {table}")).await;
        }
    }
}
