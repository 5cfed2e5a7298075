//! The rollups of quarters of an hour: they follow that of minutes whatever is killed, they are there for what was stored before
//! them, and the days of any time zone can be summed up from it.

use std::time::Duration;

use harness::eventually;

use super::world::World;

const LIMIT: Duration = Duration::from_mins(2);
const QUARTERS: [&str; 2] = ["usage_15m", "usage_15m_by_model"];

/// What the calls in `logs` come to, by everything that a rollup is by.
const OF_MINUTES: (&str, &str) = (
    "SELECT account_id, gateway_id, toStartOfMinute(created_at) AS start, provider, model, token, count(), \
        countIf(NOT success), countIf(cached), countIf(cost IS NULL), sum(ifNull(tokens_in, 0)), \
        sum(ifNull(tokens_out, 0)), sum(ifNull(cost, 0)) FROM logs WHERE kind IN ('consume', 'error') GROUP BY ALL",
    "SELECT account_id, gateway_id, minute, provider, model, token, requests, errors, cached, unpriced, tokens_in, \
        tokens_out, cost FROM usage_1m FINAL WHERE requests > 0",
);
const OF_QUARTERS: (&str, &str) = (
    "SELECT account_id, gateway_id, toStartOfInterval(created_at, INTERVAL 15 MINUTE) AS start, token, token_name, \
        user_id, user_name, model, channel_id, group, count(), countIf(NOT success), countIf(cached), \
        countIf(cost IS NULL), sum(ifNull(tokens_in, 0)), sum(ifNull(tokens_out, 0)), \
        sum(ifNull(tokens_cache_read, 0)) + sum(ifNull(tokens_cache_read_audio, 0)) \
            + sum(ifNull(tokens_cache_read_image, 0)), \
        sum(ifNull(tokens_cache_write_5m, 0)) + sum(ifNull(tokens_cache_write_1h, 0)), \
        sum(ifNull(tokens_reasoning, 0)), sum(ifNull(cost, 0)), sum(ifNull(quota, 0)) \
        FROM logs WHERE kind IN ('consume', 'error') GROUP BY ALL",
    "SELECT account_id, gateway_id, slot, token, token_name, user_id, user_name, model, channel_id, group, requests, \
        errors, cached, unpriced, tokens_in, tokens_out, tokens_cache_read, tokens_cache_write, tokens_reasoning, cost, \
        quota FROM usage_15m FINAL WHERE requests > 0",
);

const OF_MODELS: (&str, &str) = (
    "SELECT account_id, gateway_id, toStartOfInterval(created_at, INTERVAL 15 MINUTE) AS start, provider, model, count(), \
        countIf(NOT success), countIf(cached), countIf(cost IS NULL), sum(ifNull(tokens_in, 0)), \
        sum(ifNull(tokens_out, 0)), sum(ifNull(tokens_cache_read, 0)) + sum(ifNull(tokens_cache_read_audio, 0)) \
            + sum(ifNull(tokens_cache_read_image, 0)), \
        sum(ifNull(tokens_cache_write_5m, 0)) + sum(ifNull(tokens_cache_write_1h, 0)), \
        sum(ifNull(tokens_reasoning, 0)), sum(ifNull(cost, 0)), sum(ifNull(quota, 0)) \
        FROM logs WHERE kind IN ('consume', 'error') GROUP BY ALL",
    "SELECT account_id, gateway_id, slot, provider, model, requests, errors, cached, unpriced, tokens_in, tokens_out, \
        tokens_cache_read, tokens_cache_write, tokens_reasoning, cost, quota FROM usage_15m_by_model FINAL \
        WHERE requests > 0",
);

/// Rows, as one number of them and one of their content.
async fn digest(world: &World, statement: &str) -> String {
    let digest = format!(
        "SELECT concat(toString(count()), ' ', toString(groupBitXor(sipHash64(formatRow('TSV', *))))) FROM ({statement})"
    );
    world.text(&digest).await
}

/// Waits until every rollup is what its rows come to.
pub(super) async fn rollups_come_to_equal_the_logs(world: &World) {
    for rollup in [OF_MINUTES, OF_QUARTERS, OF_MODELS] {
        comes_to_equal_the_logs(world, rollup).await;
    }
}

