//! One side of the comparison: its times, and what ClickHouse did for it.

use std::time::Duration;

use harness::System;

use super::work::{Work, merged};

/// What was measured of a side, round by round.
pub(crate) struct Side {
    name: &'static str,
    rounds: Vec<Measured>,
}

/// One round of a side.
struct Measured {
    time: Duration,
    /// Until the last answer.
    work: Work,
    /// Until everything was merged as well.
    whole: Work,
}

impl Side {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, rounds: Vec::new() }
    }

    /// Runs a round, which gives its time. Its merges come to their end before it returns, so that no side pays for the
    /// one before it. The round before the first warms everything up, and does not count.
    pub(crate) async fn run(&mut self, system: &System, number: u64, round: impl Future<Output = Duration>) {
        let before = Work::now(system).await;
        let time = round.await;
        let work = Work::now(system).await.since(&before);
        merged(system).await;
        let whole = Work::now(system).await.since(&before);
        if number > 0 {
            println!(
                "round {number}: {} in {time:.2?}; CPU {}; with merges {}",
                self.name,
                work.cpu.show(),
                whole.cpu.show()
            );
            self.rounds.push(Measured { time, work, whole });
        }
    }

    /// Prints how this side compares to another: its speed, and the CPU of ClickHouse with its merges.
    pub(crate) fn report_over(&self, other: &Self) {
        let speed = |ours: &Measured, theirs: &Measured| theirs.time.as_secs_f64() / ours.time.as_secs_f64();
        self.ratios(other, speed).report(&self.what("speed", other));
        let cpu = |round: &Measured| round.whole.cpu.of("clickhouse");
        let ratios = self.ratios(other, |ours, theirs| cpu(ours) / cpu(theirs));
        ratios.report(&self.what("CPU of ClickHouse", other));
    }

    /// Prints the CPU of all of Weir's processes over that of ClickHouse for another side.
    pub(crate) fn report_all_over(&self, other: &Self) {
        let ratios =
            self.ratios(other, |ours, theirs| ours.whole.cpu.all() / theirs.whole.cpu.of("clickhouse"));
        ratios.report(&self.what("CPU of all processes", other));
    }

    /// The CPU of ClickHouse in the last round, with its merges.
    pub(crate) fn last_cpu(&self) -> Duration {
        self.rounds.last().map(|round| round.whole.cpu.time_of("clickhouse")).unwrap_or_default()
    }

    fn ratios(&self, other: &Self, ratio: impl Fn(&Measured, &Measured) -> f64) -> Ratios {
        let pairs = self.rounds.iter().zip(&other.rounds);
        Ratios(pairs.map(|(ours, theirs)| ratio(ours, theirs)).collect())
    }

    fn what(&self, of: &str, other: &Self) -> String {
        format!("{of} of {} / {}", self.name, other.name)
    }

    /// Prints what ClickHouse did in a round, in the mean.
    pub(crate) fn report(&self) {
        let (mut work, mut whole) = (Work::default(), Work::default());
        for round in &self.rounds {
            work.add(&round.work);
            whole.add(&round.whole);
        }
        let rounds = self.rounds.len() as u64;
        println!("{}, to the last answer: {}", self.name, work.show(rounds));
        println!("{}, with its merges: {}", self.name, whole.show(rounds));
    }
}

/// The ratios of all rounds.
#[derive(Default)]
pub(crate) struct Ratios(pub(crate) Vec<f64>);

impl Ratios {
    /// Prints the median and the range.
    pub(crate) fn report(mut self, what: &str) {
        self.0.sort_by(f64::total_cmp);
        let (least, median, most) = (self.0[0], self.0[self.0.len() / 2], self.0[self.0.len() - 1]);
        println!("{what}: median {median:.2} ({least:.2} to {most:.2})");
    }
}
