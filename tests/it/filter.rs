//! A filter means the same in SQL as in memory: on the real engine, with events and filters at random.

use std::time::Duration;

use clickhouse::Client;
use harness::create_tables;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use weir_event::wire::WireEvent;
use weir_event::{EventId, Metadata, Scope, Source, Timestamp};
use weir_filter::Filter;
use weir_filter::testing::{NAMES, NUMBERS, TEXTS, TIMES, filters};
use weir_local::{ClickHouse, Installation, Weir, random_secret};
use weir_pricing::{PriceBook, PricedEvent};
use weir_query_api::auth::Principal;
use weir_query_api::metrics::QueryMetrics;
use weir_query_api::sql::{Column, Direction, Order, Page};
use weir_query_api::store::{Annotations, Change, LogEntry, LogStore, LogSummary, StoredRow};
use weir_service::config::{ClickHouseConfig, Secret};
use weir_service::metrics::Metrics;
use weir_store::LogRow;

const EVENTS: usize = 300;
const FILTERS: usize = 300;
const FEEDBACK: [&str; 6] = ["-1", "0", "1", "0.5", "0.01", "0.010000000000000001"];
const SCORES: [&str; 7] = ["0", "1", "2", "0.5", "1.5", "0.01", "99.999999999999999"];
/// Rows on a page, which has to have all.
const PER_PAGE: u32 = 1_000;

#[tokio::test]
async fn a_filter_lets_the_same_rows_through_in_sql_and_in_memory() {
    let Engine { client, store, .. } = &Engine::start().await;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(seed), ..Config::default() });

    let strategy = event();
    let mut wires: Vec<_> = (0..EVENTS).map(|_| sample(&strategy, &mut runner)).collect();
    let mut events: Vec<_> = wires.iter().enumerate().map(|(n, wire)| priced(wire, n)).collect();
    let mut insert = client.insert::<LogRow<'_>>("logs").await.unwrap();
    for event in &events {
        insert.write(&LogRow::from_event(event, Timestamp::MIN, 2)).await.unwrap();
    }
    insert.end().await.unwrap();
    the_same_pass(store, &events, &mut runner).await;
    the_same_rows_pass(store, &events, &mut runner).await;

    // What is said of an event is as if it had been logged so.
    let strategy = (0..EVENTS / 2, said());
    let scope = Principal::operator("tests").may_write(scope()).unwrap();
    for _ in 0..EVENTS / 2 {
        let (n, said) = sample(&strategy, &mut runner);
        assert!(store.annotate(&scope, &events[n].event().id, &annotations(&said)).await.unwrap());
        for (name, value) in said {
            let within = if name == "metadata" { &mut wires[n] } else { &mut wires[n]["attributes"] };
            within[name] = value;
        }
        events[n] = priced(&wires[n], n);
    }
    the_same_pass(store, &events, &mut runner).await;

    for event in events.iter().take(20) {
        let id = event.event().id;
        let text = format!("id = \"{id}\" or id in (\"{id}\", \"no id\", \"{id}\\u0000\")");
        assert_eq!(ids(store, &text.parse().unwrap()).await, [id.to_string()]);
    }
}

/// Holds filters at random against the events in memory, and what is shown of them.
async fn the_same_pass(store: &LogStore, events: &[PricedEvent], runner: &mut TestRunner) {
    let strategy = filters();
    let mut met = 0;
    for _ in 0..FILTERS {
        let filter = sample(&strategy, runner);
        let mut expected: Vec<_> = events
            .iter()
            .filter(|event| filter.matches(*event))
            .map(|event| event.event().id.to_string())
            .collect();
        expected.sort();
        met += usize::from(!expected.is_empty() && expected.len() < EVENTS);
        let found = ids(store, &filter).await;
        let wrong = events.iter().find(|event| {
            let id = event.event().id.to_string();
            found.contains(&id) != expected.contains(&id)
        });
        assert!(wrong.is_none(), "{filter}: {} rows for {}: {wrong:?}", found.len(), expected.len());
    }
    assert!(met > FILTERS / 3, "only {met} filters told rows apart");
    for entry in list(store, &Filter::default()).await.0 {
        let event = events.iter().map(PricedEvent::event).find(|event| event.id == entry.id).unwrap();
        let attributes = event.attributes.as_deref().cloned().unwrap_or_default();
        assert_eq!(entry.attributes.feedback, attributes.feedback);
        assert_eq!(entry.attributes.score, attributes.score);
        assert_eq!(entry.metadata, event.metadata.as_ref().map(Metadata::to_json).unwrap_or_default());
    }
}

