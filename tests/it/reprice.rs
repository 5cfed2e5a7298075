//! `ingest reprice`: stored costs become what the price book says, whatever is killed on the way, and nothing else does.

mod world;

use std::time::Duration;

use harness::traffic::{now_ms, record};
use harness::{System, eventually};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::sleep;

use self::world::{Ended, LIMIT, World, end_of, spawn_reprice, write_file};

/// A provider with two models of three.
const MINE: &str = r#"
provider = "mine"
[[model]]
id = "model"
match = ["model-0", "model-1"]
[[model.price]]
per_million = { uncached_input = "3", text_output = "7.000000000001" }
"#;
/// The second at the same price, the others at another.
const MINE_LATER: &str = r#"
provider = "mine"
[[model]]
id = "later"
match = ["model-0", "model-2"]
[[model.price]]
per_million = { uncached_input = "4", text_output = "9" }
[[model]]
id = "model"
match = ["model-1"]
[[model.price]]
per_million = { uncached_input = "3", text_output = "7.000000000001" }
"#;

fn succeeded(ended: &Ended) {
    assert!(ended.status.success(), "{}", ended.output);
}

fn failed_with(ended: &Ended, reason: &str) {
    assert!(!ended.status.success() && ended.output.contains(reason), "{}", ended.output);
}

/// What an uninterrupted run makes of `rows` rows: the digest of the rows and of the history.
async fn expected(world: &World, rows: u64, prices: &str) -> (String, String) {
    world.insert_rows("whole", rows).await;
    let before = world.digest("whole").await;
    let ended = world.run("whole", &["--account", "whole", "--price-file", prices, "--yes"]).await;
    succeeded(&ended);
    let after = world.digest("whole").await;
    assert_ne!(before, after);
    (after, world.history("whole").await)
}

async fn values_tables(world: &World) -> String {
    world.text("SELECT toString(count()) FROM system.tables WHERE startsWith(name, 'reprice_values_')").await
}

