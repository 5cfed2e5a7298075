//! Events over HTTP: however they are put together and compressed, what is stored is the same.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use harness::System;
use harness::traffic::gzip;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::{Value, json};

use super::{post, taken, tally};

/// How a request puts the events of these ids together: its headers but for the encoding, and its body.
type Shape = fn(&[String]) -> (Vec<(&'static str, String)>, String);

type Compress = fn(&str) -> Vec<u8>;

const SHAPES: [(&str, usize, Shape); 8] = [
    ("lines", 2, |ids| {
        let lines: Vec<String> = ids.iter().map(|id| event(id).to_string()).collect();
        (media_type("application/x-ndjson"), lines.join("\n"))
    }),
    ("array", 2, |ids| (media_type("application/json"), list_of(event, ids).to_string())),
    ("member", 2, |ids| {
        let events = json!({ "events": list_of(event, ids) });
        (media_type("application/json"), events.to_string())
    }),
    ("printed", 2, |ids| {
        let printed: Vec<String> = ids.iter().map(|id| format!("{:#}", event(id))).collect();
        (media_type("application/json; charset=utf-8"), printed.join("\n"))
    }),
    ("structured", 1, |ids| {
        (media_type("application/cloudevents+json"), format!("{:#}", cloud_event(&ids[0])))
    }),
    ("batched", 2, |ids| {
        let batch = list_of(cloud_event, ids);
        (media_type("application/cloudevents-batch+json"), batch.to_string())
    }),
    ("binary", 1, |ids| {
        let Value::Object(mut envelope) = cloud_event(&ids[0]) else {
            unreachable!("an envelope is an object")
        };
        let data = envelope.remove("data").unwrap();
        let names = ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time"];
        let attributes = names.map(|name| (name, envelope[&name[3..]].as_str().unwrap().replace(' ', "%20")));
        let headers = media_type("application/json").into_iter().chain(attributes);
        (headers.collect(), format!("{data:#}"))
    }),
    // Without a media type.
    ("nothing", 2, |ids| {
        let lines: Vec<String> = ids.iter().map(|id| event(id).to_string()).collect();
        (Vec::new(), lines.join("\r\n"))
    }),
];

/// The ways to compress a body, by the name that a header has for them.
const ENCODINGS: [(Option<&str>, Compress); 4] = [
    (None, |body| body.as_bytes().to_vec()),
    (Some("gzip"), gzip),
    (Some("zstd"), |body| zstd::encode_all(body.as_bytes(), 3).unwrap()),
    (Some("deflate"), |body| {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }),
];

const STARTED_AT: &str = "2026-08-03T18:25:10.297Z";

fn media_type(name: &str) -> Vec<(&'static str, String)> {
    vec![(CONTENT_TYPE.as_str(), name.to_owned())]
}

/// 1,000 tokens in and 200 out of `gpt-4o-2024-08-06`, which is 0.0045 USD.
fn event(id: &str) -> Value {
    json!({
        "event_id": id, "kind": "consume", "started_at": STARTED_AT, "success": true, "provider": "openai",
        "model": "gpt-4o-2024-08-06", "tokens": { "uncached_input": 1_000, "text_output": 200 },
    })
}

/// The same, but its envelope has the id and the time.
fn cloud_event(id: &str) -> Value {
    let mut data = event(id);
    for field in ["event_id", "started_at"] {
        data.as_object_mut().unwrap().remove(field);
    }
    json!({
        "specversion": "1.0", "id": id, "source": "/gateways/eu-1", "type": "weir.usage.v1",
        "time": STARTED_AT, "data": data,
    })
}

fn list_of(write: fn(&str) -> Value, ids: &[String]) -> Value {
    ids.iter().map(|id| write(id)).collect()
}

#[tokio::test]
async fn events_are_stored_the_same_in_every_shape_and_encoding() {
    let system = System::start().await;
    let mut pushed = 0;
    for (shape, count, request) in SHAPES {
        for (encoding, compress) in ENCODINGS {
            let id = |number| format!("{shape} {} {number}", encoding.unwrap_or("plain"));
            let ids: Vec<String> = (0..count).map(id).collect();
            let (headers, body) = request(&ids);
            let push = || {
                let push = post(&system, "events/acc/gw").body(compress(&body));
                let push = headers.iter().fold(push, |push, (name, value)| push.header(*name, value));
                encoding.into_iter().fold(push, |push, encoding| push.header(CONTENT_ENCODING, encoding))
            };
            let count = count as u64;
            taken(push(), tally(count, count, 0, 0)).await;
            taken(push(), tally(count, 0, count, 0)).await;
            pushed += count;
        }
    }
    let rows = "SELECT count(), uniqExact(event_id), any(source), any(dialect), any(started_at) FROM logs \
                GROUP BY tokens_in, tokens_out, model, toString(cost), source, dialect, started_at";
    let stored = system.sql(rows).await;
    assert_eq!(stored, format!("{pushed}\t{pushed}\thttp\tcanonical\t2026-08-03 18:25:10.297"));
    let figures = system.sql("SELECT DISTINCT tokens_in, tokens_out, toString(cost) FROM logs").await;
    assert_eq!(figures, "1000\t200\t0.0045");
    // Without an id of its own an event has that of its envelope: its source, and the id there.
    let named = "SELECT event_id FROM logs WHERE event_id LIKE '%binary deflate 0%'";
    assert!(system.sql(named).await.ends_with("binary deflate 0"), "{}", system.sql(named).await);
}
