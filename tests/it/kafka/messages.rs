//! What messages may be: compressed, broken, empty, too long, addressed to others.

use harness::traffic::{cloud_event_example, now_ms, record};
use rdkafka::Message;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::{BorrowedMessage, Headers};
use serde_json::Value;
use tokio::time::timeout;

use super::world::{GROUP, LIMIT, Outgoing, World, create_topic, create_topic_within, records};

const DEAD_LETTERS: &str = "dead-letters";
const LINE_BYTES_MAX: (&str, &str) = ("WEIR_INGEST_LINE_BYTES_MAX", "100KiB");

fn message(value: impl Into<String>) -> Outgoing {
    Outgoing { value: Some(value.into()), ..Outgoing::default() }
}

/// Reads the topic of dead letters from its beginning.
fn dead_letters(world: &World) -> StreamConsumer {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &world.kafka.brokers)
        .set("group.id", "mender")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&[DEAD_LETTERS]).unwrap();
    consumer
}

fn header_of<'m>(letter: &'m BorrowedMessage<'_>, name: &str) -> Option<&'m str> {
    let found = letter.headers().unwrap().iter().find(|header| header.key == name);
    found.map(|header| std::str::from_utf8(header.value.unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_of_every_codec_are_read() {
    let world = World::start(1).await;
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    for (part, codec) in (0..).zip(codecs) {
        let messages = records(part * 100..(part + 1) * 100, 1);
        world.produce_all(messages, &[("compression.codec", codec), ("linger.ms", "50")]).await;
    }
    world.expect_exactly(500).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_kept_and_stops_nobody() {
    let world =
        World::start_with(1, &[("WEIR_INGEST_KAFKA_DEAD_LETTER_TOPIC", DEAD_LETTERS), LINE_BYTES_MAX]).await;
    create_topic(&world.kafka, DEAD_LETTERS, 1).await;
    let broken = Outgoing {
        key: Some("k".to_owned()),
        headers: vec![("trace", "t-1".to_owned())],
        ..message("{\"broken")
    };
    let long = format!("{{\"long\":\"{}\"}}", "x".repeat(200_000));
    let misaddressed = Outgoing {
        headers: vec![("weir-account-id", "no such account!".to_owned())],
        ..message(record(7, now_ms()))
    };
    let poison = vec![broken, Outgoing::default(), message(long.clone()), misaddressed];
    let good = records(0..200, 1);
    let messages = [&good[..100], &poison, &good[100..]].concat();
    world.produce_all(messages, &[]).await;
    world.expect_exactly(200).await;
    world.expect_committed(GROUP, 1).await;

    let letters = "SELECT reason, batch, position, source, account_id, length(raw) > 0 FROM dead_letters ORDER BY position";
    let expected = [
        "malformed_json\tkafka:usage/0\t100\tkafka\tacc\t1",
        "line_too_long\tkafka:usage/0\t102\tkafka\tacc\t1",
        "invalid_address\tkafka:usage/0\t103\tkafka\tacc\t1",
    ];
    assert_eq!(world.system.sql(letters).await, expected.join("\n"));
    assert_eq!(
        world.metric("weir_ingest_records_total{", &["kafka", "\"Ignored\""]).await,
        1,
        "the empty one"
    );

    let consumer = dead_letters(&world);
    let expected = [("100", "malformed_json"), ("102", "line_too_long"), ("103", "invalid_address")];
    for (offset, reason) in expected {
        let letter = timeout(LIMIT, consumer.recv()).await.unwrap().unwrap();
        let header = |name| header_of(&letter, name);
        assert_eq!(header("weir-dead-letter-topic").unwrap(), "usage");
        assert_eq!(header("weir-dead-letter-partition").unwrap(), "0");
        assert_eq!(header("weir-dead-letter-offset").unwrap(), offset);
        assert_eq!(header("weir-dead-letter-reason").unwrap(), reason);
        if offset == "100" {
            assert_eq!((letter.key(), letter.payload()), (Some(&b"k"[..]), Some(&b"{\"broken"[..])));
            assert_eq!(header("trace").unwrap(), "t-1");
        }
        if offset == "102" {
            assert_eq!(letter.payload(), Some(long.as_bytes()), "the whole of it");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_that_is_too_large_is_produced_as_far_as_the_broker_takes_it() {
    let world = World::start_with(1, &[("WEIR_INGEST_KAFKA_DEAD_LETTER_TOPIC", DEAD_LETTERS)]).await;
    create_topic_within("4000", &world.kafka, DEAD_LETTERS, 1).await;
    let large = "x".repeat(10_000);
    let trace = |value: &str| vec![("trace", value.to_owned())];
    let poison = vec![
        Outgoing { key: Some("k".to_owned()), headers: trace("t"), ..message(format!("{{{large}")) },
        Outgoing { key: Some(large.clone()), headers: trace("t"), ..message("{\"broken") },
        Outgoing { key: Some("k".to_owned()), headers: trace(&large), ..message("{\"broken") },
    ];
    world.produce_all([poison, records(0..10, 1)].concat(), &[]).await;
    world.expect_exactly(10).await;
    world.expect_committed(GROUP, 1).await;

    let consumer = dead_letters(&world);
    let left_out = ["bytes", "key-bytes", "headers"].map(|what| format!("weir-dead-letter-left-out-{what}"));
    for (key, expected) in [
        (Some("k"), [Some("10001"), None, None]),
        (None, [Some("8"), Some("10000"), Some("1")]),
        (None, [Some("8"), Some("1"), Some("1")]),
    ] {
        let letter = timeout(LIMIT, consumer.recv()).await.unwrap().unwrap();
        let header = |name| header_of(&letter, name);
        assert_eq!((letter.key(), letter.payload()), (key.map(str::as_bytes), None));
        assert_eq!(left_out.each_ref().map(|name| header(name)), expected);
        assert_eq!(header("trace"), key.map(|_| "t"));
        assert_eq!(header("weir-dead-letter-reason"), Some("malformed_json"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_say_whose_they_are() {
    let world = World::start_with(1, &[("WEIR_INGEST_KAFKA_TOPICS", "usage=logpush:acc")]).await;
    let at = now_ms();
    let header = |name, value: &str| (name, value.to_owned());
    let messages = vec![
        Outgoing { key: Some("team/chat".to_owned()), ..message(record(0, at)) },
        Outgoing { key: Some("user-1".to_owned()), ..message(record(9, at)) },
        Outgoing {
            key: Some("team/chat".to_owned()),
            headers: vec![header("weir-account-id", "other"), header("weir-gateway-id", "mail")],
            ..message(record(1, at))
        },
        Outgoing { headers: vec![header("weir-gateway-id", "docs")], ..message(record(2, at)) },
    ];
    world.produce_all(messages, &[]).await;
    world.expect_exactly(3).await;
    world.expect_committed(GROUP, 1).await;
    let scopes = "SELECT account_id, gateway_id FROM logs ORDER BY ray_id";
    assert_eq!(world.system.sql(scopes).await, "team\tchat\nother\tmail\nacc\tdocs");
    let letters = world.system.sql("SELECT account_id, reason, position FROM dead_letters").await;
    assert_eq!(letters, "acc\tno_gateway\t1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloud_event_is_stored_once_in_whichever_mode_it_comes() {
    let world = World::start_with(1, &[("WEIR_INGEST_KAFKA_TOPICS", "usage=events:acc/gw")]).await;
    let structured = cloud_event_example("named_by_its_envelope");
    let event: Value = serde_json::from_str(&structured).unwrap();
    let attribute = |header, name: &str| (header, event[name].as_str().unwrap().to_owned());
    let binary = Outgoing {
        headers: vec![
            attribute("ce_specversion", "specversion"),
            attribute("ce_id", "id"),
            attribute("ce_source", "source"),
            attribute("ce_type", "type"),
            attribute("ce_time", "time"),
            ("content-type", "application/json".to_owned()),
        ],
        ..message(event["data"].to_string())
    };
    let content_type = ("content-type", "application/cloudevents+json; charset=utf-8".to_owned());
    let structured = Outgoing { headers: vec![content_type], ..message(structured.clone()) };
    world.produce_all(vec![binary, structured.clone(), structured], &[]).await;
    world.expect_committed(GROUP, 1).await;
    let rows = "SELECT count(), countIf(source = 'kafka'), any(account_id), any(gateway_id) FROM logs";
    assert_eq!(world.system.sql(rows).await, "1\t1\tacc\tgw");
    assert_eq!(world.system.sql("SELECT count() FROM dead_letters").await, "0");
}
