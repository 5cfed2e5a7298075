//! Stores the events of dead letters that can be read by now.
//!
//! In: letters whose records were read again, some at a time. Out: what became of each, once its rows are committed, the
//! ledger tells of it and NATS has taken the word; settling the letter is the caller's, and comes last. So whoever dies in
//! between leaves a letter that is not settled, and the next replay finds its event by the id and takes all the same steps.
//!
//! Events go under a write of their own whose id is odd, by which what was replayed is known. A record that was a dead
//! letter was received long ago, so its write enters `stored` with as many `duplicates` less, and the letter's own write
//! gets an entry under the letter's digest: one dead letter less, one duplicate more. Each entry sums to nothing, and is
//! there once however often it is made.
//!
//! A replay that dies while a row that it stored is not the only one of its event, or is not entered or told of, need not wait
//! for the next one: each row that is about to be stored has a mark in the ledger, see [`marks`].
//!
//! The event of a letter that is beside it, because fields of it stayed closed, has its row already. The row with what is
//! open now is stored as if it had come a millisecond before that one, so that of the two it is the one that stays, see
//! [`super::races`]; in sum there is one row as before. What the row cost is kept in `cost_revisions`, as when it is priced
//! anew.

mod cost;
mod marks;
mod plan;
mod rows;

use std::time::Duration;

use weir_event::Timestamp;
use weir_service::clock::SharedClock;
use weir_service::telemetry::chain;
use weir_store::LedgerRow;

use super::columns::Columns;
use super::insert::Names;
use super::settle::predecessors_are_done;
use super::{Announcer, Encoded, Races, SinkError, Store};
pub(crate) use cost::StatedCost;
pub(crate) use marks::Mark;
use plan::Plan;

/// How long NATS may take for the word of some letters.
const TELL_LIMIT: Duration = Duration::from_secs(30);

/// A letter whose record was read again.
#[derive(Debug)]
pub(crate) struct Reread {
    /// Its entry in the ledger, without what becomes of it: its write's hour, source, account and id, and its digest.
    pub(crate) entry: LetterEntry,
    /// The event, if it is one, and perhaps a letter beside it.
    pub(crate) batch: Encoded,
    /// How many fields of the event stay closed.
    pub(crate) closed: usize,
    /// What the event costs.
    pub(crate) cost: StatedCost,
    /// Whether it is beside an event that was stored without what is closed.
    pub(crate) is_beside_event: bool,
}

/// Where the ledger has a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LetterEntry {
    /// When it was stored, in epoch milliseconds.
    pub(crate) received_at: i64,
    pub(crate) source: String,
    pub(crate) account_id: String,
    pub(crate) write_id: u64,
    /// Names it among the letters of its write: one record may have come for two gateways.
    pub(crate) subject: String,
}

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its event is stored by a replay.
    Stored,
    /// Its event was there before.
    Duplicate,
    /// There is nothing to store in it.
    Ignored,
    /// The row of its event has what is open now.
    Opened,
    /// The same, but some of it stays closed. It is not settled.
    OpenedInPart,
    /// No more of it is open than before. It is not settled.
    Closed,
    /// It is beside an event whose row is gone. It is not settled.
    Gone,
}

/// The one that stores them.
#[derive(Debug)]
pub(crate) struct Replayer {
    store: Store,
    races: Races,
    announcer: Announcer,
    clock: SharedClock,
    names: Names,
}

/// Why letters were not stored, or are not known to be. None of them is settled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    /// ClickHouse did not do what was asked of it.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The bus did not take what it was told.
    #[error(
        "nats does not take the word of what was stored: statistics lack it until the replay is repeated"
    )]
    NotTold,
}

impl Replayer {
    /// What is stored is told to `announcer`.
    pub(crate) fn new(store: Store, races: Races, announcer: Announcer, clock: SharedClock) -> Self {
        let names = Names::new(clock.clone());
        Self { store, races, announcer, clock, names }
    }

    /// Waits for the inserts that a replay before this one may have left running. Fails where ClickHouse does not answer.
    pub(crate) async fn begin(&self) -> Result<(), ReplayError> {
        self.store.ping().await?;
        predecessors_are_done(&self.store).await;
        Ok(())
    }

    /// What would become of letters; nothing is written.
    pub(crate) async fn look(store: &Store, letters: &[&Reread]) -> Result<Vec<Outcome>, ReplayError> {
        let known = store.known_rows(&events_of(letters)).await?;
        Ok(Plan::of(letters, &known).outcomes)
    }

