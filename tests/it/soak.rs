//! Everything that can break breaks, at random, while events come in; in the end each one that was promised is there
//! exactly once, with its bodies as they were, the ledger balances, and new events pass.
//!
//! `WEIR_SOAK_SECONDS` says for how long (some seconds by default: `make soak` runs it for longer) and `WEIR_SOAK_SEED`
//! repeats the faults of an earlier run; when exactly they hit is still up to the machine.

mod faults;
mod records;
mod senders;
mod way;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness::traffic::now_ms;
use harness::{eventually, run_audit, spooled};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use weir_event::Timestamp;
use weir_local::Weir;

use self::records::Record;
use self::senders::{Counts, Obligations, Producer, Pusher};
use self::world::World;

const SECONDS: u64 = 20;
const PUSHERS: u64 = 3;
/// How long the last pushes, and what follows from them, may take once everything works again.
const LIMIT: Duration = Duration::from_mins(3);

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}: {text}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promise_is_kept_whatever_breaks() {
    let seed = variable("WEIR_SOAK_SEED").unwrap_or_else(|| fastrand::u64(..));
    let seconds = variable("WEIR_SOAK_SECONDS").unwrap_or(SECONDS);
    println!("WEIR_SOAK_SEED={seed} for {seconds} s");
    let mut rng = fastrand::Rng::with_seed(seed);
    let world = Arc::new(World::start().await);
    let (counts, stop) = (Arc::<Counts>::default(), Arc::<AtomicBool>::default());
    let mut senders: Vec<_> = (1..=PUSHERS)
        .map(|pusher| Pusher {
            world: Arc::clone(&world),
            counts: Arc::clone(&counts),
            stop: Arc::clone(&stop),
            rng: rng.fork(),
            next: pusher << 40,
        })
        .map(|pusher| tokio::spawn(pusher.run()))
        .collect();
    if let Some(kafka) = &world.kafka {
        let client = Producer::client(&kafka.brokers);
        let (counts, stop, rng) = (Arc::clone(&counts), Arc::clone(&stop), rng.fork());
        senders.push(tokio::spawn(Producer { client, counts, stop, rng, next: 1 << 60 }.run()));
    }
    let end = Instant::now() + Duration::from_secs(seconds);
    let faults = faults::inject(&world, &mut rng, end).await;
    faults::mend_all(&world).await;
    stop.store(true, Ordering::SeqCst);
    let mut obligations = Obligations::new();
    for sender in senders {
        let sender = tokio::time::timeout(LIMIT, sender).await.expect("what is sent last gets through");
        obligations.extend(sender.unwrap());
    }
    println!("{} events promised, {faults} faults, {counts:?}, seed {seed}", obligations.len());
    check(&world, &counts, obligations).await;
}

async fn check(world: &World, counts: &Counts, mut obligations: Obligations) {
    let system = &world.system;
    rows_are(world, &obligations).await;
    let letters = counts.broken_lines.load(Ordering::SeqCst).to_string();
    eventually(LIMIT, letters, || system.sql("SELECT uniqExact(digest) FROM dead_letters")).await;
    let fresh = Record { number: 1, ended_at: now_ms() };
    assert_eq!(system.push(&fresh.line()).await.json()["stored"], 1, "a fresh event passes");
    obligations.insert(fresh.number, fresh.ended_at);
    rows_are(world, &obligations).await;
    ledger_balances(world).await;
    eventually(LIMIT, 0, || spooled(&system.weir.nats)).await;
    rollups_equal_rows(world).await;
    windows_equal_rows(world).await;
}