/// Holds filters at random against rows that were read, as live tails do, and against their events.
async fn the_same_rows_pass(store: &LogStore, events: &[PricedEvent], runner: &mut TestRunner) {
    let scope = Principal::operator("tests").may_read(scope()).unwrap();
    let keys: Vec<_> = events.iter().map(|event| (event.event().created_at, event.event().id)).collect();
    // One more, that is not there, and one under another end.
    let others = [(Timestamp::MIN, EventId::derive(Timestamp::MIN, &[b"none"])), (Timestamp::MIN, keys[0].1)];
    let rows = store.rows(&scope, &[&keys[1..], &others].concat()).await.unwrap();
    let mut found: Vec<_> = rows.iter().map(StoredRow::place).collect();
    let mut expected = keys[1..].to_vec();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let strategy = filters();
    for _ in 0..FILTERS {
        let filter = sample(&strategy, runner);
        for row in &rows {
            let event = events.iter().find(|event| event.event().id == row.id).unwrap();
            assert_eq!(filter.matches(row), filter.matches(event), "{filter}: {row:?} {event:?}");
        }
    }
}

#[tokio::test]
async fn rows_of_before_the_column_are_found_by_their_metadata() {
    let Engine { client, store, .. } = &Engine::start().await;
    let id = EventId::derive(Timestamp::MIN, &[b"old"]);
    let statement = "INSERT INTO logs (account_id, gateway_id, created_at, started_at, id, metadata) VALUES \
        ('acc', 'gw', '2000-01-01 00:00:00', '2000-01-01 00:00:00', ?, '{\"n\":7,\"team\":\"search\"}')";
    client.query(statement).bind(id.as_str()).execute().await.unwrap();
    let filter = r#"metadata["team"] = "search" and metadata.value = "7" and metadata.key != "x""#;
    assert_eq!(ids(store, &filter.parse().unwrap()).await, [id.to_string()]);
}

#[tokio::test]
async fn letters_are_found_in_either_case_as_in_memory() {
    let Engine { client, store, .. } = &Engine::start().await;
    // Every letter that has another case, ASCII and not, 200 to a row.
    let letters: Vec<_> =
        ('\0'..=char::MAX).filter(|letter| weir_filter::variants(*letter).len() > 1).collect();
    let rows: Vec<String> = letters.chunks(200).map(|chunk| chunk.iter().collect()).collect();
    let mut insert = client.insert::<LogRow<'_>>("logs").await.unwrap();
    for (n, text) in rows.iter().enumerate() {
        let id = EventId::derive(Timestamp::MIN, &[&n.to_le_bytes()]).bytes();
        let created_at = Timestamp::MIN.millis();
        let row = LogRow {
            account_id: "acc",
            gateway_id: "gw",
            id,
            created_at,
            started_at: created_at,
            model: text,
            ..LogRow::default()
        };
        insert.write(&row).await.unwrap();
    }
    insert.end().await.unwrap();
    for row in &rows {
        for letter in row.chars().step_by(7) {
            let swapped: String = weir_filter::variants(letter).last().into_iter().collect();
            let quoted = Value::from(swapped);
            let found = ids(store, &format!("model contains {quoted}").parse().unwrap()).await;
            let has_it = |row: &&String| {
                row.chars().any(|other| weir_filter::fold(other) == weir_filter::fold(letter))
            };
            assert_eq!(found.len(), rows.iter().filter(has_it).count(), "{letter:?}");
        }
    }
}

