//! What is to be done with some letters, by what there is of their events.

use std::collections::{BTreeMap, HashMap, HashSet};

use weir_event::{EventId, Scope, Timestamp};
use weir_store::LedgerRow;

use super::rows::KnownRow;
use super::{LetterEntry, Outcome, Reread, by_scope};
use crate::sink::EventRef;
use crate::sink::insert::{REPLAYED, hour_of};
use crate::sink::races::Raced;

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
    /// The minute that it is of.
    minute: Timestamp,
    /// When the row that stays has to have come, if there is to be a new one.
    new_at: Option<Timestamp>,
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
                        plan.add_beside((index, event), letter.closed, rows)
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
        closed: usize,
        rows: &[KnownRow],
    ) -> Outcome {
        let (Some(first), Some(open)) =
            (rows.iter().min_by_key(|row| row.ingested_at), rows.iter().map(KnownRow::closed).min())
        else {
            return Outcome::Gone;
        };
        let Some(minute) = first.minute() else { return Outcome::Gone };
        let is_better = closed < open;
        let new_at = if is_better { Timestamp::from_millis(first.ingested_at - 1).ok() } else { None };
        self.beside.push(Beside { index, event, minute, new_at });
        match (closed, is_better) {
            (0, true) => Outcome::Opened,
            // By an earlier replay, or it came once more when the key was there.
            (0, false) if rows.iter().any(KnownRow::is_replayed) => Outcome::Opened,
            (0, false) => Outcome::Duplicate,
            (_, true) => Outcome::OpenedInPart,
            (_, false) => Outcome::Closed,
        }
    }

    /// The rows that are to be written, with the letters that they come from and when they are to have come.
    pub(super) fn new_rows(&self, now: Timestamp) -> impl Iterator<Item = (usize, EventRef<'l>, Timestamp)> {
        let fresh = self.fresh.iter().map(move |(index, event)| (*index, *event, now));
        fresh
            .chain(self.beside.iter().filter_map(|beside| Some((beside.index, beside.event, beside.new_at?))))
    }

    /// What the ledger says of the write and of its letters.
    pub(super) fn entries(
        &self,
        letters: &[&'l Reread],
        now: Timestamp,
        write_id: u64,
    ) -> impl Iterator<Item = LedgerRow<'l>> {
        let mut writes: BTreeMap<(u32, &'l str, &'l str), i64> = BTreeMap::new();
        for (index, _, at) in self.new_rows(now) {
            let batch = &letters[index].batch;
            let part = (hour_of(at.millis()), batch.source().as_str(), batch.account_id().as_str());
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
    pub(super) fn doubled(&self) -> Vec<(&'l Scope, Vec<EventId>)> {
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
mod tests {
    use weir_event::Source;

    use super::*;
    use crate::accept::{Form, Origin, RawRecord};
    use crate::pipeline::Pipeline;
    use crate::price::PriceBook;
    use crate::sink::Encoded;

    const HOUR_MS: i64 = 3_600_000;
    const NOW_MS: i64 = 1_790_000_000_000;

    fn reread(record: &str, beside: Option<usize>) -> Reread {
        let origin = Origin {
            account_id: "acc".parse().unwrap(),
            gateway_id: Some("gw".parse().unwrap()),
            source: Source::Logpush,
            form: Form::Logpush,
            batch: "test".to_owned(),
            received_at_ms: NOW_MS,
        };
        let batch =
            Pipeline::new(PriceBook::builtin()).prepare_one(&RawRecord::whole(1, record.as_bytes()), &origin);
        assert!(batch.dead_letters.is_empty(), "{:?}", batch.dead_letters);
        Reread {
            entry: LetterEntry {
                received_at: NOW_MS - HOUR_MS,
                source: "logpush".to_owned(),
                account_id: "acc".to_owned(),
                write_id: 8,
                subject: "d".to_owned(),
            },
            closed: beside.unwrap_or_default(),
            batch: Encoded::of(&batch),
            is_beside_event: beside.is_some(),
        }
    }

    fn log(number: u32) -> String {
        format!(r#"{{"Datetime":1789990000,"Gateway":"gw","Model":"m-{number}"}}"#)
    }

    /// A row of a letter's event, with so many closed fields.
    fn row(of: &Reread, ingested_at: i64, write_id: u64, closed: usize) -> KnownRow {
        let flags = weir_event::Flag::OF_CLOSED_FIELDS.iter().take(closed);
        KnownRow {
            id: of.batch.events().next().unwrap().id.bytes(),
            account_id: "acc".to_owned(),
            ingested_at,
            write_id,
            created_at: 1_789_990_000_000,
            source: "logpush".to_owned(),
            flags: flags.map(|flag| flag.as_str().to_owned()).collect(),
            request_size: None,
            response_size: None,
        }
    }

    fn known(rows: Vec<KnownRow>) -> HashMap<EventId, Vec<KnownRow>> {
        let mut known = HashMap::<_, Vec<_>>::new();
        for row in rows {
            known.entry(EventId::try_from(row.id).unwrap()).or_default().push(row);
        }
        known
    }

    fn now() -> Timestamp {
        Timestamp::from_millis(NOW_MS).unwrap()
    }

    #[test]
    fn an_event_is_stored_once_and_known_by_its_row() {
        let letters = [
            reread(&log(1), None),
            reread(&log(2), None),
            reread(&log(1), None),
            reread(&log(3), None),
            reread("{}", None),
        ];
        let known = known(vec![row(&letters[1], 5, 10, 0), row(&letters[3], 5, 11, 0)]);
        let letters: Vec<_> = letters.iter().collect();
        let mut plan = Plan::of(&letters, &known);
        let expected =
            [Outcome::Stored, Outcome::Duplicate, Outcome::Duplicate, Outcome::Stored, Outcome::Ignored];
        assert_eq!(plan.outcomes, expected);
        assert_eq!(plan.new_rows(now()).map(|(index, _, at)| (index, at)).collect::<Vec<_>>(), [(0, now())]);
        let (fresh, before) = plan.to_announce();
        assert_eq!((fresh.len(), before.len()), (1, 2));
        let ids: HashSet<_> = [fresh[0].id].into();
        plan.share(&Raced { lost: ids.clone(), ids });
        assert_eq!(plan.outcomes[0], Outcome::Duplicate, "somebody else was faster");
        assert_eq!((plan.to_announce().0.len(), plan.to_announce().1.len()), (0, 3));
    }

    #[test]
    fn every_entry_sums_to_nothing_and_stored_is_the_number_of_new_rows() {
        let letters = [reread(&log(1), None), reread("{}", None), reread(&log(2), Some(0))];
        let strikes = NOW_MS / HOUR_MS * HOUR_MS;
        let known = known(vec![row(&letters[2], strikes, 10, 1)]);
        let letters: Vec<_> = letters.iter().collect();
        let plan = Plan::of(&letters, &known);
        let entries: Vec<_> = plan.entries(&letters, now(), 13).collect();
        for entry in &entries {
            let LedgerRow { received, stored, duplicates, dead_lettered, ignored, deleted, .. } = entry;
            assert_eq!(*received, stored + duplicates + dead_lettered + ignored + deleted, "{entry:?}");
        }
        let of_writes: Vec<_> = entries.iter().filter(|entry| entry.subject.is_empty()).collect();
        let found: Vec<_> =
            of_writes.iter().map(|entry| (entry.hour, entry.write_id, entry.stored)).collect();
        let hour = |millis: i64| u32::try_from(millis / 1_000).unwrap();
        // Replaced as the clock struck: the new row is of the hour before.
        assert_eq!(found, [(hour(strikes - HOUR_MS), 13, 1), (hour(strikes), 13, 1)]);
        let of_letters: Vec<_> = entries.iter().filter(|entry| entry.subject == "d").collect();
        let found: Vec<_> = of_letters
            .iter()
            .map(|entry| (entry.write_id, entry.dead_lettered, entry.duplicates, entry.ignored))
            .collect();
        assert_eq!(found, [(8, -1, 1, 0), (8, -1, 0, 1)], "one beside its event was never counted");
    }

    #[test]
    fn a_row_is_replaced_if_more_of_it_is_open_now() {
        let check = |closed: usize, rows: &[(i64, u64, usize)], expected: Outcome, new_at: Option<i64>| {
            let letter = reread(&log(1), Some(closed));
            let rows =
                rows.iter().map(|(at, write_id, closed)| row(&letter, *at, *write_id, *closed)).collect();
            let letters = [&letter];
            let plan = Plan::of(&letters, &known(rows));
            assert_eq!(plan.outcomes, [expected], "{closed}");
            let found: Vec<_> = plan.new_rows(now()).map(|(_, _, at)| at.millis()).collect();
            assert_eq!(found, new_at.into_iter().collect::<Vec<_>>());
        };
        let at = NOW_MS - 10;
        check(0, &[(at, 10, 3)], Outcome::Opened, Some(at - 1));
        check(1, &[(at, 10, 3)], Outcome::OpenedInPart, Some(at - 1));
        check(0, &[(at - 1, 11, 1), (at, 10, 3)], Outcome::Opened, Some(at - 2));
        check(3, &[(at, 10, 3)], Outcome::Closed, None);
        check(1, &[(at - 1, 11, 1)], Outcome::Closed, None);
        check(0, &[(at - 1, 11, 0), (at, 10, 3)], Outcome::Opened, None);
        check(0, &[(at, 10, 0)], Outcome::Duplicate, None);
        check(0, &[], Outcome::Gone, None);
    }
}
