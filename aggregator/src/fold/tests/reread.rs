//! Rows that change while messages come: once their tenant was read again its windows are those of the rows that there are, and
//! everybody else's are right all along.

use std::collections::{BTreeSet, HashSet};

use proptest::prelude::*;
use weir_event::bus::{LiveSnapshot, UsageEntry};
use weir_event::{Dimension, EventId, Scope};

use super::model::{Model, START_MS, at, entry, scope};
use super::{ask, limits, warm};
use crate::fold::windows::MINUTE_MS;
use crate::fold::*;

#[derive(Clone, Debug)]
enum Step {
    /// A row is stored and told of, also as one that was stored before.
    Store { seed: u32, age_ms: i64, duplicate: bool },
    /// A row of the tenant that is changed gets another cost, or goes, and it is told of.
    Change { which: usize, is_deleted: bool },
    /// So many messages come, but for some before them, which come later.
    Deliver { skipped: usize, count: usize },
    /// Messages that came come again.
    Redeliver { count: usize },
    /// The next thing that whoever reads the past again does.
    Read,
}

#[derive(Clone, Debug)]
enum Message {
    Usage(Box<UsageEntry>),
    Dirty(Scope, i64),
}

/// How far a reading is.
enum Reading {
    None,
    Begun(Box<Reread>),
    /// The stream's last sequence is known.
    Noted(Box<Reread>, u64),
    Done(Box<Fold>, u64),
}

/// ClickHouse, the stream, and the windows.
struct World {
    limits: Limits,
    rows: Vec<UsageEntry>,
    deleted: Vec<UsageEntry>,
    stream: Vec<Message>,
    /// The places in the stream of those that came.
    came: BTreeSet<usize>,
    reading: Reading,
    fold: Fold,
}

