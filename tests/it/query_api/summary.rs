//! `result_info` is put together from what is known of the table's parts. It is what ClickHouse says itself, whatever
//! happens to the parts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clickhouse::Client;
use harness::create_usage_stream;
use reqwest::StatusCode;
use serde_json::{Value, json};
use weir_local::Weir;

use super::rows::{ACCOUNT, GATEWAY, many_rows};
use super::world::{TOKEN, World};

/// Lists with what they mean in SQL.
const LISTS: [(&str, &str); 4] = [
    ("?per_page=1", "true"),
    ("?per_page=1&provider=openai&min_tokens_in=50", "provider = 'openai' AND tokens_in >= 50"),
    ("?per_page=1&cached=true", "cached"),
    ("?per_page=1&model=none", "model = 'none'"),
];

#[tokio::test]
async fn a_summary_follows_whatever_happens_to_the_rows() {
    let world = World::start().await;
    let client = client(&world);
    create_usage_stream(&world.nats).await;
    check(&client, &world, "an empty table").await;
    for round in 0..3 {
        world.insert_logs(&many_rows()[..40 * (round + 1)]).await;
        check(&client, &world, "an insert").await;
    }
    let steps = [
        "OPTIMIZE TABLE logs FINAL",
        // By the API.
        "?limit=7",
        "?limit=5&order_by=cost&order_by_direction=desc&filters=%7B%22key%22%3A%22provider%22%2C\
            %22operator%22%3A%22eq%22%2C%22value%22%3A%5B%22openai%22%5D%7D",
        "DELETE FROM logs WHERE provider = 'openai' AND tokens_in > 100",
        "ALTER TABLE logs UPDATE cost = cost * 3 WHERE provider = 'anthropic' SETTINGS mutations_sync = 2",
        "ALTER TABLE logs DELETE WHERE tokens_in = 5 SETTINGS mutations_sync = 2",
        "ALTER TABLE logs MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1",
        "OPTIMIZE TABLE logs FINAL",
        // Changes the rows of a part and leaves the part.
        "UPDATE logs SET cost = cost * 1000 WHERE tokens_in = 7",
        "ALTER TABLE logs APPLY PATCHES SETTINGS mutations_sync = 2",
        "OPTIMIZE TABLE logs FINAL",
        // Rows expire when we say so, and not while they are compared.
        "SYSTEM STOP TTL MERGES logs",
        "ALTER TABLE logs MODIFY TTL toDateTime(created_at) + INTERVAL 1 DAY DELETE WHERE tokens_in < 20 \
            SETTINGS materialize_ttl_after_modify = 0",
        "ALTER TABLE logs MATERIALIZE TTL SETTINGS mutations_sync = 2",
        "DELETE FROM logs WHERE true",
        "TRUNCATE TABLE logs",
    ];
    for step in steps {
        if step.starts_with('?') {
            delete(&client, &world, step).await;
        } else {
            client.query_raw(step).execute().await.unwrap_or_else(|error| panic!("{step}: {error}"));
        }
        check(&client, &world, step).await;
        // A new part beside what has changed.
        world.insert_logs(&many_rows()[30..60]).await;
        check(&client, &world, step).await;
    }
}

/// A change that had every list counted anew would be seen by nobody but its users.
#[tokio::test]
async fn a_summary_reads_no_row_of_a_part_that_is_known() {
    let world = World::start().await;
    let client = client(&world);
    client.query_raw("SYSTEM STOP MERGES logs").execute().await.unwrap();
    world.insert_logs(&many_rows()[..40]).await;
    let counts = async || {
        let metrics = reqwest::get(format!("{}/metrics", world.ops_url)).await.unwrap().text().await.unwrap();
        ["Memory", "Parts", "Table"].map(|from| {
            let name = format!("weir_query_summaries_total{{from=\"{from}\"}} ");
            let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
            line.map_or(0, |count| count.parse::<u64>().unwrap())
        })
    };
    world.logs("").await;
    assert_eq!(counts().await, [0, 1, 0]);
    for query in ["", "?page=2&per_page=7", "?order_by=provider"] {
        world.logs(query).await;
    }
    assert_eq!(counts().await, [3, 1, 0]);
    world.logs("?cached=true").await;
    world.insert_logs(&many_rows()[40..50]).await;
    world.logs("").await;
    assert_eq!(counts().await, [3, 3, 0]);
    world.logs("").await;
    assert_eq!(counts().await, [4, 3, 0]);
}

#[tokio::test]
async fn a_summary_is_of_one_moment_while_rows_come_in_and_parts_are_merged() {
    const ROWS: usize = 7;
    let world = &World::start().await;
    let client = &client(world);
    let is_over = &AtomicBool::new(false);
    let write = async {
        for round in 0..150 {
            world.insert_logs(&many_rows()[..ROWS]).await;
            if round % 10 == 9 {
                client.query_raw("OPTIMIZE TABLE logs").execute().await.unwrap();
            }
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let read = |query: &'static str, of_each: usize| async move {
        let mut last = 0;
        while !is_over.load(Ordering::Relaxed) {
            let count = usize::try_from(info(world, query).await["total_count"].as_u64().unwrap()).unwrap();
            assert!(count.is_multiple_of(of_each) && count >= last, "{count} after {last}");
            last = count;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (all, some) = ("?per_page=1", "?per_page=1&provider=openai");
    tokio::join!(write, read(all, ROWS), read(all, ROWS), read(some, ROWS / 3));
    check(client, world, "all of it").await;
}

/// Deletes by the API, and sees that rows are gone.
async fn delete(client: &Client, world: &World, query: &str) {
    let count = async || client.query_raw("SELECT count() FROM logs").fetch_one::<u64>().await.unwrap();
    let before = count().await;
    let path = format!("/client/v4/accounts/{ACCOUNT}/ai-gateway/gateways/{GATEWAY}/logs{query}");
    let answer = world.ask("DELETE", &path, &[("authorization", &format!("Bearer {TOKEN}"))]).await;
    assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.text);
    assert!(count().await < before, "{query}");
}

/// Asked twice, for what is known by then is another way.
async fn check(client: &Client, world: &World, when: &str) {
    for (query, condition) in LISTS {
        let expected = expected(client, condition).await;
        for _ in 0..2 {
            let found = info(world, query).await;
            for (name, value) in expected.as_object().unwrap() {
                assert_eq!(&found[name], value, "{name} of {query} after {when}");
            }
        }
    }
}

async fn info(world: &World, query: &str) -> Value {
    let answer = world.logs(query).await;
    serde_json::from_str::<Value>(&answer.text).unwrap()["result_info"].take()
}

async fn expected(client: &Client, condition: &str) -> Value {
    let statement = format!(
        "SELECT count(), min(cost), max(cost), max(duration_ms), min(tokens_in) \
         FROM logs WHERE account_id = '{ACCOUNT}' AND gateway_id = '{GATEWAY}' AND {condition} \
         SETTINGS output_format_json_quote_64bit_integers = 0"
    );
    let mut lines = client.query_raw(&statement).fetch_bytes("JSONCompactEachRow").unwrap();
    let row: Value = serde_json::from_slice(&lines.collect().await.unwrap()).unwrap();
    json!({
        "total_count": row[0], "min_cost": row[1], "max_cost": row[2], "max_duration": row[3], "min_tokens_in": row[4],
    })
}

fn client(world: &World) -> Client {
    let clickhouse = &world.clickhouse;
    weir_store::client(&clickhouse.url, Weir::DATABASE, &clickhouse.user, &clickhouse.password)
}
