//! Which logs a deletion takes: filters, orders and limits at random, held against what they mean in memory.

use std::cmp::Ordering;
use std::collections::HashMap;

use clickhouse::Client;
use harness::{create_tables, create_usage_stream, jetstream};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_event::bus::{DirtyMessage, USAGE_STREAM};
use weir_event::{EventId, Feedback, Timestamp, UsageEvent};
use weir_filter::Filter;
use weir_local::{ClickHouse, Installation, Nats, Service, random_secret};
use weir_pricing::PricedEvent;
use weir_store::{AnnotationRow, BodyRow, LogRow};

use super::{DONE, api};
use crate::filter::{event, priced, sample};

const EVENTS: usize = 400;
const ROUNDS: usize = 30;
const WRITES: u64 = 7;

const ORDERS: [&str; 11] = [
    "created_at",
    "provider",
    "model",
    "model_type",
    "success",
    "cached",
    "cost",
    "tokens_in",
    "tokens_out",
    "duration",
    "feedback",
];

/// A condition as Cloudflare has it, and as we write it.
fn condition(random: &mut fastrand::Rng, events: &[PricedEvent]) -> (Value, String) {
    let picked = |random: &mut fastrand::Rng| events[random.usize(..events.len())].event().clone();
    let number =
        |random: &mut fastrand::Rng| *random.choice(["0", "1", "0.01", "200", "499"].iter()).unwrap();
    let (key, field) = *random
        .choice(
            [
                ("model", "model"),
                ("provider", "provider"),
                ("cost", "cost"),
                ("tokens_in", "tokens_in"),
                ("duration", "duration_ms"),
                ("success", "success"),
                ("cached", "cached"),
                ("id", "id"),
                ("created_at", "created_at"),
                ("metadata.value", "metadata.value"),
            ]
            .iter(),
        )
        .unwrap();
    let quoted = |text: &str| Value::from(text).to_string();
    let (operator, sign, values): (&str, &str, Vec<Value>) = match key {
        "model" | "provider" | "metadata.value" => {
            let texts: Vec<Value> = (0..random.usize(1..4))
                .map(|_| {
                    let event = picked(random);
                    let text = if key == "model" { event.model } else { event.provider };
                    text.unwrap_or_default().into()
                })
                .collect();
            if random.bool() { ("eq", "in", texts) } else { ("neq", "not in", texts) }
        }
        "id" => {
            ("eq", "in", (0..random.usize(1..40)).map(|_| picked(random).id.to_string().into()).collect())
        }
        "success" | "cached" => ("eq", "=", vec![random.bool().into()]),
        "created_at" => ("lt", "<", vec![picked(random).created_at.to_string().into()]),
        _ if random.bool() => ("gt", ">", vec![serde_json::from_str(number(random)).unwrap()]),
        _ => ("lt", "<", vec![serde_json::from_str(number(random)).unwrap()]),
    };
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), quoted);
    let list = values.iter().map(shown).collect::<Vec<_>>().join(", ");
    let text = match sign {
        "in" => format!("{field} in ({list})"),
        "not in" => format!("not {field} in ({list})"),
        sign => format!("{field} {sign} {list}"),
    };
    (json!({"key": key, "operator": operator, "value": values}), text)
}

/// What was said since, which may be that nothing is to be said.
type Said = HashMap<EventId, Option<Feedback>>;

/// Of three events in five: a thumb up, a thumb down, and one that was taken back.
fn said_of(events: &[PricedEvent]) -> Said {
    let thumbs = ["1", "-1", "none"].map(|text| Feedback::from_json_number(text).ok());
    let of = |(n, event): (usize, &PricedEvent)| Some((event.event().id, *thumbs.get(n % 5)?));
    events.iter().enumerate().filter_map(of).collect()
}

