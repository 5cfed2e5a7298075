//! `aggregator verify` and `aggregator rebuild`: what is not what its rows come to is found and mended, and what is being
//! written is not taken for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::quarters::{insert_rows, rollups_come_to_equal_the_logs, tell_of_all};
use super::world::{LIMIT, World, entries};

const OF_YEAR: [&str; 4] = ["--from", "2026-01-01", "--to", "2027-01-01"];

async fn verify(world: &World, args: &[&str]) -> (i32, String) {
    world.audit(&[&["verify", "--settle", "1s"], args].concat()).await
}

async fn world_with_rows() -> World {
    let world = World::start(&[]).await;
    insert_rows(&world, ("2026-11-20 10:00:00", 60_000), 600, 1).await;
    tell_of_all(&world).await;
    rollups_come_to_equal_the_logs(&world).await;
    world
}

#[tokio::test]
async fn what_was_changed_by_hand_is_found_and_mended() {
    let world = world_with_rows().await;
    let (code, text) = verify(&world, &OF_YEAR).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("usage_1m: ") && text.contains("0 groups differ"), "{text}");

    // A figure, by the smallest amount there is, in a row that no clock outdoes; a group that is gone; one that never was.
    for statement in [
        "INSERT INTO usage_1m SELECT * REPLACE (cost + toDecimal128('0.000000000000000001', 18) AS cost, \
            toUInt64(9e18) AS version) FROM usage_1m FINAL WHERE requests > 0 ORDER BY minute, token, gateway_id LIMIT 1",
        "DELETE FROM usage_1m WHERE (minute, token) IN (SELECT minute, token FROM usage_1m WHERE requests > 0 \
            ORDER BY minute DESC, token LIMIT 1)",
        "INSERT INTO usage_15m (account_id, gateway_id, slot, user_id, requests, version) \
            VALUES ('other', 'gw', '2026-03-01 00:15:00', 'mallory', 3, 1)",
    ] {
        world.execute(statement).await;
    }
    let (code, text) = verify(&world, &[&OF_YEAR[..], &["--json"]].concat()).await;
    assert_eq!(code, 1, "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |table: &str| lines.iter().filter(|line| line["table"] == table).collect::<Vec<_>>();
    let [cost, requests, sum] = of("usage_1m")[..] else { panic!("{text}") };
    let figure = |line: &Value, name: &str| {
        let figure = &line["figures"][name];
        (figure["logs"].as_str().unwrap().to_owned(), figure["rollup"].as_str().unwrap().to_owned())
    };
    let (logs, rollup) = figure(cost, "cost");
    assert!(rollup.ends_with("000000001") && !logs.ends_with("000000001"), "{text}");
    assert_eq!(cost["figures"].as_object().unwrap().len(), 1, "{text}");
    assert_eq!(figure(requests, "requests"), ("1".to_owned(), "0".to_owned()));
    assert_eq!((&sum["differing"], &sum["being_written"]), (&Value::from(2), &Value::from(0)));
    let [phantom, _] = of("usage_15m")[..] else { panic!("{text}") };
    assert_eq!(figure(phantom, "requests"), ("0".to_owned(), "3".to_owned()));
    assert_eq!(phantom["window"], "2026-03-01T00:15:00.000Z");

    // What is not asked for is not looked at.
    assert_eq!(verify(&world, &[&OF_YEAR[..], &["--account", "nobody"]].concat()).await.0, 0);
    let (code, text) =
        verify(&world, &[&OF_YEAR[..], &["--table", "usage_15m", "--limit", "0"]].concat()).await;
    assert_eq!((code, text.lines().count()), (1, 1), "{text}");
    assert!(text.contains("1 groups differ (0 shown)"), "{text}");

    let rebuild = [&["rebuild"][..], &OF_YEAR].concat();
    let (code, text) = world.audit(&[&rebuild[..], &["--account", "acc"]].concat()).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("usage_1m: ") && text.contains(" rows, 2 groups differed, 0 do now"), "{text}");
    assert_eq!(verify(&world, &OF_YEAR).await.0, 1, "another account's row is as it was");
    assert_eq!(world.audit(&rebuild).await.0, 0);
    assert_eq!(verify(&world, &OF_YEAR).await.0, 0);
    let (code, text) = world.audit(&rebuild).await;
    assert_eq!((code, text.matches(" 0 groups differed, 0 do now").count()), (0, 3), "{text}");
    rollups_come_to_equal_the_logs(&world).await;
}

#[tokio::test]
async fn what_is_being_written_is_not_taken_for_a_difference() {
    let world = World::start(&[]).await;
    world.deliver(&entries(500, 10, world.now_ms().await)).await;
    let stop = AtomicBool::new(false);
    let write = async {
        let mut seed = 0;
        while !stop.load(Ordering::SeqCst) {
            world.deliver(&entries(seed, 10, world.now_ms().await)).await;
            seed += 1_000;
        }
    };
    let look = async {
        // A look may come between two writes, when there is nothing to be seen of them.
        let begun = Instant::now();
        loop {
            let (code, text) = world.audit(&[&["verify", "--settle", "30s"][..], &OF_YEAR].concat()).await;
            assert_eq!(code, 0, "{text}");
            if text.contains("are being written and were left out") {
                break;
            }
            assert!(begun.elapsed() < LIMIT, "{text}");
        }
        stop.store(true, Ordering::SeqCst);
    };
    tokio::join!(write, look);
    world.wait_until_acknowledged().await;
    rollups_come_to_equal_the_logs(&world).await;
    let (code, text) = verify(&world, &OF_YEAR).await;
    assert_eq!((code, text.matches(" 0 groups differ").count()), (0, 3), "{text}");
}

#[tokio::test]
async fn what_was_lost_is_rebuilt_beside_an_aggregator_that_is_killed() {
    let world = world_with_rows().await;
    world.execute("TRUNCATE TABLE usage_1m").await;
    world.execute("TRUNCATE TABLE usage_15m").await;
    world.execute("TRUNCATE TABLE usage_15m_by_model").await;
    let args = [&["rebuild"][..], &OF_YEAR].concat();
    let rebuild = async {
        let (code, text) = world.audit(&args).await;
        assert_eq!(code, 0, "{text}");
    };
    let kill = async {
        for _ in 0..3 {
            world.first.service.kill_hard().unwrap();
            world.restart().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::join!(rebuild, kill);
    rollups_come_to_equal_the_logs(&world).await;
}

#[tokio::test]
async fn who_cannot_look_says_so() {
    let world = World::start(&[]).await;
    let (code, text) = verify(&world, &["--from", "2026-01-02", "--to", "2026-01-01"]).await;
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("--to is not after --from"), "{text}");
    for name in ["usage_15m", "usage_15m_by_model", "logs"] {
        world.execute(&format!("RENAME TABLE {name} TO elsewhere")).await;
        let (code, text) = verify(&world, &OF_YEAR).await;
        assert_eq!(code, 2, "{text}");
        assert_eq!(world.audit(&[&["rebuild"][..], &OF_YEAR].concat()).await.0, 2);
        world.execute(&format!("RENAME TABLE elsewhere TO {name}")).await;
    }
    world.clickhouse.service.kill_hard().unwrap();
    assert_eq!(verify(&world, &OF_YEAR).await.0, 2);
    assert_eq!(verify(&world, &["--from", "2026-01-02"]).await.0, 2, "what is asked for is not whole");
}