impl World {
    fn new(limits: Limits) -> Self {
        // It has run for a day, and knows the ids of that day.
        let begun_at = at(START_MS - super::DAY_MS);
        let fold = WarmUp::begin(limits, 0, begun_at).finish(begun_at);
        let (rows, deleted, stream) = (Vec::new(), Vec::new(), Vec::new());
        Self { limits, rows, deleted, stream, came: BTreeSet::new(), reading: Reading::None, fold }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Store { seed, age_ms, duplicate } => self.store(seed, age_ms, duplicate),
            Step::Change { which, is_deleted } => self.change(which, is_deleted),
            Step::Deliver { skipped, count } => self.deliver(skipped, count),
            Step::Redeliver { count } => {
                let again: Vec<_> = self.came.iter().rev().take(count).copied().collect();
                for place in again {
                    self.take(place);
                }
            }
            Step::Read => self.read(),
        }
    }

    fn store(&mut self, seed: u32, age_ms: i64, duplicate: bool) {
        let id = entry(seed, START_MS).id;
        let row = if let Some(stored) = self.rows.iter().find(|row| row.id == id) {
            stored.clone()
        } else {
            // What was deleted may come again as it was.
            let again = self.deleted.iter().position(|row| row.id == id);
            let row =
                again.map_or_else(|| entry(seed, START_MS - age_ms), |place| self.deleted.remove(place));
            self.rows.push(row.clone());
            self.stream.push(Message::Usage(Box::new(row.clone())));
            row
        };
        if duplicate {
            self.stream.push(Message::Usage(Box::new(UsageEntry { duplicate, ..row })));
        }
    }

    fn change(&mut self, which: usize, is_deleted: bool) {
        let changed: Vec<_> =
            (0..self.rows.len()).filter(|row| self.rows[*row].scope == changing()).collect();
        let Some(place) = (!changed.is_empty()).then(|| changed[which % changed.len()]) else { return };
        let minute_ms = self.rows[place].created_at.minute().millis();
        if is_deleted {
            self.deleted.push(self.rows.remove(place));
        } else {
            self.rows[place].cost = Some("7.5".parse().unwrap());
        }
        self.stream.push(Message::Dirty(changing(), minute_ms));
    }

    fn deliver(&mut self, skipped: usize, count: usize) {
        let coming = (0..self.stream.len()).filter(|place| !self.came.contains(place));
        let coming: Vec<_> = coming.skip(skipped).take(count).collect();
        for place in coming {
            self.take(place);
            self.came.insert(place);
        }
    }

    fn take(&mut self, place: usize) {
        let sequence = place as u64 + 1;
        match &self.stream[place] {
            Message::Usage(entry) => {
                self.fold.apply(sequence, std::slice::from_ref(&**entry), at(START_MS));
            }
            Message::Dirty(scope, minute_ms) => {
                self.fold.outdate(sequence, scope, &[at(*minute_ms)], at(START_MS));
            }
        }
    }

    fn read(&mut self) {
        self.reading = match std::mem::replace(&mut self.reading, Reading::None) {
            Reading::None => match self.fold.begin_reread(self.limits, at(START_MS)) {
                Some(reread) => Reading::Begun(Box::new(reread)),
                None => Reading::None,
            },
            Reading::Begun(reread) => Reading::Noted(reread, self.stream.len() as u64),
            Reading::Noted(reread, last_sequence) => {
                // ClickHouse gives the ids of what was stored, or ended, lately: of all that nobody had told of, and of some other rows.
                let told = usize::try_from(last_sequence).unwrap();
                let untold = self.stream.iter().skip(told).filter(|message| !message.is_duplicate());
                let untold: HashSet<EventId> = untold.filter_map(Message::id).collect();
                let just_ended = |row: &&UsageEntry| row.created_at.millis() >= START_MS - OVERLAP_MS;
                let is_known = |row: &&UsageEntry| just_ended(row) || untold.contains(&row.id);
                let recent = self.rows.iter().filter(is_known).map(|row| row.id).collect();
                let scopes: BTreeSet<Scope> = reread.scopes().clone();
                let mut warm_up = reread.begin(at(START_MS));
                let past = Model::of(self.rows.clone()).past(START_MS, &recent);
                past.iter()
                    .filter(|bucket| scopes.contains(&bucket.scope))
                    .for_each(|bucket| warm_up.load(bucket));
                Reading::Done(Box::new(warm_up.finish(at(START_MS))), last_sequence)
            }
            Reading::Done(read, last_sequence) => {
                self.fold.finish_reread(*read, last_sequence);
                Reading::None
            }
        };
    }

    /// What was told of, and came, and is in no reading: what those see who are not changed.
    fn check_others(&self, group_by: &[Dimension]) {
        let came = self.came.iter().filter_map(|place| self.stream[*place].id());
        let came: HashSet<EventId> = came.collect();
        let came = self.rows.iter().filter(|row| came.contains(&row.id) && row.scope == unchanging());
        self.check(&unchanging(), &Model::of(came.cloned()), group_by);
    }

    fn check(&self, scope: &Scope, model: &Model, group_by: &[Dimension]) {
        // What came late is told by when it came, which is not looked at here.
        let live = LiveSnapshot { late: 0, ..ask(&self.fold, scope, group_by, START_MS) };
        assert_eq!(live, model.snapshot(scope, group_by, START_MS));
    }
}

impl Message {
    fn is_duplicate(&self) -> bool {
        matches!(self, Self::Usage(entry) if entry.duplicate)
    }

    fn id(&self) -> Option<EventId> {
        match self {
            Self::Usage(entry) => Some(entry.id),
            Self::Dirty(..) => None,
        }
    }
}

fn changing() -> Scope {
    scope("gw-a")
}

