//! Tests of plans, with rows as they may be.

use weir_event::{Source, Usd};
use weir_store::ScaledUsd;

use super::*;
use crate::accept::{Form, Origin, RawRecord};
use crate::pipeline::Pipeline;
use crate::price::PriceBook;
use crate::sink::Encoded;
use crate::sink::replay::StatedCost;

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
        cost: batch.events.first().map(StatedCost::of).unwrap_or_default(),
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
        cost: None,
        cost_source: "unpriced".to_owned(),
        unpriced_reason: "no_usage".to_owned(),
        price_id: String::new(),
        price_book: String::new(),
        cost_revision: 0,
        quota: None,
        quota_source: String::new(),
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
    assert_eq!(plan.new_rows(now()).map(|row| (row.index, row.at)).collect::<Vec<_>>(), [(0, now())]);
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
    let found: Vec<_> = of_writes.iter().map(|entry| (entry.hour, entry.write_id, entry.stored)).collect();
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
fn every_row_that_is_to_be_written_has_a_mark_and_no_other_has() {
    let letters =
        [reread(&log(1), None), reread(&log(2), Some(0)), reread(&log(3), Some(2)), reread("{}", None)];
    let at = NOW_MS - 10;
    let known = known(vec![row(&letters[1], at, 10, 1), row(&letters[2], at, 10, 2)]);
    let letters: Vec<_> = letters.iter().collect();
    let marks = Plan::of(&letters, &known).marks(&letters, now(), 13);
    let marked: Vec<_> = marks.iter().filter_map(|mark| Some(mark.event()?.1)).collect();
    let id = |index: usize| letters[index].batch.events().next().unwrap().id;
    assert_eq!(marked, [id(0), id(1)], "the third is as closed as before");
}

#[test]
fn a_row_is_replaced_if_more_of_it_is_open_now() {
    let check = |closed: usize, rows: &[(i64, u64, usize)], expected: Outcome, new_at: Option<i64>| {
        let letter = reread(&log(1), Some(closed));
        let rows = rows.iter().map(|(at, write_id, closed)| row(&letter, *at, *write_id, *closed)).collect();
        let letters = [&letter];
        let plan = Plan::of(&letters, &known(rows));
        assert_eq!(plan.outcomes, [expected], "{closed}");
        let found: Vec<_> = plan.new_rows(now()).map(|row| row.at.millis()).collect();
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

#[test]
fn a_cost_that_is_another_one_once_the_row_is_open_is_a_revision() {
    let cost = StatedCost {
        cost: Some(ScaledUsd::from("0.5".parse::<Usd>().unwrap())),
        cost_source: "computed".to_owned(),
        price_book: "of now".to_owned(),
        ..StatedCost::default()
    };
    let letter = Reread { cost: cost.clone(), ..reread(&log(1), Some(0)) };
    let check = |before: KnownRow, expected: (u32, usize)| {
        let letters = [&letter];
        let plan = Plan::of(&letters, &known(vec![before]));
        let revision = plan.new_rows(now()).next().unwrap().cost_revision;
        let entered: Vec<_> = plan.cost_revisions().collect();
        assert!(entered.iter().all(|row| row.revision == revision));
        assert_eq!((revision, entered.len()), expected);
    };
    let closed = || row(&letter, NOW_MS - 10, 10, 3);
    check(closed(), (1, 1));
    check(KnownRow { cost_revision: 4, ..closed() }, (5, 1));
    let same = || KnownRow {
        cost: cost.cost,
        cost_source: cost.cost_source.clone(),
        unpriced_reason: cost.unpriced_reason.clone(),
        price_id: cost.price_id.clone(),
        price_book: "of before".to_owned(),
        quota: cost.quota,
        quota_source: cost.quota_source.clone(),
        ..closed()
    };
    check(same(), (0, 0));
    check(KnownRow { cost_revision: 2, ..same() }, (2, 0));
}
