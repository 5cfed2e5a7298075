//! Messages of the spool: how large they are, what an older or a newer program wrote, and what ClickHouse rejects.

use async_nats::jetstream::stream::Stream;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use harness::traffic::{now_ms, record};
use harness::{System, eventually, jetstream, spooled};
use reqwest::StatusCode;
use weir_event::Source;
use weir_event::bus::{SPOOL_STREAM, spool_subject};

use super::form::Message;
use super::{
    LEDGER, LIMIT, STORED, drained, metric, push_spooled, records, restart_clickhouse, start,
    stop_clickhouse, tally, variables,
};

async fn stream(system: &System) -> Stream {
    jetstream(&system.weir.nats).await.get_stream(SPOOL_STREAM).await.unwrap()
}

/// The subjects of the messages, in order.
pub(super) async fn subjects(system: &System) -> Vec<String> {
    let stream = stream(system).await;
    let state = &stream.cached_info().state;
    let mut subjects = Vec::new();
    for sequence in state.first_sequence..=state.last_sequence {
        subjects.push(stream.get_raw_message(sequence).await.unwrap().subject.to_string());
    }
    subjects
}

/// A record with a request of so many bytes that no compression makes much smaller.
pub(super) fn incompressible(number: u64, bytes: usize) -> String {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(bytes)
    .collect();
    let noise = format!("\\\"messages\\\":[\\\"{}\\\"]", BASE64_STANDARD.encode(noise));
    let record = record(number, now_ms()).replace("\\\"messages\\\":[]", &noise);
    assert!(record.len() > bytes);
    record
}

#[tokio::test]
async fn a_large_batch_takes_several_messages_and_a_row_that_is_too_large_is_refused() {
    let mut variables = variables();
    variables.push(("WEIR_INGEST_CHUNK_BYTES_MAX", "64MiB".to_owned()));
    variables.push(("WEIR_INGEST_LINE_BYTES_MAX", "32MiB".to_owned()));
    let system = System::start_with(|_| variables).await;
    stop_clickhouse(&system).await;
    let answer = system.push(&incompressible(1_000, 10 << 20)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
    let lines: Vec<_> = (0..80).map(|number| incompressible(number, 256 << 10)).collect();
    push_spooled(&system, &lines.join("\n")).await;
    let messages = subjects(&system).await;
    assert!((3..=8).contains(&messages.len()), "{messages:?}");
    assert_eq!(spooled(&system.weir.nats).await, 80);
    restart_clickhouse(&system).await;
    drained(&system).await;
    assert_eq!(system.sql(STORED).await, "80\t80");
    let whole = "SELECT uniqExact(id) FROM bodies WHERE length(request) > 256 * 1024 * 4 / 3";
    assert_eq!(system.sql(whole).await, "80");
    assert_eq!(system.sql(LEDGER).await, "logpush\t80\t80\t0\t0\t0");
}

#[tokio::test]
async fn rows_of_a_program_that_knew_fewer_columns_are_stored() {
    let system = start().await;
    stop_clickhouse(&system).await;
    push_spooled(&system, &records(1..4)).await;
    let jetstream = jetstream(&system.weir.nats).await;
    let stream = stream(&system).await;
    let found = stream.get_raw_message(stream.cached_info().state.first_sequence).await.unwrap();
    let mut message = Message::read(&found.payload);
    assert_eq!((message.batch.events.len(), message.batch.source.as_str()), (3, "logpush"));
    // The last column is a list, and an empty list is a zero.
    message.columns[0] = message.columns[0].strip_suffix(", `flags`").unwrap().to_owned();
    message.batch.logs = message.batch.logs.without(0, |row| row.len() - 1);
    // Bodies were two columns, and no list: without its length behind account, gateway, time and id.
    message.columns[1] = message.columns[1].replace("`texts`", "`request`, `response`");
    message.batch.payloads = message.batch.payloads.without(2, |_| "\x03acc\x02gw".len() + 8 + 26);
    jetstream.publish(found.subject.clone(), message.write().into()).await.unwrap().await.unwrap();
    stream.delete_message(found.sequence).await.unwrap();
    // And some of today's, to be stored in the same round.
    push_spooled(&system, &records(4..6)).await;
    restart_clickhouse(&system).await;
    drained(&system).await;
    assert_eq!(system.sql(STORED).await, "5\t5");
    let rows = "SELECT DISTINCT provider, model, tokens_in, tokens_out, cost, flags FROM logs";
    assert_eq!(system.sql(rows).await, "azure-openai\tgpt-4o-2024-05-13\t100\t10\t0.00065\t[]");
    assert_eq!(system.sql(LEDGER).await, "logpush\t5\t5\t0\t0\t0");
    let is_whole = "isValidJSON(assumeNotNull(request)) AND isValidJSON(assumeNotNull(response))";
    for (table, expected) in [("payloads", "3\t3"), ("bodies", "2\t2")] {
        assert_eq!(
            system.sql(&format!("SELECT uniqExact(id), uniqExactIf(id, {is_whole}) FROM {table}")).await,
            expected,
            "{table}"
        );
    }
    for id in system.sql("SELECT id FROM logs").await.lines() {
        let request = format!("/client/v4/accounts/acc/ai-gateway/gateways/gw/logs/{id}/request");
        assert_eq!(system.get(&request).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn what_cannot_be_read_or_is_rejected_stays_and_stops_nothing() {
    let system = start().await;
    stop_clickhouse(&system).await;
    let jetstream = jetstream(&system.weir.nats).await;
    let of_the_future = vec![9, 1, 2, 3];
    jetstream.publish(spool_subject(Source::Http, 7), of_the_future.into()).await.unwrap().await.unwrap();
    push_spooled(&system, &records(3..4)).await;
    for number in 10..20 {
        push_spooled(&system, &records(number..number + 1)).await;
    }
    restart_clickhouse(&system).await;
    system.sql("ALTER TABLE logs ADD CONSTRAINT poison CHECK ray_id != '0000000000000003'").await;
    // Whether it was drained before there was the constraint is the machine's business.
    eventually(LIMIT, true, async || spooled(&system.weir.nats).await <= 8).await;
    let unreadable = r#"weir_ingest_drain_troubles_total{trouble="Unreadable"}"#;
    eventually(LIMIT, true, async || metric(&system, unreadable).await > 0).await;
    assert_eq!(tally(&system.push(&records(20..21)).await)["stored"], 1);
    eventually(LIMIT, 7, async || {
        if spooled(&system.weir.nats).await == 8 {
            let rejected = r#"weir_ingest_drain_troubles_total{trouble="Rejected"}"#;
            eventually(LIMIT, true, async || metric(&system, rejected).await > 0).await;
            system.sql("ALTER TABLE logs DROP CONSTRAINT IF EXISTS poison").await;
        }
        spooled(&system.weir.nats).await
    })
    .await;
    assert_eq!(system.sql(STORED).await, "12\t12");
}
