//! What is asked of the live windows, and what is answered where there are more series than places.

use weir_event::bus::{LiveRequest, LiveSnapshot, UsageEntry};
use weir_event::{Dimension, Scope, Timestamp};

use super::expected;
use super::world::{LIMIT, World, entries, entry, scope};

async fn ask(world: &World, scope: &Scope, filter: &str, group_by: &[Dimension]) -> LiveSnapshot {
    let request = LiveRequest {
        scope: scope.clone(),
        filter: filter.to_owned(),
        group_by: group_by.to_vec(),
        top: None,
    };
    let answer = world.ask(serde_json::to_vec(&request).unwrap()).await;
    serde_json::from_slice(&answer.payload).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

/// The row of all of a gateway's events together.
fn total(all: &[UsageEntry], scope: &Scope, as_of: Timestamp) -> LiveSnapshot {
    let mut snapshot = expected::snapshot(all, scope, as_of);
    for row in &mut snapshot.rows {
        (row.token, row.model) = (None, None);
    }
    LiveSnapshot::merge([snapshot]).unwrap()
}

async fn wait_for_total(world: &World, all: &[UsageEntry], scope: &Scope) {
    let as_expected = async || {
        let live = ask(world, scope, "", &[]).await;
        live.complete && live.rows == total(all, scope, live.as_of).rows
    };
    harness::eventually(LIMIT, true, as_expected).await;
}

#[tokio::test]
async fn aggregator_keeps_the_totals_of_more_series_than_there_are_places() {
    let world = World::start(&["--aggregator-keys-max", "4"]).await;
    let mut all = entries(0, 300, world.now_ms().await);
    let scope = scope("gw-a");
    world.deliver(&all).await;
    wait_for_total(&world, &all, &scope).await;
    let check = async |all: &[UsageEntry]| {
        let live = ask(&world, &scope, "", Dimension::ALL).await;
        assert!(live.complete && live.rows.len() <= 5, "{live:?}");
        let rests: Vec<_> = live.rows.iter().filter(|row| row.rest).collect();
        assert_eq!(rests.len(), 1);
        assert!(rests[0].exact_since.is_some());
        let requests: u64 = live.rows.iter().map(|row| row.windows[3].requests).sum();
        assert_eq!(requests, total(all, &scope, live.as_of).rows[0].windows[3].requests);
    };
    check(&all).await;
    // What is read back of the past goes the same way.
    world.first.service.kill_hard().unwrap();
    let more = entries(1_000, 100, world.now_ms().await);
    world.deliver(&more).await;
    all.extend(more);
    world.restart().await;
    wait_for_total(&world, &all, &scope).await;
    check(&all).await;
}

#[tokio::test]
async fn aggregator_gives_places_to_the_heaviest_of_the_past() {
    // Two for each shard, and all is of one.
    let world = World::start(&["--aggregator-keys-max", "32"]).await;
    let (scope, now_ms) = (scope("gw-a"), world.now_ms().await);
    let calls = |model: &str, seed: u32, count: u32| -> Vec<UsageEntry> {
        let call = |seed| {
            let of_all = entry(0, now_ms - i64::from(seed) * 500);
            let id = entry(seed, now_ms).id;
            UsageEntry { id, model: model.to_owned(), token: "team-a".to_owned(), ..of_all }
        };
        (seed..seed + count).map(call).collect()
    };
    let light = (0..30).flat_map(|n| calls(&format!("light-{n}"), n * 10, 2));
    let heavy = [("heavy-a", 1_000, 5), ("heavy-b", 2_000, 7)];
    let all: Vec<_> =
        light.chain(heavy.iter().flat_map(|(model, seed, count)| calls(model, *seed, *count))).collect();
    world.commit(&all).await;
    world.restart().await;
    let places = async || {
        let live = ask(&world, &scope, "", Dimension::ALL).await;
        let kept = live.rows.iter().filter(|row| !row.rest && row.exact_since.is_none());
        kept.map(|row| (row.model.clone().unwrap(), row.windows[3].requests)).collect::<Vec<_>>()
    };
    let expected = [("heavy-a".to_owned(), 5), ("heavy-b".to_owned(), 7)];
    assert_eq!(places().await, expected);
    wait_for_total(&world, &all, &scope).await;
    // Whose rows are read again keep their places.
    world.publish_dirty(&all).await;
    let is_read_again = async || world.metric("weir_aggregator_rereads_total").await > 0;
    harness::eventually(LIMIT, true, is_read_again).await;
    wait_for_total(&world, &all, &scope).await;
    assert_eq!(places().await, expected);
}

#[tokio::test]
async fn aggregator_answers_by_filter_and_by_what_is_asked_for() {
    let world = World::start(&[]).await;
    let scope = scope("gw-b");
    let now_ms = world.now_ms().await;
    let all = entries(0, 200, now_ms);
    world.deliver(&all).await;
    wait_for_total(&world, &all, &scope).await;
    let live = ask(&world, &scope, r#"token = "team-a" and model != "model-1""#, &[Dimension::User]).await;
    // By the users' names as if they were the tokens'.
    let is_meant = |entry: &&UsageEntry| entry.token == "team-a" && entry.model != "model-1";
    let by_user = |entry: &UsageEntry| {
        let nothing = String::new();
        UsageEntry { token: entry.user.clone(), model: nothing, ..entry.clone() }
    };
    let meant: Vec<_> = all.iter().filter(is_meant).map(by_user).collect();
    let mut expected = expected::snapshot(&meant, &scope, live.as_of);
    for row in &mut expected.rows {
        (row.user, row.token, row.model) = (row.token.take(), None, None);
    }
    assert!(!expected.rows.is_empty());
    assert_eq!(live.rows, expected.rows);
    assert!(live.late > 0);
    // A shard that nothing comes for is looked at now and then.
    let is_announced = async || {
        let through = ask(&world, &scope, "", &[]).await.complete_through;
        through.is_some_and(|through| through.millis() >= now_ms)
    };
    harness::eventually(LIMIT, true, is_announced).await;

    let request = LiveRequest { scope, filter: "cost > 1".to_owned(), group_by: Vec::new(), top: None };
    let refusal = world.ask(serde_json::to_vec(&request).unwrap()).await.headers.unwrap();
    let reason = refusal.get("Nats-Service-Error").unwrap().as_str();
    assert!(reason.starts_with("filter asks for cost"), "{reason}");
}
