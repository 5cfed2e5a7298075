//! What a tenant's readers are shown.

use super::super::outbox::Said;
use super::*;
use crate::auth::Principal;

const NOW: i64 = 1_790_000_000_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(NOW + millis).unwrap()
}

fn id(n: i64) -> EventId {
    EventId::derive(at(n), &[])
}

fn word(n: i64) -> Word {
    Word::new(id(n), at(n), false)
}

/// A feed with a reader of each filter, who began at [`NOW`].
fn feed(filters: &[&str]) -> (Feed, Vec<Arc<Outbox>>) {
    let scope = Principal::operator("tests").may_read(Scope::parse("acc", "gw").unwrap()).unwrap();
    let mut feed = Feed::new(Source { scope, number: 0 });
    let outboxes: Vec<_> = filters.iter().map(|_| Arc::new(Outbox::default())).collect();
    for ((number, filter), outbox) in (0..).zip(filters).zip(&outboxes) {
        let filter = filter.parse().unwrap();
        feed.add(Reader { number, filter, since: at(0), outbox: outbox.clone() });
    }
    (feed, outboxes)
}

fn row(n: i64, model: &str) -> StoredRow {
    StoredRow::of_model(id(n), at(n), model)
}

/// Has the feed look at what it was told of, where `rows` are what there is.
fn look(feed: &mut Feed, rows: &[StoredRow]) -> Passed {
    let Some((_, words)) = feed.take(100) else { return Passed::default() };
    let found = rows.iter().filter(|row| words.iter().any(|word| word.id == row.id)).cloned().collect();
    feed.show(words, found)
}

/// What waits for a reader: the numbers of rows, and what else it is told.
async fn told(outbox: &Outbox) -> Vec<Result<i64, Said>> {
    // The mark at the end is no gap, for it comes after a row.
    outbox.show(&Arc::new(Shown { id: id(-1), json: String::new() }));
    let mut told = Vec::new();
    loop {
        match outbox.next().await.unwrap() {
            Said::Row(row) if row.id == id(-1) => return told,
            Said::Row(row) => told.push(Ok(row.id.started_at().millis() - NOW)),
            other => told.push(Err(other)),
        }
    }
}

#[tokio::test]
async fn each_reader_has_its_rows_once_and_in_their_order() {
    let (mut feed, outboxes) = feed(&["", r#"model = "a""#, r#"model = "nobody's""#]);
    let rows = [row(3, "a"), row(1, "b"), row(2, "a")];
    for _ in 0..2 {
        for n in [3, 1, 2, 2] {
            feed.hear(word(n));
        }
        look(&mut feed, &rows);
    }
    // One that is on its way already is told of once more.
    feed.hear(word(4));
    let (_, words) = feed.take(100).unwrap();
    feed.hear(word(4));
    feed.show(words, vec![row(4, "b")]);
    assert_eq!(look(&mut feed, &[row(4, "b")]), Passed::default());
    assert_eq!(told(&outboxes[0]).await, [Ok(1), Ok(2), Ok(3), Ok(4)]);
    assert_eq!(told(&outboxes[1]).await, [Ok(2), Ok(3)]);
    assert_eq!(told(&outboxes[2]).await, []);
}

#[tokio::test]
async fn what_was_there_before_is_not_shown_when_it_is_pushed_again() {
    let (mut feed, outboxes) = feed(&[""]);
    let again = |n| Word::new(id(n), at(n), true);
    // Stored before the reader came, stored since, and told of as new besides.
    for word in [again(-2), again(2), again(-3), word(-3)] {
        feed.hear(word);
    }
    let passed = look(&mut feed, &[row(-2, "a"), row(2, "a"), row(-3, "a")]);
    assert_eq!(passed, Passed { shown: 2, dropped: 0 });
    assert_eq!(told(&outboxes[0]).await, [Ok(-3), Ok(2)]);
}

#[tokio::test]
async fn a_row_that_is_not_there_is_looked_for_a_few_times() {
    let (mut feed, outboxes) = feed(&[""]);
    feed.hear(word(1));
    feed.hear(word(2));
    look(&mut feed, &[]);
    assert!(feed.is_pending());
    look(&mut feed, &[row(2, "a")]);
    for _ in 2..LOOKS_MAX {
        assert!(feed.is_pending());
        look(&mut feed, &[row(2, "a")]);
    }
    assert!(!feed.is_pending());
    assert_eq!(told(&outboxes[0]).await, [Ok(2), Err(Said::Gap(Some(1)))]);
    // Of one that was there before nobody knows whether anybody misses it.
    feed.hear(Word::new(id(3), at(3), true));
    for _ in 0..LOOKS_MAX {
        look(&mut feed, &[]);
    }
    assert_eq!((feed.is_pending(), told(&outboxes[0]).await), (false, Vec::new()));
}

#[tokio::test]
async fn what_cannot_wait_is_a_gap_of_so_many_rows() {
    let (mut feed, outboxes) = feed(&[""]);
    let many = i64::try_from(PENDING_MAX).unwrap() + 5;
    (0..many).for_each(|n| feed.hear(word(n)));
    assert_eq!(feed.pending.len(), PENDING_MAX);
    assert_eq!(told(&outboxes[0]).await, [Err(Said::Gap(Some(5)))]);
}

#[test]
fn a_feed_ends_with_its_last_reader() {
    let (mut feed, _) = feed(&["", ""]);
    assert!(feed.remove(0));
    assert!(!feed.remove(1));
}
