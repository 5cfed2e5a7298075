//! What is to be done with some letters, by what there is of their events.

use std::collections::{BTreeMap, HashMap, HashSet};

use weir_event::{EventId, Scope, Timestamp};
use weir_store::{CostRevisionRow, LedgerRow};

use super::cost::OpenedCost;
use super::marks::Mark;
use super::rows::KnownRow;
use super::{LetterEntry, Outcome, Reread};
use crate::sink::insert::{REPLAYED, hour_of};
use crate::sink::races::Raced;
use crate::sink::{EventRef, by_scope};

/// What is to be done. Everything is in the order of the letters.
pub(super) struct Plan<'l> {
    /// What becomes of each letter.
    pub(super) outcomes: Vec<Outcome>,
    /// New events, with the letters that they come from.
    fresh: Vec<(usize, EventRef<'l>)>,
    /// Events that had a row before.
    before: Vec<EventRef<'l>>,
    /// Events whose row lacks what is closed.
    beside: Vec<Beside<'l>>,
    raced: HashSet<EventId>,
}

/// An event that was stored before its letter was opened.
struct Beside<'l> {
    /// The letter that it comes from.
    index: usize,
    event: EventRef<'l>,
    /// When it ended, in epoch milliseconds.
    created_at: i64,
    /// The minute that it is of.
    minute: Timestamp,
    /// When the row that stays has to have come, and what it costs, if there is to be a new one.
    opened: Option<(Timestamp, OpenedCost<'l>)>,
}

/// A row that is to be written.
pub(super) struct NewRow<'l> {
    /// The letter that it comes from.
    pub(super) index: usize,
    pub(super) event: EventRef<'l>,
    /// When it is to have come.
    pub(super) at: Timestamp,
    pub(super) cost_revision: u32,
    /// That the row is of whose place it takes.
    minute: Option<Timestamp>,
}

impl<'l> Plan<'l> {
    /// With `known`, the rows that there are of the letters' events.
    pub(super) fn of(letters: &[&'l Reread], known: &HashMap<EventId, Vec<KnownRow>>) -> Self {
        let mut plan = Self {
            outcomes: Vec::with_capacity(letters.len()),
            fresh: Vec::new(),
            before: Vec::new(),
            beside: Vec::new(),
            raced: HashSet::new(),
        };
        let mut met = HashSet::new();
        for (index, letter) in letters.iter().enumerate() {
            let outcome = match letter.batch.events().next() {
                None => Outcome::Ignored,
                Some(event) => {
                    let rows = known.get(&event.id).map_or(&[][..], Vec::as_slice);
                    if letter.is_beside_event {
                        plan.add_beside((index, event), letter, rows)
                    } else if !rows.is_empty() {
                        plan.before.push(event);
                        settled_by(rows)
                    } else if met.insert(event.id) {
                        plan.fresh.push((index, event));
                        Outcome::Stored
                    } else {
                        Outcome::Duplicate
                    }
                }
            };
            plan.outcomes.push(outcome);
        }
        plan
    }

    fn add_beside(
        &mut self,
        (index, event): (usize, EventRef<'l>),
        letter: &'l Reread,
        rows: &[KnownRow],
    ) -> Outcome {
        let (Some(first), Some(open)) =
            (rows.iter().min_by_key(|row| row.ingested_at), rows.iter().map(KnownRow::closed).min())
        else {
            return Outcome::Gone;
        };
        let Some(minute) = first.minute() else { return Outcome::Gone };
        let is_better = letter.closed < open;
        let new_at = if is_better { Timestamp::from_millis(first.ingested_at - 1).ok() } else { None };
        let opened = new_at.map(|at| (at, OpenedCost::of(first, &letter.cost)));
        self.beside.push(Beside { index, event, created_at: first.created_at, minute, opened });
        match (letter.closed, is_better) {
            (0, true) => Outcome::Opened,
            // By an earlier replay, or it came once more when the key was there.
            (0, false) if rows.iter().any(KnownRow::is_replayed) => Outcome::Opened,
            (0, false) => Outcome::Duplicate,
            (_, true) => Outcome::OpenedInPart,
            (_, false) => Outcome::Closed,
        }
    }

    /// The rows that are to be written: new ones at `now`, those that are opened in the place of others.
    pub(super) fn new_rows(&self, now: Timestamp) -> impl Iterator<Item = NewRow<'l>> {
        let fresh = self.fresh.iter().map(move |(index, event)| NewRow {
            index: *index,
            event: *event,
            at: now,
            cost_revision: 0,
            minute: None,
        });
        fresh.chain(self.beside.iter().filter_map(|beside| {
            let (at, cost) = beside.opened.as_ref()?;
            let (index, event, minute) = (beside.index, beside.event, Some(beside.minute));
            Some(NewRow { index, event, at: *at, cost_revision: cost.revision, minute })
        }))
    }

    /// The marks of the rows that are to be written.
    pub(super) fn marks(&self, letters: &[&'l Reread], now: Timestamp, write_id: u64) -> Vec<Mark> {
        let mark = |row: NewRow<'l>| {
            let source = letters[row.index].batch.source().as_str();
            Mark::new((source, write_id), (row.event.scope, row.event.id), (now, row.at), row.minute)
        };
        self.new_rows(now).map(mark).collect()
    }

    /// What rows cost before that are opened, where they cost something else now.
    pub(super) fn cost_revisions(&self) -> impl Iterator<Item = CostRevisionRow<'_>> {
        self.beside.iter().filter_map(|beside| {
            let (_, cost) = beside.opened.as_ref()?;
            let Scope { account_id, gateway_id } = beside.event.scope;
            let whose = (account_id.as_str(), gateway_id.as_str());
            cost.entry(whose, (beside.created_at, beside.event.id.bytes()))
        })
    }