fn unchanging() -> Scope {
    scope("gw-b")
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let age = prop_oneof![2 => 0_i64..300_000, 1 => 0_i64..80_000_000];
    let store = (0_u32..24, age, prop::bool::weighted(0.2))
        .prop_map(|(seed, age_ms, duplicate)| Step::Store { seed, age_ms, duplicate });
    let change =
        (any::<usize>(), any::<bool>()).prop_map(|(which, is_deleted)| Step::Change { which, is_deleted });
    let step = prop_oneof![
        5 => store,
        3 => change,
        5 => (0_usize..3, 1_usize..5).prop_map(|(skipped, count)| Step::Deliver { skipped, count }),
        1 => (1_usize..5).prop_map(|count| Step::Redeliver { count }),
        6 => Just(Step::Read),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn tenants_whose_rows_change_are_read_again_while_messages_come(
        steps in steps(),
        places in prop::sample::select(vec![1_usize, 4, 1_000]),
    ) {
        let limits = Limits { keys_max: places, ..limits() };
        // Only the whole has no rest.
        let group_by = if places == 1_000 { Dimension::ALL } else { &[] };
        let mut world = World::new(limits);
        for step in steps {
            world.step(&step);
            world.check_others(group_by);
            prop_assert!(!world.fold.needs_warm_up(at(START_MS)));
            prop_assert!(world.fold.keys() <= places);
            let is_idle = matches!(world.reading, Reading::None);
            let live = ask(&world.fold, &changing(), group_by, START_MS);
            if is_idle && live.complete && world.came.len() == world.stream.len() {
                world.check(&changing(), &Model::of(world.rows.clone()), group_by);
            }
        }
        world.deliver(0, usize::MAX);
        while world.fold.is_outdated() || !matches!(world.reading, Reading::None) {
            world.read();
        }
        world.check(&changing(), &Model::of(world.rows.clone()), group_by);
        world.check_others(group_by);
    }
}

#[test]
fn a_change_is_read_again_only_if_a_window_has_it_and_no_reading_was_later() {
    let mut fold = warm(10, &[], START_MS);
    let minute = |age_ms: i64| [at(START_MS - age_ms)];
    let mut check = |sequence, age_ms: i64, expected: bool| {
        let outdated = fold.outdate(sequence, &changing(), &minute(age_ms), at(START_MS));
        assert_eq!(outdated, expected, "{sequence}");
        assert_eq!(fold.is_outdated(), expected, "{sequence}");
        assert_eq!(ask(&fold, &changing(), &[], START_MS).complete, !expected, "{sequence}");
        assert!(ask(&fold, &unchanging(), &[], START_MS).complete);
        assert!(!fold.needs_warm_up(at(START_MS)));
    };
    // The warm-up was later than the message.
    check(10, 0, false);
    check(11, super::DAY_MS + SLACK_MS + 1, false);
    // It is ahead of the clock, and will be in a window.
    check(12, -AHEAD_MAX_MS, true);
    // Its sequence is taken in like any other.
    assert_eq!(fold.apply(12, &[entry(1, START_MS)], at(START_MS)).redelivered, 1);

    let reread = |fold: &mut Fold, last_sequence| {
        let reading = fold.begin_reread(limits(), at(START_MS)).unwrap().begin(at(START_MS));
        fold.finish_reread(reading.finish(at(START_MS)), last_sequence);
        fold.is_outdated()
    };
    assert!(reread(&mut fold, 11), "it was not in what was read");
    assert!(!reread(&mut fold, 20));
    assert!(!fold.outdate(20, &changing(), &minute(0), at(START_MS)), "it was");
    assert!(fold.outdate(19, &unchanging(), &minute(0), at(START_MS)), "of whom nothing was read");

    // Of two changes the earlier one may be told of later.
    for sequence in [40, 35] {
        assert!(fold.outdate(sequence, &changing(), &minute(0), at(START_MS)));
    }
    assert!(reread(&mut fold, 37));
    assert!(
        !ask(&fold, &changing(), &[], START_MS).complete && ask(&fold, &unchanging(), &[], START_MS).complete
    );
}

#[test]
fn what_comes_of_a_tenant_after_its_past_was_noted_is_folded_once() {
    let mut fold = warm(0, &[], START_MS);
    let (first, second, third) = (entry(2, START_MS), entry(4, START_MS), entry(6, START_MS));
    let requests = |fold: &Fold| {
        let rows = ask(fold, &changing(), &[], START_MS).rows;
        rows.first().map_or(0, |row| row.windows[0].requests)
    };
    fold.apply(1, std::slice::from_ref(&first), at(START_MS));
    fold.outdate(2, &changing(), &[at(START_MS)], at(START_MS));
    let reread = fold.begin_reread(limits(), at(START_MS)).unwrap();
    // The first was deleted; of what is published after sequence 2 the second was read and the third was not.
    let recent = HashSet::from([second.id]);
    let mut read = reread.begin(at(START_MS));
    Model::of([second.clone()]).past(START_MS, &recent).iter().for_each(|bucket| read.load(bucket));
    fold.apply(3, &[second, third], at(START_MS));
    assert_eq!(requests(&fold), 3);
    fold.finish_reread(read.finish(at(START_MS)), 2);
    assert_eq!(requests(&fold), 2);
    // It was deleted before the reading, so nothing of it is left that it could be taken for.
    assert_eq!(fold.apply(4, &[first], at(START_MS)).folded, 1);
    assert_eq!(requests(&fold), 3);
}

#[test]
fn changes_of_very_many_tenants_have_all_of_the_past_read() {
    let mut fold = warm(0, &[], START_MS);
    let tenants = (0..=256).map(|n| scope(&format!("gw-{n}")));
    for (sequence, tenant) in (1..).zip(tenants) {
        assert!(!fold.needs_warm_up(at(START_MS)));
        fold.outdate(sequence, &tenant, &[at(START_MS - MINUTE_MS)], at(START_MS));
    }
    assert!(fold.needs_warm_up(at(START_MS)));
}

#[test]
fn a_reading_that_is_given_up_changes_nothing() {
    let mut fold = warm(0, &[], START_MS);
    fold.apply(1, &[entry(2, START_MS)], at(START_MS));
    fold.outdate(2, &changing(), &[at(START_MS)], at(START_MS));
    let read = fold.begin_reread(limits(), at(START_MS)).unwrap().begin(at(START_MS)).finish(at(START_MS));
    fold.give_reread_up();
    fold.finish_reread(read, 2);
    assert!(fold.is_outdated());
    assert_eq!(ask(&fold, &changing(), &[], START_MS).rows.len(), 1);
}

#[test]
fn ids_that_are_read_are_held_and_those_of_the_reading_before_are_not() {
    let limits = Limits { ids_max: 2, ..limits() };
    let mut fold = WarmUp::begin(limits, 0, at(START_MS)).finish(at(START_MS));
    let events: Vec<_> = (0..5).map(|seed| entry(seed * 2, START_MS)).collect();
    let recent = events.iter().map(|event| event.id).collect();
    for sequence in 1..=20 {
        fold.outdate(sequence, &changing(), &[at(START_MS)], at(START_MS));
        let mut read = fold.begin_reread(limits, at(START_MS)).unwrap().begin(at(START_MS));
        Model::of(events.clone()).past(START_MS, &recent).iter().for_each(|bucket| read.load(bucket));
        fold.finish_reread(read.finish(at(START_MS)), sequence);
        fold.keep_ids(1);
        assert_eq!((fold.ids(), fold.ids_not_held()), (5, 0), "{sequence}");
    }
    assert_eq!(fold.apply(21, &events, at(START_MS)).repeated, 5);
    fold.folded_through(at(START_MS + MINUTE_MS));
    assert_eq!((fold.ids(), fold.ids_not_held()), (2, 2));
    fold.keep_ids(1);
    assert_eq!(fold.ids(), 1);
}
