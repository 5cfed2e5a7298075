//! A directory over a table that a test changes, in a time that only moves when nobody has anything to do.

use std::future::pending;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;
use weir_service::clock::ManualClock;

use super::*;
use crate::auth::{Access, Credential, KnownToken, NewToken, Principal, Reach};

const CURRENCY: Currency = Currency { refresh: Duration::from_secs(2), grace: Duration::from_mins(5) };

/// What a read of the table comes to.
#[derive(Clone)]
enum Table {
    Has(Vec<KnownToken>),
    Unchanged,
    Fails,
    Hangs,
}

struct World {
    directory: Directory<KnownToken>,
    table: Arc<Mutex<Table>>,
    reads: Arc<AtomicUsize>,
    clock: ManualClock,
    shutdown: Shutdown,
}

impl World {
    /// With a directory that has been read once.
    async fn with(table: Table) -> Self {
        let clock = ManualClock::at(1_000);
        let (directory, keeper) = Directory::new(CURRENCY, Arc::new(clock.clone()));
        let (table, reads, shutdown) = (Arc::new(Mutex::new(table)), Arc::default(), Shutdown::new());
        let world = Self { directory, table, reads, clock, shutdown };
        let (table, reads) = (Arc::clone(&world.table), Arc::clone(&world.reads));
        let read = async move || {
            reads.fetch_add(1, Ordering::SeqCst);
            let table = table.lock().unwrap().clone();
            match table {
                Table::Has(tokens) => Ok(Some(tokens)),
                Table::Unchanged => Ok(None),
                Table::Fails => Err("clickhouse is unavailable"),
                Table::Hangs => pending().await,
            }
        };
        tokio::spawn(keeper.keep(read, world.shutdown.clone()));
        // The keeper is at rest.
        sleep(DISTANCE * 2).await;
        world
    }

