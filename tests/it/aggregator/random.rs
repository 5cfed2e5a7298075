//! Rows that come, come late, come twice, are priced anew and go, at random, while the aggregator is killed: in the end both
//! rollups are what the rows that are left come to.

use super::quarters::{insert_rows, rollups_come_to_equal_the_logs};
use super::world::World;

const STEPS: u32 = 40;
const MINUTES: &str = "SELECT DISTINCT gateway_id, toInt64(toUnixTimestamp(created_at)) FROM logs WHERE";

/// Some of the rows.
fn choice(rng: &mut fastrand::Rng) -> String {
    match rng.u8(0..4) {
        0 => format!("model = 'model-{}' AND user_id = '{}'", rng.u8(0..3), rng.u8(0..7)),
        1 => format!("toDayOfMonth(created_at) = {}", rng.u8(19..=21)),
        2 => format!("sipHash64(id) % {} = 0", rng.u8(2..9)),
        _ => format!(
            "toStartOfMinute(created_at) = (SELECT toStartOfMinute(created_at) FROM logs ORDER BY sipHash64(id, {}) LIMIT 1)",
            rng.u8(..)
        ),
    }
}

/// A time within three days, of which a few quarters of an hour are more likely than others.
fn time(rng: &mut fastrand::Rng) -> String {
    let hour = if rng.bool() { 10 } else { rng.u8(0..24) };
    format!("2026-11-{} {hour:02}:{:02}:00", rng.u8(19..=21), rng.u8(0..60))
}

/// Does something to the rows, and tells of it.
async fn step(world: &World, rng: &mut fastrand::Rng, salt: u32) {
    let known = rng.u32(0..=salt);
    let chosen = choice(rng);
    let changed = match rng.u8(0..10) {
        // Twice, it is what two writers that raced leave.
        0 | 1 => {
            insert_rows(world, (&time(&mut fastrand::Rng::with_seed(known.into())), 7_000), 60, known).await;
            return world.tell_of(&format!("{MINUTES} true")).await;
        }
        2 => "DELETE FROM logs WHERE (id, ingested_at) NOT IN (SELECT id, max(ingested_at) FROM logs GROUP BY id)"
            .to_owned(),
        3 | 4 => format!("DELETE FROM logs WHERE {chosen}"),
        5 | 6 => format!(
            "ALTER TABLE logs UPDATE cost = if(cost IS NULL, toDecimal128(1, 18) / 7, NULL), quota = 3 WHERE {chosen} \
             SETTINGS mutations_sync = 2"
        ),
        7 => {
            world.first.service.kill_hard().unwrap();
            return world.restart().await;
        }
        _ => {
            let (apart_ms, rows) = (rng.u32(1..200_000), rng.u32(1..300));
            insert_rows(world, (&time(rng), apart_ms), rows, salt).await;
            return world.tell_of(&format!("{MINUTES} true")).await;
        }
    };
    let minutes = world.minutes_of(&format!("{MINUTES} true")).await;
    world.execute(&changed).await;
    world.tell(&minutes).await;
}

#[tokio::test]
async fn rollups_equal_the_logs_whatever_becomes_of_rows() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let world = World::start(&[]).await;
    for salt in 0..STEPS {
        step(&world, &mut rng, salt).await;
        if rng.u8(0..4) == 0 {
            rollups_come_to_equal_the_logs(&world).await;
        }
    }
    rollups_come_to_equal_the_logs(&world).await;
    let verify = ["verify", "--from", "2026-11-01", "--to", "2026-12-01", "--settle", "1s"];
    let (code, text) = world.audit(&verify).await;
    assert_eq!(code, 0, "{text}");
}