    /// What the ledger says of the write and of its letters.
    pub(super) fn entries(
        &self,
        letters: &[&'l Reread],
        now: Timestamp,
        write_id: u64,
    ) -> impl Iterator<Item = LedgerRow<'l>> {
        let mut writes: BTreeMap<(u32, &'l str, &'l str), i64> = BTreeMap::new();
        for row in self.new_rows(now) {
            let batch = &letters[row.index].batch;
            let part = (hour_of(row.at.millis()), batch.source().as_str(), batch.account_id().as_str());
            *writes.entry(part).or_default() += 1;
        }
        let of_writes = writes.into_iter().map(move |((hour, source, account_id), rows)| LedgerRow {
            hour,
            source,
            account_id,
            write_id,
            stored: rows,
            duplicates: -rows,
            version: 1,
            ..LedgerRow::default()
        });
        let outcomes: Vec<_> = self.outcomes.clone();
        let counted = letters.iter().zip(outcomes).filter(|(letter, _)| !letter.is_beside_event);
        of_writes.chain(counted.map(|(letter, outcome)| letter.entry.settled(outcome)))
    }

    /// The new events.
    pub(super) fn fresh_events(&self) -> Vec<EventRef<'l>> {
        self.fresh.iter().map(|(_, event)| *event).collect()
    }

    /// Others have stored some of the new events at the same time.
    pub(super) fn share(&mut self, raced: &Raced) {
        for (index, event) in &self.fresh {
            if raced.lost.contains(&event.id) {
                self.outcomes[*index] = Outcome::Duplicate;
            }
        }
        self.raced.extend(&raced.ids);
    }

    /// Events of which there are rows that have to go, or may be, by whose they are.
    pub(super) fn doubled(&self) -> BTreeMap<&'l Scope, Vec<EventId>> {
        by_scope(self.beside.iter().map(|beside| (beside.event.scope, beside.event.id)))
    }

    /// The events that nobody was told of, and those that somebody may have been told of.
    pub(super) fn to_announce(&self) -> (Vec<EventRef<'l>>, Vec<EventRef<'l>>) {
        let (raced, fresh): (Vec<_>, Vec<_>) =
            self.fresh_events().into_iter().partition(|event| self.raced.contains(&event.id));
        (fresh, self.before.iter().copied().chain(raced).collect())
    }

    /// The minutes of events that are told of and have another row now, or had it before that was told.
    pub(super) fn changed_minutes(&self) -> impl Iterator<Item = (Scope, Timestamp)> {
        self.beside.iter().map(|beside| (beside.event.scope.clone(), beside.minute))
    }
}

/// An event that has a row: who replayed it before died before its letter was settled.
fn settled_by(rows: &[KnownRow]) -> Outcome {
    if rows.iter().any(KnownRow::is_replayed) { Outcome::Stored } else { Outcome::Duplicate }
}

impl KnownRow {
    fn is_replayed(&self) -> bool {
        self.write_id & REPLAYED != 0
    }
}

impl LetterEntry {
    /// The same however often it is made: a record that was a dead letter is none any more.
    fn settled(&self, outcome: Outcome) -> LedgerRow<'_> {
        let ignored = i64::from(outcome == Outcome::Ignored);
        LedgerRow {
            hour: hour_of(self.received_at),
            source: &self.source,
            account_id: &self.account_id,
            write_id: self.write_id,
            subject: &self.subject,
            duplicates: 1 - ignored,
            dead_lettered: -1,
            ignored,
            version: 1,
            ..LedgerRow::default()
        }
    }
}

#[cfg(test)]
mod tests;