async fn comes_to_equal_the_logs(world: &World, (rows, rollup): (&str, &str)) {
    let expected = digest(world, rows).await;
    eventually(LIMIT, expected, || digest(world, rollup)).await;
}

/// Waits until nothing is written into a table. Gives what it has by then.
async fn at_rest(world: &World, table: &str) -> String {
    let versions = format!("SELECT (count(), max(version)) FROM {table} FINAL");
    let settled = async || {
        let before = world.text(&versions).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        world.text(&versions).await == before
    };
    eventually(LIMIT, true, settled).await;
    world.text(&versions).await
}

/// `count` rows of all sorts, of which no two are the same, from a time on and so far apart; `salt` makes others of them.
pub(super) async fn insert_rows(world: &World, (from, apart_ms): (&str, u32), count: u32, salt: u32) {
    let statement = format!(
        "INSERT INTO logs (account_id, gateway_id, created_at, id, started_at, ingested_at, source, dialect, kind, \
            provider, model, success, cached, token, token_name, user_id, user_name, channel_id, group, tokens_in, \
            tokens_out, tokens_cache_read, tokens_cache_read_audio, tokens_cache_read_image, tokens_cache_write_5m, \
            tokens_cache_write_1h, tokens_reasoning, cost, quota) \
         SELECT 'acc', ['gw-a', 'gw-b'][1 + n % 2], \
            toDateTime64('{from}', 3, 'UTC') + toIntervalMillisecond(number * {apart_ms} + n % {apart_ms}) AS ended, \
            concat('01KBC7Q2M4', leftPad(upper(hex(sipHash64(number, {salt}))), 16, '0')), ended, now64(3), 'http', 'canonical', \
            ['consume', 'consume', 'error', 'topup'][1 + n % 4], ['', 'openai'][1 + n % 2], \
            concat('model-', toString(n % 3)), n % 4 != 2, n % 9 = 0, concat('token-', toString(n % 5 AS t)), \
            concat('name-', toString(t)), toString(n % 7 AS u), concat('user-', toString(u)), toString(n % 2), \
            ['', 'default', 'vip'][1 + n % 3], if(n % 8 = 0, NULL, n % 1000), n % 77, if(n % 3 = 0, n % 10, NULL), \
            if(n % 13 = 0, 1, NULL), if(n % 17 = 0, 2, NULL), if(n % 11 = 0, 5, NULL), if(n % 19 = 0, 7, NULL), \
            if(n % 6 = 0, n % 30, NULL), if(n % 5 = 0, NULL, toDecimal128(n % 100000, 18) / 1000000000), \
            if(n % 4 = 0, NULL, n % 5000) \
         FROM (SELECT number, sipHash64({salt}, number, 'row') AS n FROM numbers({count}))"
    );
    world.execute(&statement).await;
}

/// Tells of all minutes that rows are of.
pub(super) async fn tell_of_all(world: &World) {
    world.tell_of("SELECT DISTINCT gateway_id, toInt64(toUnixTimestamp(created_at)) FROM logs").await;
}

#[tokio::test]
async fn quarters_that_a_killed_aggregator_did_not_write_are_written_by_the_next() {
    let world = World::start(&["--aggregator-usage-15m-interval", "1h"]).await;
    insert_rows(&world, ("2026-11-20 10:00:00", 20_000), 500, 1).await;
    tell_of_all(&world).await;
    world.wait_until_acknowledged().await;
    // The minutes are written, and nobody would tell of them again.
    for table in QUARTERS {
        assert_eq!(world.text(&format!("SELECT count() FROM {table}")).await, "0");
    }
    world.first.service.kill_hard().unwrap();
    world.restart().await;
    rollups_come_to_equal_the_logs(&world).await;
}

