//! What is said of a stage, whoever counts it and whatever of it is gone.

use proptest::prelude::*;

use weir_event::EventId;

use super::super::{annotated_before, day_after, day_of, month, month_after, start_of_month};
use super::*;

const DAY_S: u32 = 1_782_604_800; // 2026-06-28

fn time(seconds: u32) -> Timestamp {
    Timestamp::from_millis(i64::from(seconds) * 1_000).unwrap()
}

fn found(entry: Option<&LedgerRow<'_>>, below: (u64, u64), above: (u64, u64)) -> Found {
    Found {
        account_id: "acc".to_owned(),
        gateway_id: "gw".to_owned(),
        hour: DAY_S,
        source: "http".to_owned(),
        day: DAY_S,
        entered: entry.map_or(0, |entry| entry.deleted.unsigned_abs()),
        version: entry.map_or(0, |entry| entry.version),
        entered_until: entry.map_or(0, |entry| entry.minute),
        fresh_below: below.0,
        corrected_below: below.1,
        fresh_above: above.0,
        corrected_above: above.1,
    }
}

#[test]
fn an_entry_is_keyed_by_gateway_and_day_and_sums_to_nothing() {
    let entry = found(None, (0, 0), (4, 1)).entry(time(DAY_S + 3_600));
    let (begun, told) = (entry.row(false), entry.row(true));
    assert_eq!((begun.stored, begun.deleted, begun.write_id), (-5, 5, 0));
    assert_eq!((begun.subject, begun.minute), ("deleted:gw:1782604800", DAY_S + 3_600));
    assert_eq!((begun.version, told.version), (9, 10));
    // A stage of several days ends on each of them.
    assert_eq!(found(None, (0, 0), (1, 0)).entry(time(DAY_S + 200_000)).row(true).minute, DAY_S + 86_400);
    let begun = BegunRow {
        hour: begun.hour,
        source: begun.source.to_owned(),
        account_id: begun.account_id.to_owned(),
        subject: begun.subject.to_owned(),
        deleted: begun.deleted,
        gateway_id: begun.gateway_id.to_owned(),
        minute: begun.minute,
    };
    let (scope, read) = begun.clone().entry().unwrap();
    assert_eq!((scope, &read), (Scope::parse("acc", "gw").unwrap(), &entry));
    let stage = read.stage().unwrap();
    assert_eq!((stage.from, stage.until), (time(DAY_S), time(DAY_S + 3_600)));
    assert_eq!(stage.stored_before, time(DAY_S + 3_600));
    for subject in ["deleted:other:1782604800", "deleted:gw:x", "deleted:gw", "01ARZ3NDEKTSV4RRFFQ69G5FAV"] {
        assert_eq!(BegunRow { subject: subject.to_owned(), ..begun.clone() }.entry(), None, "{subject}");
    }
}

#[test]
fn months_end_where_the_next_one_begins() {
    let start = |month| start_of_month(month).unwrap();
    assert_eq!(month_after(start(202_612)), start(202_701));
    assert_eq!(month_after(time(DAY_S)), start(202_607));
    assert_eq!((month(start(202_602)), start_of_month(202_613), start_of_month(0)), (202_602, None, None));
    assert_eq!((day_of(time(DAY_S + 86_399)), day_after(time(DAY_S))), (time(DAY_S), time(DAY_S + 86_400)));
}

#[test]
fn what_was_said_goes_by_the_first_characters_of_its_id() {
    let statement = annotated_before(time(DAY_S), 10);
    let bound = statement.split('\'').nth(1).unwrap();
    let id = |millis| EventId::derive(Timestamp::from_millis(millis).unwrap(), &[b"x"]);
    let day = i64::from(DAY_S) * 1_000;
    assert!(bound.len() == 26 && *id(day - 1).as_str() < *bound && *bound < *id(day).as_str(), "{bound}");
}

/// The rows of one hour, source, gateway and day: whether each is there, and whether the ledger has a correction for it.
#[derive(Debug)]
struct World {
    rows: Vec<(u32, bool, bool)>,
    entry: Option<LedgerRow<'static>>,
}

impl World {
    fn count(&self, until: u32) -> Found {
        let bound = self.entry.as_ref().map_or(0, |entry| entry.minute);
        let of = |is_below: bool, corrected: bool| {
            let it = self.rows.iter().filter(|(minute, is_there, is_corrected)| {
                *minute < until
                    && (*minute < bound) == is_below
                    && *is_corrected == corrected
                    && (corrected || *is_there)
            });
            it.count() as u64
        };
        found(self.entry.as_ref(), (of(true, false), of(true, true)), (of(false, false), of(false, true)))
    }

    /// As a `ReplacingMergeTree` has it: the last of the highest version.
    fn enter(&mut self, row: &LedgerRow<'_>) {
        if self.entry.as_ref().is_none_or(|entry| row.version >= entry.version) {
            let LedgerRow { stored, deleted, minute, version, .. } = *row;
            self.entry = Some(LedgerRow { stored, deleted, minute, version, ..LedgerRow::default() });
        }
    }

