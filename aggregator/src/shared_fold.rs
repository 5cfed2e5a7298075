//! The windows, shared between what fills them and what serves them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_event::Timestamp;
use weir_service::clock::SharedClock;

use crate::fold::Fold;
use crate::lease::Holding;

/// The windows of one shard. Held for the time of one message or one snapshot, never across a wait. Clones share them.
#[derive(Clone, Debug)]
pub struct SharedFold(Arc<Mutex<Fold>>);

/// The shards whose leases this process has, or had a moment ago. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct HeldShards(Arc<Mutex<BTreeMap<u16, HeldShard>>>);

/// A shard whose lease this process has. Clones are the same.
#[derive(Clone, Debug)]
pub struct HeldShard {
    /// Its windows.
    pub fold: SharedFold,
    holding: Holding,
    state: Arc<Mutex<ShardState>>,
}

/// How the intake of a shard does.
#[derive(Clone, Debug, Default)]
pub struct ShardState {
    /// Messages of the stream that are not delivered yet.
    pub pending: u64,
    /// Why messages cannot be pulled.
    pub trouble: Option<String>,
}

impl SharedFold {
    /// Shares `fold`.
    #[must_use]
    pub fn new(fold: Fold) -> Self {
        Self(Arc::new(Mutex::new(fold)))
    }

    /// The windows.
    pub fn lock(&self) -> MutexGuard<'_, Fold> {
        lock(&self.0)
    }
}

impl HeldShards {
    /// The lease of `shard` was taken.
    pub fn put(&self, shard: u16, held: HeldShard) {
        lock(&self.0).insert(shard, held);
    }

    /// The lease of `shard` is not to be used any more.
    pub fn remove(&self, shard: u16) {
        lock(&self.0).remove(&shard);
    }

    /// Those whose lease is held at this moment.
    #[must_use]
    pub fn held(&self) -> BTreeMap<u16, HeldShard> {
        let shards = lock(&self.0);
        let held = shards.iter().filter(|(_, shard)| shard.is_held());
        held.map(|(number, shard)| (*number, shard.clone())).collect()
    }
}

impl HeldShard {
    /// A shard with nothing to say yet.
    #[must_use]
    pub fn new(fold: SharedFold, holding: Holding) -> Self {
        Self { fold, holding, state: Arc::default() }
    }

    /// Whether its lease is held at this moment.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.holding.is_held()
    }

    /// How its intake does.
    #[must_use]
    pub fn state(&self) -> ShardState {
        lock(&self.state).clone()
    }

    /// Messages cannot be pulled.
    pub fn fail(&self, why: String) {
        lock(&self.state).trouble = Some(why);
    }

    /// Messages can be pulled.
    pub fn pass(&self) {
        lock(&self.state).trouble = None;
    }

    /// So many messages are not delivered yet.
    pub fn show_pending(&self, messages: u64) {
        lock(&self.state).pending = messages;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A task that panicked with the lock stops the process; until then, answering is better than panicking too.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time of day, held within what a [`Timestamp`] can be.
#[must_use]
pub fn now(clock: &SharedClock) -> Timestamp {
    let millis = clock.now_ms().clamp(Timestamp::MIN.millis(), Timestamp::MAX.millis());
    Timestamp::from_millis(millis).expect("it is held within the range")
}