    fn set(&self, table: Table) {
        *self.table.lock().unwrap() = table;
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    async fn find(&self, token: &NewToken) -> Result<Principal, AuthError> {
        // Nothing here takes any time, and a read that began at this very moment would do.
        sleep(Duration::from_millis(1)).await;
        self.directory.principal_of(Credential::Bearer { token: token.expose() }).await
    }
}

fn token(number: u8) -> NewToken {
    NewToken::from_random([number; 32])
}

fn principal() -> Principal {
    Principal::new("id", Access::Read, Reach::All)
}

fn known(number: u8) -> KnownToken {
    KnownToken { digest: token(number).digest(), email: None, expires_at_ms: None, principal: principal() }
}

#[tokio::test(start_paused = true)]
async fn a_known_token_costs_no_read_and_a_new_one_is_found_at_once() {
    let world = World::with(Table::Has(vec![known(1)])).await;
    assert_eq!(world.find(&token(1)).await, Ok(principal()));
    assert_eq!(world.reads(), 1);
    world.set(Table::Has(vec![known(1), known(2)]));
    assert_eq!(world.find(&token(2)).await, Ok(principal()));
    assert_eq!(world.reads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_strangers_wait_for_one_read() {
    let world = World::with(Table::Has(vec![known(1)])).await;
    let mut strangers = JoinSet::new();
    for _ in 0..1_000 {
        let directory = world.directory.clone();
        strangers.spawn(async move {
            directory.principal_of(Credential::Bearer { token: token(9).expose() }).await
        });
    }
    let answers = strangers.join_all().await;
    assert!(answers.iter().all(|answer| *answer == Err(AuthError::Unknown)));
    assert_eq!(world.reads(), 2);
    // Nor does it help to come one after another.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(10) {
        assert_eq!(world.find(&token(9)).await, Err(AuthError::Unknown));
    }
    assert!(world.reads() <= 2 + 51, "{}", world.reads());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_a_token_is_not_looked_up() {
    let world = World::with(Table::Fails).await;
    let reads = world.reads();
    for text in ["", "weir_", "right", "weir_%00", &"x".repeat(100_000)] {
        let found = world.directory.principal_of(Credential::Bearer { token: text }).await;
        assert_eq!(found, Err(AuthError::Unknown), "{text}");
    }
    assert_eq!(world.reads(), reads);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_token_is_unknown_within_a_refresh() {
    let world = World::with(Table::Has(vec![known(1)])).await;
    world.set(Table::Has(Vec::new()));
    sleep(CURRENCY.refresh).await;
    assert_eq!(world.find(&token(1)).await, Err(AuthError::Unknown));
}

#[tokio::test(start_paused = true)]
async fn what_has_not_changed_is_as_current_as_what_was_read_anew() {
    let world = World::with(Table::Has(vec![known(1)])).await;
    world.set(Table::Unchanged);
    sleep(CURRENCY.grace * 2).await;
    assert_eq!(world.find(&token(1)).await, Ok(principal()));
    assert_eq!(world.find(&token(9)).await, Err(AuthError::Unknown));
    world.set(Table::Fails);
    assert_eq!(world.find(&token(1)).await, Ok(principal()));
    assert_eq!(world.find(&token(9)).await, Err(AuthError::Unavailable));
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_and_one_with_a_wrong_address_take_the_way_of_strangers() {
    let with_end = KnownToken { expires_at_ms: Some(2_000), email: Some("a@b".to_owned()), ..known(1) };
    let world = World::with(Table::Has(vec![with_end])).await;
    assert_eq!(world.find(&token(1)).await, Ok(principal()));
    let took = async |sent: Credential<'_>| {
        let begun = Instant::now();
        assert_eq!(world.directory.principal_of(sent).await, Err(AuthError::Unknown));
        // So that each finds the keeper at rest.
        sleep(DISTANCE * 2).await;
        begun.elapsed()
    };
    let (own, other) = (token(1), token(9));
    let wrong_address = took(Credential::Key { email: "a@c", key: own.expose() }).await;
    world.clock.set(2_000);
    let expired = took(Credential::Bearer { token: own.expose() }).await;
    let stranger = took(Credential::Bearer { token: other.expose() }).await;
    assert_eq!((expired, wrong_address), (stranger, stranger));
}

#[tokio::test(start_paused = true)]
async fn who_is_told_no_more_than_a_stranger_is_told_as_late() {
    let world = World::with(Table::Has(vec![known(1)])).await;
    let begun = Instant::now();
    assert_eq!(world.find(&token(9)).await, Err(AuthError::Unknown));
    let stranger = begun.elapsed();
    for trouble in [Table::Unchanged, Table::Fails] {
        world.set(trouble);
        sleep(DISTANCE * 2).await;
        let begun = Instant::now();
        sleep(Duration::from_millis(1)).await;
        world.directory.delay_as_stranger().await;
        assert_eq!(begun.elapsed(), stranger);
    }
    world.shutdown.hard_stop().cancel();
    world.directory.delay_as_stranger().await;
}

#[tokio::test(start_paused = true)]
async fn while_the_table_cannot_be_read_those_known_go_on_for_a_while_and_nobody_else_is_judged() {
    for trouble in [Table::Fails, Table::Hangs] {
        let world = World::with(Table::Has(vec![known(1)])).await;
        world.set(trouble);
        sleep(CURRENCY.grace.saturating_sub(CURRENCY.refresh * 4)).await;
        assert_eq!(world.find(&token(1)).await, Ok(principal()));
        assert_eq!(world.find(&token(9)).await, Err(AuthError::Unavailable));
        sleep(CURRENCY.refresh * 4).await;
        assert_eq!(world.find(&token(1)).await, Err(AuthError::Unavailable));
        world.set(Table::Has(vec![known(1)]));
        assert_eq!(world.find(&token(1)).await, Ok(principal()));
        assert_eq!(world.find(&token(9)).await, Err(AuthError::Unknown));
    }
}

#[tokio::test(start_paused = true)]
async fn before_the_first_read_and_after_the_last_nobody_is_judged() {
    let world = World::with(Table::Hangs).await;
    assert_eq!(world.find(&token(1)).await, Err(AuthError::Unavailable));
    world.shutdown.hard_stop().cancel();
    assert_eq!(world.find(&token(1)).await, Err(AuthError::Unavailable));
}