async fn list(store: &LogStore, filter: &Filter) -> (Vec<LogEntry>, LogSummary) {
    let order = Order { column: Column::CreatedAt, direction: Direction::Descending };
    let page = Page { number: 1, per_page: PER_PAGE };
    store
        .list(&Principal::operator("tests").may_read(scope()).unwrap(), filter, order, page)
        .await
        .unwrap_or_else(|error| panic!("{filter}: {error} {:?}", std::error::Error::source(&error)))
}

async fn ids(store: &LogStore, filter: &Filter) -> Vec<String> {
    let (entries, summary) = list(store, filter).await;
    let mut ids: Vec<_> = entries.iter().map(|entry| entry.id.to_string()).collect();
    assert_eq!(summary.total_count, ids.len() as u64, "{filter}");
    ids.sort();
    ids
}

/// A ClickHouse of its own with our tables, and what the query API asks it through.
struct Engine {
    client: Client,
    store: LogStore,
    _clickhouse: ClickHouse,
    // Last, so that the process is gone before its files.
    _dir: TempDir,
}

impl Engine {
    async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let installation = Installation::detect().unwrap();
        let clickhouse =
            ClickHouse::start(&installation, dir.path(), &random_secret().unwrap()).await.unwrap();
        let client = create_tables(&clickhouse).await;
        let config = ClickHouseConfig {
            url: clickhouse.url.parse().unwrap(),
            database: Weir::DATABASE.to_owned(),
            user: clickhouse.user.clone(),
            password: Secret::new(clickhouse.password.clone()),
        };
        let metrics = QueryMetrics::register(&mut Metrics::new("query-api", "0"));
        let store = LogStore::new(&config, Duration::from_mins(1), metrics);
        Self { client, store, _clickhouse: clickhouse, _dir: dir }
    }
}

fn scope() -> Scope {
    Scope { account_id: "acc".parse().unwrap(), gateway_id: "gw".parse().unwrap() }
}

pub(crate) fn sample<S: Strategy>(strategy: &S, runner: &mut TestRunner) -> S::Value {
    strategy.new_tree(runner).unwrap().current()
}

pub(crate) fn priced(wire: &Value, n: usize) -> PricedEvent {
    let mut wire = wire.clone();
    wire["event_id"] = format!("{}-{n}", wire["event_id"].as_str().unwrap_or_default()).into();
    let event: WireEvent = serde_json::from_value(wire).unwrap();
    PricedEvent::new(event.into_event(scope(), Source::Http).unwrap(), &PriceBook::builtin())
}

/// An event as a producer writes it, of the values that filters ask for.
pub(crate) fn event() -> impl Strategy<Value = Value> {
    const TEXT_FIELDS: [&str; 18] = [
        "event_id",
        "request_id",
        "ray_id",
        "provider",
        "model",
        "model_requested",
        "model_type",
        "path",
        "error",
        "user_id",
        "user_name",
        "token_id",
        "token_name",
        "group",
        "channel_id",
        "user_agent",
        "service_tier",
        "request_content_type",
    ];
    let texts =
        proptest::collection::vec(proptest::option::weighted(0.7, select(&TEXTS[..])), TEXT_FIELDS.len());
    let flags = proptest::collection::vec(any::<bool>(), 4);
    let counts = proptest::collection::vec(
        proptest::option::weighted(0.7, select(vec![0_u64, 1, 2, 200, 499, 1_000])),
        5,
    );
    let cost = proptest::option::weighted(
        0.7,
        select(vec!["0", "0.01", "0.010000000000000001", "1", "1000", "9999999999"]),
    );
    let quota = proptest::option::of(select(vec![0_i64, -1, i64::MIN, i64::MAX]));
    let metadata = proptest::collection::btree_map(select(&NAMES[..]), scalar(), 0..4);
    let at = select(&TIMES[..4]);
    (texts, flags, counts, (cost, quota), (metadata, attributes()), at).prop_map(
        |(texts, flags, counts, (cost, quota), (metadata, attributes), at)| {
            let mut event = Map::new();
            for (name, text) in TEXT_FIELDS.iter().zip(texts) {
                event.extend(text.map(|text| ((*name).to_owned(), text.into())));
            }
            event.insert("kind".to_owned(), "consume".into());
            let at: Timestamp = at.parse().unwrap();
            event.insert("started_at".to_owned(), at.to_string().into());
            for (name, flag) in ["success", "cached", "streamed", "truncated"].iter().zip(flags) {
                event.insert((*name).to_owned(), flag.into());
            }
            let mut counts = counts.into_iter();
            let mut tokens = Map::new();
            for (object, name) in [
                (false, "duration_ms"),
                (true, "uncached_input"),
                (true, "text_output"),
                (false, "status_code"),
                (false, "time_to_first_token_ms"),
            ] {
                let object = if object { &mut tokens } else { &mut event };
                object.extend(counts.next().flatten().map(|count| (name.to_owned(), count.into())));
            }
            event.insert("tokens".to_owned(), tokens.into());
            event.extend(cost.map(|cost| ("cost".to_owned(), cost.into())));
            event.extend(quota.map(|quota| ("quota".to_owned(), quota.into())));
            event.insert("metadata".to_owned(), json!(metadata));
            event.insert("attributes".to_owned(), attributes);
            Value::Object(event)
        },
    )
}