/// Which comes first. What has no value comes last either way.
fn compare(by: &str, is_descending: bool, said: &Said, (a, b): (&PricedEvent, &PricedEvent)) -> Ordering {
    fn known<T: Ord>(a: Option<T>, b: Option<T>, is_descending: bool) -> Ordering {
        match (a, b) {
            (Some(a), Some(b)) if is_descending => b.cmp(&a),
            (Some(a), Some(b)) => a.cmp(&b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    }
    let (one, two) = (a.event(), b.event());
    let text = |text: &Option<String>| Some(text.clone().unwrap_or_default().into_bytes());
    let first = match by {
        "provider" => known(text(&one.provider), text(&two.provider), is_descending),
        "model" => known(text(&one.model), text(&two.model), is_descending),
        "model_type" => known(text(&one.model_type), text(&two.model_type), is_descending),
        "success" => known(Some(one.success), Some(two.success), is_descending),
        "cached" => known(Some(one.cached), Some(two.cached), is_descending),
        "cost" => known(a.cost().amount(), b.cost().amount(), is_descending),
        "tokens_in" => known(one.tokens.total_in(), two.tokens.total_in(), is_descending),
        "tokens_out" => known(one.tokens.total_out(), two.tokens.total_out(), is_descending),
        "duration" => known(one.duration_ms, two.duration_ms, is_descending),
        "feedback" => {
            let own =
                |event: &UsageEvent| event.attributes.as_ref().and_then(|attributes| attributes.feedback);
            let thumb = |event: &UsageEvent| said.get(&event.id).copied().unwrap_or_else(|| own(event));
            known(thumb(one), thumb(two), is_descending)
        }
        _ => Ordering::Equal,
    };
    let by_time = (one.created_at, one.id).cmp(&(two.created_at, two.id));
    first.then(if is_descending { by_time.reverse() } else { by_time })
}

/// A query API with tables and a stream of its own.
struct World {
    client: Client,
    nats: Nats,
    api: api::Api,
    _api: Service,
    _clickhouse: ClickHouse,
    // Last, so that the processes are gone before their files.
    _dir: TempDir,
}

/// What is asked for, and of what.
struct Question {
    filter: Filter,
    by: &'static str,
    is_descending: bool,
    limit: usize,
    query: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_of_what_the_filter_lets_through_go_and_nothing_else_does() {
    let world = World::start().await;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(seed), ..Config::default() });
    let strategy = event();
    let mut left: Vec<_> = (0..EVENTS).map(|n| priced(&sample(&strategy, &mut runner), n)).collect();
    let said = said_of(&left);
    world.fill(&left, &said).await;

    let (mut gone, mut filtered) = (Vec::<PricedEvent>::new(), 0);
    for round in 0..ROUNDS {
        // Every order comes.
        let question = Question::new(&mut random, &left, ORDERS[round % ORDERS.len()]);
        let Question { filter, by, is_descending, limit, query } = &question;
        left.sort_by(|a, b| compare(by, *is_descending, &said, (a, b)));
        let chosen = left.iter().filter(|event| filter.matches(*event)).take(*limit);
        let chosen: Vec<_> = chosen.map(|event| event.event().id).collect();
        filtered += usize::from(filter.root().is_some() && !chosen.is_empty());
        assert_eq!(world.api.delete(query).await, (200, DONE.to_owned()), "{query}");
        let (go, stay): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|event| chosen.contains(&event.event().id));
        left = stay;
        gone.extend(go);
        for table in ["logs", "bodies", "payloads", "annotations FINAL"] {
            let ids = format!(
                "SELECT DISTINCT toString(id) AS id FROM {table} WHERE account_id = 'acc' AND gateway_id = 'gw' ORDER BY id"
            );
            let found: Vec<String> = world.client.query(&ids).fetch_all().await.unwrap();
            assert_eq!(found, ids_of(&left), "{table}, {filter}, {query}");
        }
    }
    assert!(filtered > 3, "only {filtered} filters let anything through");
    let of_others = "account_id = 'acd' OR gateway_id = 'gx'";
    for table in ["logs", "bodies", "payloads", "annotations FINAL"] {
        let others = world
            .count(&format!("SELECT uniqExact(account_id, gateway_id, id) FROM {table} WHERE {of_others}"))
            .await;
        assert_eq!(others, 2 * EVENTS as u64, "{table}");
    }
    world.expect_entered_and_told(&gone).await;
    refused_requests_delete_nothing(&world.api, left[0].event().id).await;
    assert_eq!(world.count("SELECT count() FROM logs").await, (2 * EVENTS + left.len()) as u64);
}