/// Every obligation is there once, and nothing else.
async fn rows_are(world: &World, obligations: &Obligations) {
    let system = &world.system;
    let expected = format!("{0}\t{0}", obligations.len());
    eventually(LIMIT, expected, || system.sql("SELECT count(), uniqExact(id) FROM logs")).await;
    let rows = system
        .sql(
            "SELECT ray_id, lower(hex(SHA256(assumeNotNull(request)))), lower(hex(SHA256(assumeNotNull(response)))) \
             FROM logs LEFT JOIN ( \
                SELECT account_id, gateway_id, id, request, response FROM bodies \
                ORDER BY version DESC LIMIT 1 BY account_id, gateway_id, id \
             ) AS bodies USING (account_id, gateway_id, id)",
        )
        .await;
    let found: BTreeMap<&str, &str> = rows.lines().map(|row| row.split_once('\t').unwrap()).collect();
    assert_eq!(found.len(), obligations.len());
    for (&number, &ended_at) in obligations {
        let record = Record { number, ended_at };
        let (request, answer) = record.bodies();
        let digest = |text: &str| hex::encode(Sha256::digest(text));
        let expected = format!("{}\t{}", digest(&request), digest(&answer));
        let ray = record.ray();
        assert_eq!(found.get(ray.as_str()), Some(&expected.as_str()), "the bodies of {ray}");
    }
}

/// In every entry of the ledger the parts make up the whole, and what it says was stored is there. A process that was
/// killed between its rows and their entry leaves that to the next look at the tables, minutes later: such rows are
/// counted here as what they are, rows of a write without an entry.
async fn ledger_balances(world: &World) {
    const UNBALANCED: &str = "SELECT count() FROM ledger FINAL WHERE received != stored + duplicates + dead_lettered + ignored + deleted";
    const ENTERED: &str = "SELECT (SELECT sum(stored) FROM ledger FINAL WHERE write_id IN (SELECT write_id FROM ledger WHERE subject = '')) \
         + (SELECT count() FROM logs WHERE write_id NOT IN (SELECT write_id FROM ledger WHERE subject = ''))";
    let system = &world.system;
    assert_eq!(system.sql(UNBALANCED).await, "0");
    let rows = system.sql("SELECT count() FROM logs").await;
    eventually(LIMIT, rows, || system.sql(ENTERED)).await;
}

/// What the aggregators say together of the last day, which has all rows, is what the rows say.
async fn windows_equal_rows(world: &World) {
    const ROWS: &str = "SELECT token, model, count(), sum(tokens_in), sum(tokens_out) FROM logs \
        GROUP BY ALL ORDER BY ALL";
    let as_text = |live: &Value| -> Option<String> {
        let row = |row: &Value| {
            let day = row["windows"].as_array()?.iter().find(|window| window["window_s"] == 86_400)?;
            let figure = |name: &str| day[name].as_u64();
            let names = [&row["token"], &row["model"]].map(|name| name.as_str().unwrap_or_default());
            let (count, tokens_in, tokens_out) =
                (figure("requests")?, figure("tokens_in")?, figure("tokens_out")?);
            Some(format!("{}\t{}\t{count}\t{tokens_in}\t{tokens_out}", names[0], names[1]))
        };
        let rows: Option<Vec<String>> = live["rows"].as_array()?.iter().map(row).collect();
        (live["complete"] == Value::Bool(true)).then_some(rows)?.map(|rows| rows.join("\n"))
    };
    let rows = world.system.sql(ROWS).await;
    let live = || async { world.system.live().await.as_ref().and_then(as_text) };
    eventually(LIMIT, Some(rows), live).await;
}

/// Whatever became of the word of a row, by itself the minute that it is of comes to what its rows do.
async fn rollups_equal_rows(world: &World) {
    const ROWS: &str = "SELECT toStartOfMinute(created_at) AS minute, provider, model, token, count(), sum(tokens_in), \
        sum(cost) FROM logs GROUP BY ALL ORDER BY ALL";
    const ROLLUPS: &str = "SELECT minute, provider, model, token, requests, tokens_in, cost FROM usage_1m FINAL \
        WHERE requests > 0 ORDER BY ALL";
    let rows = world.system.sql(ROWS).await;
    eventually(LIMIT, rows, || world.system.sql(ROLLUPS)).await;
    let Weir { clickhouse, nats, .. } = &world.system.weir;
    let at = |hours: i64| Timestamp::from_millis(now_ms() + hours * 3_600_000).unwrap().to_string();
    let verify = ["verify", "--from", &at(-24), "--to", &at(24)];
    let (code, text) = run_audit(clickhouse, nats, &verify).await;
    assert_eq!(code, 0, "{text}");
}