#[tokio::test]
async fn reprice_changes_what_the_book_decides_once_and_keeps_what_was_before() {
    let world = World::start().await;
    let prices = world.price_file("mine.toml", MINE);
    let prices = prices.to_str().unwrap();
    world.insert_rows("a", 5_000).await;
    world.insert_rows("b", 500).await;
    let (before, other) = (world.digest("a").await, world.digest("b").await);
    let of_a = ["--account", "a", "--price-file", prices];
    let run = async |name: &str, more: &[&str]| world.run(name, &[&of_a[..], more].concat()).await;

    let dry = run("dry", &["--dry-run"]).await;
    succeeded(&dry);
    assert!(dry.output.contains("dry run: nothing was changed"), "{}", dry.output);
    failed_with(&run("unconfirmed", &[]).await, "it was not confirmed");
    assert_eq!(world.digest("a").await, before);
    assert_eq!(world.text("SELECT toString(count()) FROM reprice_runs").await, "0");

    let provided = "SELECT toString(sum(cost)) FROM logs WHERE cost_source = 'provided'";
    let provided_before = world.text(provided).await;
    succeeded(&run("first", &["--yes"]).await);
    let after = world.digest("a").await;
    assert_ne!(after, before);
    assert_eq!(world.digest("b").await, other, "other accounts are not touched");
    assert_eq!(world.text(provided).await, provided_before);
    // By hand, from the tokens: 3 and 7.000000000001 dollars per million.
    let wrong = "SELECT toString(countIf(cost != toDecimal128(tokens_in, 18) * 3 / 1000000 \
            + toDecimal128(tokens_out, 18) * toDecimal128('7.000000000001', 12) / 1000000)) FROM logs \
        WHERE account_id = 'a' AND cost_source = 'computed'";
    assert_eq!(world.text(wrong).await, "0");
    let sources = "SELECT arrayStringConcat(arraySort(groupUniqArray(concat(model, ' ', cost_source))), ', ') \
        FROM logs WHERE account_id = 'a' AND NOT cached AND cost_source != 'provided'";
    let expected_sources = "model-0 computed, model-1 computed, model-2 unpriced";
    assert_eq!(world.text(sources).await, expected_sources);

    // What the dry run showed is what was done.
    let table = |ended: &Ended| {
        let shown = ended.output.lines().skip_while(|line| !line.starts_with("model "));
        shown.take_while(|line| !line.contains("rows looked at")).collect::<Vec<_>>().join("\n")
    };
    let total = table(&dry).lines().last().unwrap().split_whitespace().nth(1).unwrap().to_owned();
    assert!(world.history("a").await.starts_with(&format!("{total} changes, 0 double")), "{}", table(&dry));

    // Again: no difference. With other prices: another revision, and the first is kept.
    let again = run("again", &["--yes"]).await;
    assert!(again.output.contains(", 0 differ"), "{}", again.output);
    assert_eq!(world.digest("a").await, after);
    let between = world.text("SELECT toUnixTimestamp64Milli(now64(3))").await;
    let sum_between = world.text("SELECT sum(cost) FROM logs").await;
    let later = world.price_file("later.toml", MINE_LATER);
    succeeded(
        &world.run("later", &["--price-file", later.to_str().unwrap(), "--yes", "--account", "a"]).await,
    );
    let revisions = "SELECT arrayStringConcat(arraySort(groupUniqArray(toString(cost_revision))), ' ') FROM logs \
        WHERE account_id = 'a'";
    assert_eq!(world.text(revisions).await, "0 1 2");
    let continuous = "SELECT toString(count()) FROM cost_revisions AS second INNER JOIN cost_revisions AS first \
        ON first.id = second.id AND first.revision = 1 AND second.revision = 2 \
        WHERE toString(first.new_cost) != toString(second.old_cost) OR first.new_price_id != second.old_price_id";
    assert_eq!(world.text(continuous).await, "0");
    // What was thought between the runs can be told after both.
    let thought = format!(
        "SELECT sum(if(later.id = '', logs.cost, later.cost)) FROM logs LEFT JOIN ( \
            SELECT toString(id) AS id, argMin(tuple(old_cost), revision).1 AS cost FROM cost_revisions \
            WHERE at > fromUnixTimestamp64Milli({between}) GROUP BY id \
         ) AS later ON later.id = toString(logs.id)"
    );
    assert_ne!(world.text("SELECT sum(cost) FROM logs").await, sum_between);
    assert_eq!(world.text(&thought).await, sum_between);
    assert_eq!(values_tables(&world).await, "0");
}

#[tokio::test]
async fn reprice_filters_take_hostile_text_as_text() {
    let world = World::start().await;
    let prices = world.price_file("mine.toml", MINE);
    let prices = prices.to_str().unwrap();
    world.insert_rows("a", 400).await;
    world.execute("ALTER TABLE logs UPDATE token = 'o\\'x\\\\ {a:String} ?' WHERE token = 'team-1' SETTINGS mutations_sync = 2").await;
    let before = world.digest("a").await;
    let ended = world.run("hostile", &["--token", "' OR 1 = 1 --", "--price-file", prices, "--yes"]).await;
    succeeded(&ended);
    assert!(ended.output.contains("0 rows looked at"), "{}", ended.output);
    assert_eq!(world.digest("a").await, before);
    let only =
        ["--token", "o'x\\ {a:String} ?", "--only-unpriced", "--provider", "mine", "--model", "model-0"];
    let ended = world.run("exact", &[&only[..], &["--price-file", prices, "--yes"]].concat()).await;
    succeeded(&ended);
    let touched = "SELECT arrayStringConcat(groupUniqArray(concat(token, '|', model, '|', old_cost_source)), ',') \
        FROM cost_revisions INNER JOIN logs USING (id)";
    assert_eq!(world.text(touched).await, "o'x\\ {a:String} ?|model-0|unpriced");
}