impl World {
    async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let installation = Installation::detect().unwrap();
        let secret = || random_secret().unwrap();
        let clickhouse =
            ClickHouse::start(&installation, &dir.path().join("clickhouse"), &secret()).await.unwrap();
        let nats = Nats::start(&installation, &dir.path().join("nats"), &secret()).await.unwrap();
        let client = create_tables(&clickhouse).await;
        create_usage_stream(&nats).await;
        let (service, api) = api::start(dir.path(), "gw", &clickhouse.url, (&clickhouse, &nats), &[]).await;
        Self { client, nats, api, _api: service, _clickhouse: clickhouse, _dir: dir }
    }

    /// Stores events with a body and something that was said of each: the same in the gateway beside theirs, and in the
    /// account beside that.
    async fn fill(&self, events: &[PricedEvent], thumbs: &Said) {
        let stored_at = Timestamp::from_millis(1_790_000_000_000).unwrap();
        let mut logs = self.client.insert::<LogRow<'_>>("logs").await.unwrap();
        let mut bodies = self.client.insert::<BodyRow<'_>>("bodies").await.unwrap();
        let mut said = self.client.insert::<AnnotationRow<'_>>("annotations").await.unwrap();
        for (n, event) in (0..).zip(events) {
            let row = LogRow::from_event(event, stored_at, 2 + n % WRITES * 2);
            for (account_id, gateway_id) in [("acc", "gw"), ("acc", "gx"), ("acd", "gw")] {
                logs.write(&LogRow { account_id, gateway_id, ..row.clone() }).await.unwrap();
                let (started_at, id) = (row.started_at, row.id);
                let body = BodyRow { account_id, gateway_id, started_at, id, texts: vec![Some("{}"), None] };
                bodies.write(&body).await.unwrap();
                let (value, metadata_text) = (Some("1"), Vec::new());
                let score =
                    AnnotationRow { account_id, gateway_id, field: "score", id, value, metadata_text };
                said.write(&score).await.unwrap();
                if let Some(thumb) = thumbs.get(&event.event().id) {
                    let thumb = thumb.map(|thumb| thumb.to_string());
                    let feedback =
                        AnnotationRow { field: "feedback", value: thumb.as_deref(), ..score.clone() };
                    said.write(&feedback).await.unwrap();
                }
            }
        }
        bodies.end().await.unwrap();
        // A program of before had put them there.
        let before = "INSERT INTO payloads (account_id, gateway_id, started_at, id, request, response) \
            SELECT account_id, gateway_id, started_at, id, request, response FROM bodies";
        self.client.query(before).execute().await.unwrap();
        said.end().await.unwrap();
        logs.end().await.unwrap();
    }

    async fn count(&self, statement: &str) -> u64 {
        self.client.query(statement).fetch_one().await.unwrap()
    }

    /// Each is in the ledger once, and its minute was told of.
    async fn expect_entered_and_told(&self, gone: &[PricedEvent]) {
        let entered = "SELECT subject FROM ledger FINAL WHERE deleted = 1 AND stored = -1 AND received = 0 \
            AND version = 2 AND account_id = 'acc' AND gateway_id = 'gw' ORDER BY subject";
        let entered: Vec<String> = self.client.query(entered).fetch_all().await.unwrap();
        assert_eq!(entered, ids_of(gone));
        let mut usage = jetstream(&self.nats).await.get_stream(USAGE_STREAM).await.unwrap();
        let mut told = Vec::new();
        for sequence in 1..=usage.info().await.unwrap().state.last_sequence {
            let message = usage.get_raw_message(sequence).await.unwrap();
            let dirty: DirtyMessage = serde_json::from_slice(&message.payload).unwrap();
            assert_eq!((dirty.scope.account_id.as_str(), dirty.scope.gateway_id.as_str()), ("acc", "gw"));
            told.extend(dirty.minutes);
        }
        assert!(gone.iter().all(|event| told.contains(&event.event().created_at.minute())));
    }
}