    /// By how much the ledger says that more are stored than there are, and how many may still be there.
    fn off(&self) -> (i64, i64) {
        let bound = self.entry.as_ref().map_or(0, |entry| entry.minute);
        let rows = |holds: &dyn Fn(&(u32, bool, bool)) -> bool| {
            i64::try_from(self.rows.iter().filter(|row| holds(row)).count()).unwrap()
        };
        let single = rows(&|(minute, _, is_corrected)| *is_corrected && *minute >= bound);
        let many = self.entry.as_ref().map_or(0, |entry| entry.deleted);
        let stored = rows(&|_| true) - single - many;
        let being_taken = rows(&|(_, is_there, is_corrected)| *is_there && *is_corrected);
        let begun = self.entry.as_ref().filter(|entry| entry.version < 2 * entry.deleted.unsigned_abs());
        let deleting = begun.map_or(0, |entry| entry.deleted) + being_taken;
        (rows(&|(_, is_there, _)| *is_there) - stored, deleting)
    }
}

/// One step of somebody's: of a removal up to a minute, a deletion of single rows, or a death.
#[derive(Clone, Copy, Debug)]
enum Step {
    Count {
        who: usize,
        until: u32,
    },
    Enter(usize),
    /// Some of the stage's rows, as if it died in between.
    TakeSome(usize, u32),
    Tell(usize),
    Correct(usize),
    TakeCorrected(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..2_usize;
    prop_oneof![
        (who.clone(), 1..=10_u32).prop_map(|(who, tens)| Step::Count { who, until: DAY_S + tens * 60 }),
        who.clone().prop_map(Step::Enter),
        (who.clone(), 0..4_u32).prop_map(|(who, part)| Step::TakeSome(who, part)),
        who.prop_map(Step::Tell),
        (0..24_usize).prop_map(Step::Correct),
        (0..24_usize).prop_map(Step::TakeCorrected),
    ]
}

proptest! {
    /// Two removals of other ends, deletions of single rows, and deaths at any step: when what was begun is finished, the
    /// ledger has as many rows as there are.
    #[test]
    fn the_ledger_comes_to_the_rows_that_are_left(
        minutes in prop::collection::vec(0..10_u32, 24),
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let rows = minutes.iter().map(|minute| (DAY_S + minute * 60, true, false)).collect();
        let mut world = World { rows, entry: None };
        // What each has counted and entered.
        let mut hands: [Option<(u32, Entry, bool)>; 2] = [None, None];
        for step in steps {
            match step {
                Step::Count { who, until } if hands[who].is_none() => {
                    let found = world.count(until);
                    if found.fresh_below + found.fresh_above > 0 {
                        hands[who] = Some((until, found.entry(time(until)), false));
                    }
                }
                Step::Enter(who) => {
                    if let Some((_, entry, is_entered)) = &mut hands[who] {
                        world.enter(&entry.row(false));
                        *is_entered = true;
                    }
                }
                Step::TakeSome(who, part) => {
                    if let Some((until, _, true)) = &hands[who] {
                        let mut taken = 0;
                        for (minute, is_there, _) in &mut world.rows {
                            taken += 1;
                            *is_there &= *minute >= *until || taken % 4 == part;
                        }
                    }
                }
                Step::Tell(who) => {
                    if let Some((until, entry, true)) = hands[who].take_if(|(_, _, entered)| *entered) {
                        world.rows.iter_mut().for_each(|(minute, is_there, _)| *is_there &= *minute >= until);
                        if entry.is_whole() {
                            world.enter(&entry.row(true));
                        }
                    }
                }
                // A row that is not there is chosen by nobody.
                Step::Correct(row) if world.rows[row].1 => world.rows[row].2 = true,
                Step::TakeCorrected(row) if world.rows[row].2 => world.rows[row].1 = false,
                Step::Count { .. } | Step::Correct(_) | Step::TakeCorrected(_) => {}
            }
            let (off, deleting) = world.off();
            // Of two that count side by side the second enters what the first has begun to take.
            prop_assert!((0..=deleting).contains(&off), "{step:?}: {off} of {deleting}");
        }
        // Whoever lives finishes what was begun, by what the ledger has.
        if let Some(entry) = world.entry.clone().filter(|entry| entry.version < 2 * entry.deleted.unsigned_abs()) {
            let found = world.count(entry.minute);
            let again = found.entry(time(entry.minute));
            world.rows.iter_mut().for_each(|(minute, is_there, _)| *is_there &= *minute >= entry.minute);
            world.enter(&again.row(true));
        }
        world.rows.iter_mut().for_each(|(_, is_there, corrected)| *is_there &= !*corrected);
        prop_assert_eq!(world.off(), (0, 0));
    }
}