/// What few sources tell; of most events nothing.
fn attributes() -> impl Strategy<Value = Value> {
    let flags = proptest::collection::vec(proptest::option::of(any::<bool>()), 3);
    let texts = proptest::collection::vec(proptest::option::of(select(&TEXTS[..])), 5);
    let ratings = (proptest::option::of(select(&FEEDBACK[..])), proptest::option::of(select(&SCORES[..])));
    let all = (flags, texts, ratings).prop_map(|(flags, texts, (feedback, score))| {
        let number = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        json!({
            "authentication": flags[0], "wholesale": flags[1], "compatibility_mode": flags[2],
            "dlp_action": texts[0], "prompt_id": texts[1], "prompt_version_id": texts[2],
            "content": texts[3], "upstream_request_id": texts[4],
            "feedback": feedback.map(number), "score": score.map(number),
        })
    });
    prop_oneof![1 => Just(Value::Null), 2 => all]
}

/// What an API is told to say of an event.
fn said() -> impl Strategy<Value = Map<String, Value>> {
    let number = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let feedback = proptest::option::of(select(&FEEDBACK[..])).prop_map(move |text| json!(text.map(number)));
    let score = proptest::option::of(select(&SCORES[..])).prop_map(move |text| json!(text.map(number)));
    let entries = proptest::collection::btree_map(select(&NAMES[..]), scalar(), 0..4);
    let metadata = prop_oneof![1 => Just(Value::Null), 3 => entries.prop_map(|entries| json!(entries))];
    let some = |of: BoxedStrategy<Value>| proptest::option::weighted(0.6, of);
    let all = (some(feedback.boxed()), some(score.boxed()), some(metadata.boxed()));
    all.prop_map(|(feedback, score, metadata)| {
        let all = [("feedback", feedback), ("score", score), ("metadata", metadata)];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    })
}

fn annotations(said: &Map<String, Value>) -> Annotations {
    fn change<T: serde::de::DeserializeOwned>(value: Option<&Value>) -> Change<T> {
        match value {
            None => Change::Keep,
            Some(Value::Null) => Change::Clear,
            Some(value) => Change::Set(serde_json::from_value(value.clone()).unwrap()),
        }
    }
    Annotations {
        feedback: change(said.get("feedback")),
        score: change(said.get("score")),
        metadata: change(said.get("metadata")),
    }
}

/// A value of metadata: also a number that ClickHouse prints in another way than JSON does.
fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        select(&TEXTS[..]).prop_map(Value::from),
        select(&NUMBERS[..14]).prop_map(|text| serde_json::from_str(text).unwrap()),
        select(vec![1e21, 1.0, 1e-7, 0.5]).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
    ]
}
