//! What is believed of parts, and when.

use std::time::Duration;

use super::*;
use crate::store::LogSummary;

fn parts(asked_at: Instant, server: &str, names: &[(&str, u128)]) -> Parts {
    let part = |(name, content): &(&str, u128)| Part {
        server: server.to_owned(),
        name: (*name).to_owned(),
        content: *content,
    };
    Parts::new(asked_at, names.iter().map(part).collect()).unwrap()
}

fn rows(server: &str, counts: &[(&str, u64)]) -> Vec<OfPart<LogSummary>> {
    let of_server = [("", 0)];
    let row = |(part, count): &(&str, u64)| OfPart {
        server: server.to_owned(),
        part: (*part).to_owned(),
        summary: LogSummary { total_count: *count, ..LogSummary::default() },
    };
    counts.iter().chain(&of_server).map(row).collect()
}

/// Reads everything that is not known, as it is at `now`.
fn read<S: Summary>(answers: &mut Answers<S>, now: &Parts, rows: Vec<OfPart<S>>, ended_at: Instant) {
    let unknown = answers.unknown(now);
    answers.read(unknown, rows, ended_at);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_is_believed_when_its_parts_are_still_there() {
    let mut answers = Answers::default();
    let begin = Instant::now();
    let before = parts(begin, "s", &[("a", 1), ("b", 2), ("c", 3)]);
    assert!(answers.confirm(&before));
    // There is no row of a in it, and c is merged away while it is read.
    let ended_at = begin + Duration::from_millis(5);
    read(&mut answers, &before, rows("s", &[("b", 7)]), ended_at);

    let too_early = parts(begin + Duration::from_millis(4), "s", &[("a", 1), ("b", 2)]);
    assert!(!answers.confirm(&too_early));
    let after = parts(ended_at, "s", &[("a", 1), ("b", 2), ("c_d", 4)]);
    assert!(answers.confirm(&after));
    assert_eq!(answers.unknown(&after), after.parts[2..]);

    read(&mut answers, &after, rows("s", &[("c_d", 5)]), ended_at);
    assert!(answers.confirm(&after));
    assert_eq!(answers.unknown(&after), []);
    assert_eq!(answers.total(&after).total_count, 12);

    // A part of the same name with other content is another part.
    let again = parts(ended_at, "s", &[("a", 1), ("b", 22)]);
    assert!(answers.confirm(&again));
    assert_eq!(answers.unknown(&again), again.parts[1..]);
}

#[tokio::test(start_paused = true)]
async fn what_another_server_read_is_not_believed() {
    let now = Instant::now();
    let mut answers = Answers::default();
    let here = parts(now, "here", &[("a", 1)]);
    read(&mut answers, &here, rows("there", &[]), now);
    assert!(answers.confirm(&here));
    assert_eq!(answers.unknown(&here).len(), 1);
    read(&mut answers, &here, rows("here", &[("a", 1)]), now);
    assert!(answers.confirm(&parts(now, "there", &[("a", 1)])));
    assert_eq!(answers.unknown(&here).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn parts_that_are_gone_are_forgotten() {
    let now = Instant::now();
    let mut answers = Answers::default();
    for content in 1..100 {
        let there = parts(now, "s", &[("a", content)]);
        read(&mut answers, &there, rows("s", &[("a", 1)]), now);
        assert!(answers.confirm(&there));
        assert_eq!(answers.total(&there).total_count, 1);
    }
    assert!(answers.known.len() <= 2, "{}", answers.known.len());
}

#[test]
fn parts_that_say_nothing_of_the_rows_are_not_used() {
    let now = Instant::now();
    let part = |name: &str, content| Part { server: String::new(), name: name.to_owned(), content };
    assert!(Parts::new(now, vec![part("a", 1)]).is_some());
    assert!(Parts::new(now, Vec::new()).is_none());
    assert!(Parts::new(now, vec![part("a", 0)]).is_none());
    assert!(Parts::new(now, vec![part("a", 1), part("patch-8f-202611_1_1_0", 2)]).is_none());
    assert!(Parts::new(now, vec![part("a", 1); PARTS_MAX + 1]).is_none());
}

#[test]
fn the_question_that_was_not_asked_for_longest_is_forgotten() {
    let summaries = Summaries::<LogSummary>::default();
    let question = |n: usize| {
        let scope = weir_event::Scope {
            account_id: format!("acc-{n}").parse().unwrap(),
            gateway_id: "gw".parse().unwrap(),
        };
        crate::sql::summary(&scope, &weir_filter::Filter::default(), crate::sql::Annotated::NONE)
    };
    let first = summaries.answers(&question(0));
    let second = summaries.answers(&question(1));
    for n in 2..=QUESTIONS_MAX {
        assert!(Arc::ptr_eq(&first, &summaries.answers(&question(0))));
        drop(summaries.answers(&question(n)));
    }
    assert!(Arc::ptr_eq(&first, &summaries.answers(&question(0))));
    assert!(!Arc::ptr_eq(&second, &summaries.answers(&question(1))));
}

#[test]
fn a_total_has_the_extremes_of_all_parts_and_unknown_is_not_zero() {
    let mut total = LogSummary::default();
    let one =
        LogSummary { total_count: 2, min_duration: Some(5), max_duration: Some(9), ..LogSummary::default() };
    let other =
        LogSummary { total_count: 1, min_duration: Some(3), max_duration: Some(4), ..LogSummary::default() };
    for part in [&one, &LogSummary::default(), &other] {
        total.add(part);
    }
    assert_eq!((total.total_count, total.min_duration, total.max_duration), (3, Some(3), Some(9)));
    assert_eq!((total.min_cost, total.max_tokens_in), (None, None));
}