#[tokio::test]
async fn quarters_of_what_was_there_before_their_table_are_written_by_themselves() {
    let world = World::start(&[]).await;
    insert_rows(&world, ("2026-10-30 10:00:00", 400_000), 500, 1).await;
    tell_of_all(&world).await;
    rollups_come_to_equal_the_logs(&world).await;
    // One table is newer than the other: the older one has nothing to be written anew for.
    for (new, old) in [(QUARTERS[0], QUARTERS[1]), (QUARTERS[1], QUARTERS[0])] {
        let before = at_rest(&world, old).await;
        assert_eq!(world.first.service.stop(LIMIT).await.unwrap().code(), Some(0));
        world.execute(&format!("TRUNCATE TABLE {new}")).await;
        world.restart().await;
        rollups_come_to_equal_the_logs(&world).await;
        at_rest(&world, new).await;
        assert_eq!(at_rest(&world, old).await, before, "{old}");
    }

    // What is written is left alone from then on, also what there is nothing of any more.
    world.execute("DELETE FROM logs WHERE model = 'model-1'").await;
    world.tell_of("SELECT DISTINCT gateway_id, toInt64(toUnixTimestamp(minute)) FROM usage_1m").await;
    rollups_come_to_equal_the_logs(&world).await;
    for table in QUARTERS {
        at_rest(&world, table).await;
    }
}

#[tokio::test]
async fn a_table_of_quarters_that_is_refused_holds_up_no_other() {
    let world = World::start(&[]).await;
    world.execute("RENAME TABLE usage_15m_by_model TO elsewhere").await;
    insert_rows(&world, ("2026-11-20 10:00:00", 60_000), 600, 1).await;
    tell_of_all(&world).await;
    comes_to_equal_the_logs(&world, OF_QUARTERS).await;
    // Nor does it when what was there before is caught up with.
    assert_eq!(world.first.service.stop(LIMIT).await.unwrap().code(), Some(0));
    world.execute("TRUNCATE TABLE usage_15m").await;
    world.restart().await;
    comes_to_equal_the_logs(&world, OF_QUARTERS).await;
    world.execute("RENAME TABLE elsewhere TO usage_15m_by_model").await;
    rollups_come_to_equal_the_logs(&world).await;
}

/// Sums by day in a time zone, of the rows and of the quarters, with how many quarters there are of the shortest and of the
/// longest day.
async fn check_days(world: &World, zone: &str, expected: (u32, u32)) {
    let by_day = |time: &str, sums: &str, from: &str| {
        format!("SELECT toDate({time}, '{zone}') AS day, user_id, {sums} FROM {from} GROUP BY ALL")
    };
    let sums = "count(), sum(ifNull(tokens_in, 0)), sum(ifNull(cost, 0)), sum(ifNull(quota, 0))";
    let of_rows = by_day("created_at", sums, "logs WHERE kind IN ('consume', 'error')");
    let sums = "sum(requests), sum(tokens_in), sum(cost), sum(quota)";
    let of_quarters = by_day("slot", sums, "usage_15m FINAL WHERE requests > 0");
    assert_eq!(digest(world, &of_quarters).await, digest(world, &of_rows).await, "{zone}");
    // Every quarter of an hour has a call; the first day is not whole, nor is the last.
    let lengths = format!(
        "SELECT (min(quarters), max(quarters)) FROM (SELECT toDate(slot, '{zone}') AS day, uniqExact(slot) AS quarters \
         FROM usage_15m GROUP BY day ORDER BY day LIMIT 1, 300)"
    );
    assert_eq!(world.text(&lengths).await, format!("({},{})", expected.0, expected.1), "{zone}");
}

#[tokio::test]
async fn days_of_any_time_zone_can_be_summed_up_from_quarters() {
    let world = World::start(&[]).await;
    // Some rows in every quarter, from winter to winter.
    insert_rows(&world, ("2026-01-10 00:00:00", 75_000), 1_152 * 320, 3).await;
    let (code, text) = world.audit(&["rebuild", "--from", "2026-01-01", "--to", "2027-01-01"]).await;
    assert_eq!(code, 0, "{text}");
    check_days(&world, "UTC", (96, 96)).await;
    check_days(&world, "Asia/Kolkata", (96, 96)).await;
    check_days(&world, "Asia/Kathmandu", (96, 96)).await;
    // The clocks go forward on 8 March, and back on 1 November.
    check_days(&world, "America/Los_Angeles", (92, 100)).await;
    // By half an hour.
    check_days(&world, "Australia/Lord_Howe", (94, 98)).await;
}
