//! What ClickHouse refuses of a replay: what is stored all the same is finished, and for the rest nobody waits.

use harness::System;

use super::late::{OPEN, ROWS, expect_put_right, let_time_pass, start_eager};
use super::replay::{INTO, expect_balance, kill_at, orphans, sealed};
use super::run;

const MARKS: &str = "SELECT count() FROM ledger FINAL WHERE startsWith(subject, 'replay:')";

#[tokio::test]
async fn a_letter_that_is_refused_stays_alone_and_nobody_waits_for_it() {
    let system = System::start().await;
    orphans(&system, 0..6).await;
    system.sql("ALTER TABLE logs ADD CONSTRAINT poison CHECK ray_id != '0000000000000003'").await;
    let done = run(&system, &INTO);
    let text = done.text();
    assert!(text.starts_with("6 letters: 5 stored, 0 duplicates, 0 ignored, 0 opened, 1 stay\n"), "{text}");
    assert!(!done.success && text.contains("\nrejected  1 "), "{text}");
    assert_eq!(system.sql(MARKS).await, "12", "of all of them together, and of each alone");
    assert_eq!(system.sql(OPEN).await, "0");
    expect_balance(&system, [6, 5, 0, 1, 0, 5]).await;
}

#[tokio::test]
async fn what_is_stored_of_a_write_that_is_refused_is_counted_once() {
    let system = start_eager().await;
    orphans(&system, 0..1).await;
    sealed(&system, 0).await;
    // It fails when the rows are there.
    let poison = "CREATE MATERIALIZED VIEW poison ENGINE = Memory AS SELECT throwIf(bitAnd(write_id, 1) = 1) AS is_bad FROM logs";
    system.sql(poison).await;
    // Behind the refusal, where the first letter is tried on its own.
    let _held = kill_at(&system, (1, &["max(max_block_number)"])).await;
    system.sql("DROP TABLE poison").await;
    assert_eq!(system.sql(ROWS).await, "3\t2\t2");
    assert_eq!((system.sql(MARKS).await, system.sql(OPEN).await), ("2".to_owned(), "2".to_owned()));
    let_time_pass(&system).await;
    expect_put_right(&system, 2).await;
}