impl Question {
    fn new(random: &mut fastrand::Rng, events: &[PricedEvent], by: &'static str) -> Self {
        let conditions: Vec<_> = (0..random.usize(0..3)).map(|_| condition(random, events)).collect();
        let texts: Vec<_> = conditions.iter().map(|(_, text)| text.as_str()).collect();
        let (is_descending, limit) = (random.bool(), random.usize(1..25));
        let direction = if is_descending { "desc" } else { "asc" };
        let mut query = format!("?limit={limit}&order_by={by}&order_by_direction={direction}");
        if !conditions.is_empty() {
            let filters: Value = conditions.iter().map(|(json, _)| json.clone()).collect();
            query.extend(["&filters=", &percent(&filters.to_string())]);
        }
        Self { filter: texts.join(" and ").parse().unwrap(), by, is_descending, limit, query }
    }
}

fn ids_of(events: &[PricedEvent]) -> Vec<String> {
    let mut ids: Vec<_> = events.iter().map(|event| event.event().id.to_string()).collect();
    ids.sort();
    ids
}

/// Every form of filter that is broken, cut or means several things.
async fn refused_requests_delete_nothing(api: &api::Api, id: EventId) {
    let one = format!(r#"{{"key":"id","operator":"eq","value":["{id}"]}}"#);
    let bad = [
        "filters=".to_owned(),
        "filters=[]".to_owned(),
        "filters=null".to_owned(),
        format!("filters=[{one}"),
        format!("filters=[{one},]"),
        format!("filters=[{one}]&filters.key=id"),
        format!("filter=[{one}]"),
        format!("filters=[{one}]&search=x"),
        format!("filters=[{one}]&page=1"),
        format!("filters=[{one}]&limit=0"),
        format!("filters=[{one}]&limit=10001"),
        format!("filters=[{one}]&limit=1&limit=1"),
        r#"filters=[{"key":"id","operator":"eq"}]"#.to_owned(),
        r#"filters=[{"key":"id","operator":"is","value":["x"]}]"#.to_owned(),
        r#"filters=[{"key":"nobody","operator":"eq","value":["x"]}]"#.to_owned(),
        r#"filters=[{"key":"cost","operator":"gt","value":["x"]}]"#.to_owned(),
        r#"filters=[{"key":"model","operator":"eq","value":[]}]"#.to_owned(),
        "filters.key=model&filters.operator=eq".to_owned(),
        "filters.key=model&filters.operator=neq&filters.value=x".to_owned(),
        "filters.key=model&filters.value=x".to_owned(),
        "filters.key=model&filters.key=provider&filters.operator=eq&filters.operator=eq&filters.value=a&filters.value=b".to_owned(),
        "filters.model=x".to_owned(),
        "filters[0][key]=model&filters[0][value]=x".to_owned(),
        "filters[x]=1".to_owned(),
        "filters[]=1".to_owned(),
        "order_by=id".to_owned(),
        "order_by_direction=up".to_owned(),
        "direction=desc".to_owned(),
        "model=%ff".to_owned(),
    ];
    for query in bad {
        let query = query.replace('%', "%25").replace("%25ff", "%ff").replace('"', "%22");
        let (status, text) = api.delete(&format!("?{query}")).await;
        assert_eq!(status, 400, "{query}: {text}");
        assert!(text.contains(r#""code":7001"#), "{query}: {text}");
    }
}

fn percent(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
