//! Who looks on at what.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use weir_event::{Scope, Timestamp};
use weir_filter::Filter;
use weir_service::clock::SharedClock;

use super::feed::{Feed, Passed, Reader, Source, Word};
use super::outbox::{Outbox, Said};
use crate::auth::Readable;
use crate::store::StoredRow;

/// All who look on. Clones share them.
#[derive(Clone, Debug)]
pub struct Tails(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    clock: SharedClock,
    /// Somebody came.
    came: Notify,
    /// There are rows to be looked at.
    told: Notify,
    /// Whether every row that is committed from now on is heard of.
    hears: watch::Sender<bool>,
    /// How often the connection broke.
    breaks: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    feeds: HashMap<Scope, Feed>,
    /// Of the reader that came last.
    number: u64,
}

/// A reader. It is forgotten when this is dropped.
#[derive(Debug)]
pub struct Tail {
    tails: Tails,
    scope: Scope,
    number: u64,
    outbox: Arc<Outbox>,
}

/// Nothing is heard of rows: NATS is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nats cannot be reached")]
pub struct NotHeard;

impl Tails {
    /// Nobody, for now.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        let (came, told) = (Notify::new(), Notify::new());
        let (hears, breaks) = (watch::Sender::new(false), watch::Sender::new(0));
        Self(Arc::new(Shared { state: Mutex::default(), clock, came, told, hears, breaks }))
    }

    /// Looks on from now on: at every row that is committed after this, as far as `filter` lets it through. Waits for `limit` at
    /// most until rows are heard of.
    pub async fn open(
        &self,
        scope: Readable<Scope>,
        filter: Filter,
        limit: Duration,
    ) -> Result<Tail, NotHeard> {
        let since = Timestamp::from_millis(self.0.clock.now_ms()).unwrap_or(Timestamp::MIN);
        let tail = {
            let mut state = self.state();
            state.number += 1;
            let (number, outbox) = (state.number, Arc::new(Outbox::default()));
            let tail = Tail { tails: self.clone(), scope: Scope::clone(&scope), number, outbox };
            let feed = state.feeds.entry(tail.scope.clone());
            // It is called by the number of its first reader.
            let feed = feed.or_insert_with(|| Feed::new(Source { scope, number }));
            feed.add(Reader { number, filter, since, outbox: tail.outbox.clone() });
            tail
        };
        self.0.came.notify_one();
        let mut hears = self.0.hears.subscribe();
        match timeout(limit, hears.wait_for(|hears| *hears)).await {
            Ok(Ok(_)) => Ok(tail),
            // The sender is ours, so it is there.
            Ok(Err(_)) | Err(_) => Err(NotHeard),
        }
    }

    /// Waits until there is somebody.
    pub(super) async fn somebody(&self) {
        while self.state().feeds.is_empty() {
            self.0.came.notified().await;
        }
    }

    /// Says that every row is heard of that is committed from now on.
    pub(super) fn begin_to_hear(&self) {
        self.0.hears.send_replace(true);
    }

    /// Says that no more is heard. Rows may be missing.
    pub(super) fn cease_to_hear(&self) {
        self.gap();
        self.0.hears.send_replace(false);
    }

    /// The connection broke.
    pub(super) fn broke(&self) {
        self.0.breaks.send_modify(|breaks| *breaks += 1);
    }

    /// The breaks from now on.
    pub(super) fn breaks(&self) -> watch::Receiver<u64> {
        self.0.breaks.subscribe()
    }

    /// The same if nobody is there, who then misses nothing: whether it is so.
    pub(super) fn cease_if_alone(&self) -> bool {
        let state = self.state();
        let alone = state.feeds.is_empty();
        if alone {
            self.0.hears.send_replace(false);
        }
        alone
    }

    /// Tells everybody that rows may be missing, if they were heard of so far.
    pub(super) fn gap(&self) {
        if *self.0.hears.borrow() {
            self.state().feeds.values().for_each(|feed| feed.gap(None));
        }
    }

    /// Passes on what was heard, to those who look on at it.
    pub(super) fn hear(&self, words: impl Iterator<Item = (Scope, Word)>) {
        let mut state = self.state();
        let mut any = false;
        for (scope, word) in words {
            if let Some(feed) = state.feeds.get_mut(&scope) {
                feed.hear(word);
                any = true;
            }
        }
        if any {
            self.0.told.notify_one();
        }
    }

    /// Waits until there is something to be looked at.
    pub(super) async fn something(&self) {
        self.0.told.notified().await;
    }

    /// The tenants that have rows to be looked at, apart from those whose rows are.
    pub(super) fn pending_but(&self, looked_at: &HashSet<Scope>) -> Vec<Scope> {
        let state = self.state();
        let pending =
            state.feeds.iter().filter(|(scope, feed)| feed.is_pending() && !looked_at.contains(scope));
        pending.map(|(scope, _)| scope.clone()).collect()
    }

    /// Up to `max` rows of a tenant to be looked at, if there are any.
    pub(super) fn take(&self, scope: &Scope, max: usize) -> Option<(Source, Vec<Word>)> {
        self.state().feeds.get_mut(scope)?.take(max)
    }

    /// These could not be looked at. Whom they were for may have left.
    pub(super) fn give_back(&self, source: &Source, words: Vec<Word>) {
        if let Some(feed) = self.state().feed(source) {
            for word in words {
                feed.hear(word);
            }
            self.0.told.notify_one();
        }
    }

    /// Of these words those rows were found. Whom they were for may have left.
    pub(super) fn show(&self, source: &Source, words: Vec<Word>, rows: Vec<StoredRow>) -> Passed {
        let mut state = self.state();
        let Some(feed) = state.feed(source) else { return Passed::default() };
        let passed = feed.show(words, rows);
        if feed.is_pending() {
            self.0.told.notify_one();
        }
        passed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole at every unlock, so a panic elsewhere does not spoil it.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The feed that words were taken from, if it is there still.
    fn feed(&mut self, source: &Source) -> Option<&mut Feed> {
        self.feeds.get_mut(&*source.scope).filter(|feed| feed.is(source))
    }
}