#[derive(Clone, Copy)]
enum Victim {
    Reprice,
    ClickHouse,
}

/// Kills with SIGKILL at any point, and runs it again, until it comes to its end. Gives how often.
async fn kill_until_done(world: &World, args: &[&str], victim: Victim) -> u64 {
    // Another course every time.
    let mut random = u64::try_from(now_ms()).unwrap();
    for attempt in 0..200_u64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let run = world.spawn(&format!("attempt-{attempt}"), args);
        // Longer with every attempt, so that there is an end.
        sleep(Duration::from_millis(30 + (random >> 33) % (400 + 200 * attempt))).await;
        if !run.is_running() && end_of(&run).await.status.success() {
            return attempt;
        }
        match victim {
            Victim::Reprice => run.kill_hard().unwrap(),
            Victim::ClickHouse => {
                world.clickhouse.service.kill_hard().unwrap();
                world.clickhouse.service.restart(LIMIT).await.unwrap();
                run.kill_hard().unwrap();
            }
        }
    }
    panic!("it never ends")
}

#[tokio::test]
async fn reprice_that_is_killed_at_any_point_ends_as_if_it_had_not_been() {
    const ROWS: u64 = 12_000;
    let world = World::start().await;
    let prices = world.price_file("mine.toml", MINE);
    let prices = prices.to_str().unwrap();
    let expected = expected(&world, ROWS, prices).await;
    world.insert_rows("killed", ROWS).await;
    // Rows come into the same partitions all the while.
    let inserting = async {
        for _ in 0.. {
            world.insert_rows("busy", 50).await;
            sleep(Duration::from_millis(100)).await;
        }
    };
    let args =
        ["--account", "killed", "--price-file", prices, "--yes", "--lease", "1", "--batch-rows", "1500"];
    let killed = tokio::select! {
        killed = kill_until_done(&world, &args, Victim::Reprice) => killed,
        () = inserting => unreachable!("it does not end"),
    };
    assert!(killed > 2, "killed only {killed} times");
    assert_eq!((world.digest("killed").await, world.history("killed").await), expected);
    assert_eq!(world.marked_minutes("killed").await, world.changed_minutes("killed").await);
    let rows = world.text("SELECT toString(count() % 50) FROM logs WHERE account_id = 'busy'").await;
    assert_eq!(rows, "0", "an insert is there whole, or not at all");
    let untouched = "SELECT toString(max(cost_revision)) FROM logs WHERE account_id = 'busy'";
    assert_eq!(world.text(untouched).await, "0");
    assert_eq!(values_tables(&world).await, "0");
    let states = "SELECT arrayStringConcat(groupUniqArray(state), ' ') FROM reprice_runs FINAL \
        WHERE state NOT IN ('claimed', 'withdrawn')";
    assert_eq!(world.text(states).await, "done");
}

#[tokio::test]
async fn reprice_ends_as_it_should_when_clickhouse_is_killed_under_it() {
    const ROWS: u64 = 12_000;
    let world = World::start().await;
    let prices = world.price_file("mine.toml", MINE);
    let prices = prices.to_str().unwrap();
    let expected = expected(&world, ROWS, prices).await;
    world.insert_rows("killed", ROWS).await;
    let args =
        ["--account", "killed", "--price-file", prices, "--yes", "--lease", "1", "--batch-rows", "1500"];
    let killed = kill_until_done(&world, &args, Victim::ClickHouse).await;
    assert!(killed > 1, "killed only {killed} times");
    assert_eq!((world.digest("killed").await, world.history("killed").await), expected);
    assert_eq!(values_tables(&world).await, "0");
}