    /// Stores the events of letters, tells the ledger and the bus of them, and gives what became of each letter.
    pub(crate) async fn store(&self, letters: &[&Reread]) -> Result<Vec<Outcome>, ReplayError> {
        // Asked first: what is committed after it is looked at after our own commit.
        let block = self.store.last_block().await?;
        let known = self.store.known_rows(&events_of(letters)).await?;
        let now = Timestamp::from_millis(self.clock.now_ms()).map_err(SinkError::Clock)?;
        let mut plan = Plan::of(letters, &known);
        // What an earlier replay stored, and died before it said so.
        self.store.enter_replays(known.values().flatten()).await?;
        let (write_id, marks) = self.write(&plan, letters, now).await?;
        let entries: Vec<LedgerRow<'_>> = plan.entries(letters, now, write_id).collect();
        self.store.enter(&entries).await?;
        let raced = self.races.after(write_id, &plan.fresh_events(), block, &[write_id]).await?;
        plan.share(&raced);
        for (scope, ids) in plan.doubled() {
            self.races.repair(scope, &ids).await?;
        }
        let (fresh, before) = plan.to_announce();
        if !self.announcer.deliver(&fresh, &before, plan.changed_minutes(), TELL_LIMIT).await {
            return Err(ReplayError::NotTold);
        }
        self.store.close_marks(marks.iter()).await?;
        self.keep_letters_beside(letters, now).await?;
        Ok(plan.outcomes)
    }

    /// Stores bodies, what opened rows cost before, marks, then rows. Gives the name of the write, and the marks.
    async fn write(
        &self,
        plan: &Plan<'_>,
        letters: &[&Reread],
        now: Timestamp,
    ) -> Result<(u64, Vec<Mark>), ReplayError> {
        let events: Vec<_> = plan.new_rows(now).map(|row| row.event).collect();
        let token = self.names.next(&events).of_replay();
        let write_id = token.write_id();
        let columns = Columns::of_this_program();
        // Of the bodies of an event those that were stored last are read.
        self.store.insert_bodies(&events, columns, &token).await?;
        // Before the rows say something else: who comes later still sees what they cost.
        self.store.enter_opened_costs(&plan.cost_revisions().collect::<Vec<_>>()).await?;
        let marks = plan.marks(letters, now, write_id);
        self.store.enter_marks(&marks).await?;
        let rows = plan.new_rows(now).map(|row| row.event.row(row.at, write_id, row.cost_revision));
        let rows: Vec<_> = rows.collect();
        match self.store.insert_filled_logs(&rows, columns, &token).await.map_err(ReplayError::from) {
            Ok(()) => Ok((write_id, marks)),
            Err(error) => {
                if error.is_rejection() {
                    self.close_refused(marks).await;
                }
                Err(error)
            }
        }
    }

    /// Nobody needs to wait for rows that ClickHouse refused. Where it cannot be said so, they are waited for in vain.
    async fn close_refused(&self, marks: Vec<Mark>) {
        if let Err(error) = self.store.close_refused(marks).await {
            tracing::warn!(error = chain(&error), "what was refused is waited for");
        }
    }

    /// Letters that have become events of which some fields stay closed are kept, as when they come in.
    async fn keep_letters_beside(&self, letters: &[&Reread], now: Timestamp) -> Result<(), ReplayError> {
        let beside = letters.iter().filter(|letter| !letter.is_beside_event);
        let rows: Vec<_> = beside.flat_map(|letter| letter.batch.letters()).collect();
        let token = self.names.next(&[]).of_replay();
        Ok(self.store.insert_letters(&rows, now, Columns::of_this_program(), &token).await?)
    }
}

impl ReplayError {
    /// Whether ClickHouse refuses what was to be stored for its own sake.
    pub(crate) fn is_rejection(&self) -> bool {
        matches!(self, Self::Sink(error) if error.is_rejection() && !error.is_outage())
    }
}

impl Outcome {
    /// What the letter is settled as, if it is.
    pub(crate) const fn settled_as(self) -> Option<&'static str> {
        match self {
            Self::Stored | Self::Opened => Some("stored"),
            Self::Duplicate => Some("duplicate"),
            Self::Ignored => Some("ignored"),
            Self::OpenedInPart | Self::Closed | Self::Gone => None,
        }
    }
}

fn events_of<'l>(letters: &[&'l Reread]) -> Vec<super::EventRef<'l>> {
    letters.iter().flat_map(|letter| letter.batch.events()).collect()
}