impl Tail {
    /// What comes next; nothing after it was too slow.
    pub async fn next(&mut self) -> Option<Said> {
        self.outbox.next().await
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let mut state = self.tails.state();
        let is_left = state.feeds.get_mut(&self.scope).is_some_and(|feed| feed.remove(self.number));
        if !is_left {
            state.feeds.remove(&self.scope);
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_event::EventId;
    use weir_service::clock::ManualClock;

    use super::*;
    use crate::auth::Principal;

    const NOW: i64 = 1_790_000_000_000;

    #[tokio::test]
    async fn a_reader_is_not_shown_what_was_told_to_those_who_left_before_it_came() {
        let scope = Scope::parse("acc", "gw").unwrap();
        let tails = Tails::new(Arc::new(ManualClock::at(NOW)));
        tails.begin_to_hear();
        let open = async || {
            let readable = Principal::operator("tests").may_read(scope.clone()).unwrap();
            tails.open(readable, Filter::default(), Duration::from_secs(1)).await.unwrap()
        };
        let at = |millis| Timestamp::from_millis(NOW + millis).unwrap();
        let row = |n| StoredRow::of_model(EventId::derive(at(n), &[]), at(n), "a");
        let tell = |n| {
            let word = Word::new(EventId::derive(at(n), &[]), at(n), false);
            tails.hear([(scope.clone(), word)].into_iter());
            tails.take(&scope, 9).unwrap()
        };
        let first = open().await;
        let (source, words) = tell(-1);
        drop(first);
        let mut second = open().await;
        assert_eq!(tails.show(&source, words.clone(), vec![row(-1)]), Passed::default());
        tails.give_back(&source, words);
        assert!(tails.take(&scope, 9).is_none());
        // What is told since is shown, also when others of the same feed leave.
        drop(open().await);
        let (source, words) = tell(1);
        assert_eq!(tails.show(&source, words, vec![row(1)]).shown, 1);
        assert!(matches!(second.next().await, Some(Said::Row(shown)) if shown.id == row(1).id));
    }
}