#[tokio::test]
async fn reprice_refuses_to_run_beside_another_and_takes_over_from_one_that_is_silent() {
    const ROWS: u64 = 20_000;
    let world = World::start().await;
    let prices = world.price_file("mine.toml", MINE);
    let prices = prices.to_str().unwrap();
    let expected = expected(&world, ROWS, prices).await;
    world.insert_rows("one", ROWS).await;
    let args = ["--account", "one", "--price-file", prices, "--yes", "--batch-rows", "500", "--lease", "3"];
    let first = world.spawn("first", &args);
    let writing = "SELECT toString(count() > 0) FROM cost_revisions WHERE account_id = 'one'";
    eventually(LIMIT, "1".to_owned(), || world.text(writing)).await;
    failed_with(&world.run("second", &args).await, "is at work");
    assert!(first.is_running(), "{}", first.log_tail());

    first.suspend().unwrap();
    succeeded(&world.run("third", &args).await);
    let digests = (world.digest("one").await, world.history("one").await);
    first.resume().unwrap();
    failed_with(&end_of(&first).await, "reprice did not come to its end");
    assert_eq!((world.digest("one").await, world.history("one").await), digests);
    assert_eq!(digests, expected);
}

#[tokio::test]
async fn reprice_says_that_statistics_are_behind_while_nats_is_away_and_repairs_them_later() {
    let world = World::start().await;
    let prices = world.price_file("mine.toml", MINE);
    let prices = prices.to_str().unwrap();
    world.insert_rows("a", 3_000).await;
    world.nats.service.kill_hard().unwrap();
    let args = ["--account", "a", "--price-file", prices, "--yes", "--lease", "1"];
    failed_with(&world.run("without", &args).await, "statistics are not up to date");
    let after = world.digest("a").await;
    failed_with(&world.run("mark-without", &[&args[..2], &["--mark-dirty"]].concat()).await, "run it again");
    world.nats.service.restart(LIMIT).await.unwrap();

    let marked = world.run("mark", &[&args[..2], &["--mark-dirty"]].concat()).await;
    succeeded(&marked);
    let minutes = "SELECT toString(uniqExact(account_id, gateway_id, toStartOfMinute(created_at))) FROM logs";
    let minutes = world.text(minutes).await;
    assert!(marked.output.contains(&format!("{minutes} minutes marked")), "{}", marked.output);
    // Nothing differs any more, and even so what is left is done.
    let again = world.run("with", &args).await;
    succeeded(&again);
    assert!(
        again.output.contains(", 0 differ") && again.output.contains("an earlier run"),
        "{}",
        again.output
    );
    assert!(!again.output.contains(" 0 minutes marked"), "{}", again.output);
    assert_eq!(world.digest("a").await, after);
    let third = world.run("third", &args).await;
    assert!(!third.output.contains("an earlier run"), "{}", third.output);
}

/// Everything of the rows but when, and by which write, they were stored and how often they were priced.
const ROWS: &str =
    "SELECT * EXCEPT (ingested_at, write_id, cost_revision) FROM logs ORDER BY id FORMAT JSONEachRow";
const ROLLUPS: &str = "SELECT * EXCEPT (version) FROM usage_1m FINAL WHERE requests > 0 ORDER BY ALL";
const RIGHT: &str = r#"
provider = "azure-openai"
[[model]]
id = "right"
match = ["gpt-4o-2024-05-13", "new-model"]
[[model.price]]
per_million = { uncached_input = "5", text_output = "15.000000000001" }
"#;
/// Another price, no price for one model, and one for a model that has none.
const WRONG: &str = r#"
provider = "azure-openai"
[[model]]
id = "wrong"
match = ["gpt-4o-2024-05-13", "ghost-model"]
[[model.price]]
per_million = { uncached_input = "50", text_output = "1" }
"#;

async fn system_with(dir: &TempDir, name: &str, prices: &str) -> System {
    let file = write_file(dir.path(), name, prices).to_str().unwrap().to_owned();
    System::start_with(|_| vec![("WEIR_INGEST_PRICE_FILES", file)]).await
}

/// Live windows without the time that they end at; `None` while they are not complete.
async fn live(system: &System) -> Option<Value> {
    let mut live = system.live().await.filter(|live| live["complete"] == Value::Bool(true))?;
    for time in ["as_of", "complete_through"] {
        live[time].take();
    }
    Some(live)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reprice_makes_a_system_equal_to_one_that_had_the_right_prices_from_the_start() {
    let dir = TempDir::new().unwrap();
    let (right, wrong) =
        tokio::join!(system_with(&dir, "right.toml", RIGHT), system_with(&dir, "wrong.toml", WRONG));
    let now = now_ms();
    let lines: Vec<_> = (0..600_u64)
        .map(|number| {
            let age_ms = match number % 3 {
                0 => 120_000 + i64::try_from(number).unwrap() * 1_000,
                1 => i64::try_from(number).unwrap() * 130_000,
                _ => i64::try_from(number).unwrap() * 3_600_000,
            };
            let model = match number % 4 {
                0 => "gpt-4o-2024-05-13",
                1 => "new-model",
                2 => "ghost-model",
                _ => "gpt-4o-2024-08-06",
            };
            record(number, now - age_ms).replace("gpt-4o-2024-05-13", model)
        })
        .collect();
    let lines = lines.join("\n");
    for system in [&right, &wrong] {
        let answer = system.push(&lines).await;
        assert_eq!(answer.json()["stored"], 600, "{}", answer.text);
    }
    let (rows, rollups) = (right.sql(ROWS).await, {
        let written = "SELECT sum(requests) FROM usage_1m FINAL";
        for system in [&right, &wrong] {
            eventually(LIMIT, "600".to_owned(), || system.sql(written)).await;
        }
        right.sql(ROLLUPS).await
    });
    assert_ne!(wrong.sql(ROWS).await, rows);
    assert_ne!(wrong.sql(ROLLUPS).await, rollups);
    eventually(LIMIT, true, || async { live(&right).await.is_some() && live(&wrong).await.is_some() }).await;
    assert_ne!(live(&wrong).await, live(&right).await);

    let (before, prices) = (wrong.sql(ROWS).await, dir.path().join("right.toml"));
    let reprice = async |name: &str, args: &[&str]| {
        let args = [&["--price-file", prices.to_str().unwrap()], args].concat();
        let (clickhouse, nats) = (&wrong.weir.clickhouse, &wrong.weir.nats);
        let ended = end_of(&spawn_reprice(clickhouse, nats, dir.path(), name, &args)).await;
        succeeded(&ended);
        ended.output
    };
    let dry = reprice("dry", &["--dry-run"]).await;
    assert!(dry.contains("600 rows looked at, 450 differ"), "{dry}");
    assert_eq!(wrong.sql(ROWS).await, before);
    let written = reprice("write", &["--yes"]).await;
    assert!(written.contains("450 rows changed"), "{written}");

    // The 150 rows that cost the same by both books keep the edition that they have.
    let edition = "SELECT price_book FROM logs WHERE model = 'new-model' LIMIT 1";
    let (right_edition, same) =
        (right.sql(edition).await, "WHERE cost_revision = 0 AND cost_source = 'computed'");
    assert_eq!(wrong.sql(edition).await, right_edition);
    assert_eq!(wrong.sql(&format!("SELECT count() FROM logs {same}")).await, "150");
    let without_edition = |rows: &str, edition: &str| {
        rows.replace(&format!("\"price_book\":\"{edition}\""), "\"price_book\":\"\"")
    };
    let wrong_edition = wrong.sql(&format!("SELECT DISTINCT price_book FROM logs {same}")).await;
    let found = without_edition(&wrong.sql(ROWS).await, &wrong_edition);
    assert_eq!(without_edition(&found, &right_edition), without_edition(&rows, &right_edition));
    eventually(LIMIT, rollups, || wrong.sql(ROLLUPS)).await;
    eventually(LIMIT, true, || async {
        let (found, expected) = (live(&wrong).await, live(&right).await);
        found.is_some() && found == expected
    })
    .await;
    let again = reprice("again", &["--yes"]).await;
    assert!(again.contains("600 rows looked at, 0 differ"), "{again}");
}
