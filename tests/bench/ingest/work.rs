//! What ClickHouse did: inserts, parts, merges and reads, by its own counters.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::System;
use tokio::time::sleep;

use super::usage::Cpu;

/// So long without a merge, and what was inserted is merged as far as it will be.
const QUIET: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(100);

/// Counters of ClickHouse, and the CPU of every process.
#[derive(Clone, Default)]
pub(crate) struct Work {
    events: BTreeMap<String, u64>,
    pub(crate) cpu: Cpu,
}

impl Work {
    /// Since the processes began.
    pub(crate) async fn now(system: &System) -> Self {
        let rows = system.sql("SELECT event, value FROM system.events").await;
        let event = |line: &str| {
            let (name, value) = line.split_once('\t').unwrap();
            (name.to_owned(), value.parse().unwrap())
        };
        Self { events: rows.lines().map(event).collect(), cpu: Cpu::now(system) }
    }

    /// What was done since `before`.
    pub(crate) fn since(mut self, before: &Self) -> Self {
        for (name, value) in &mut self.events {
            *value -= before.count(name);
        }
        Self { cpu: self.cpu.since(&before.cpu), ..self }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (name, value) in &other.events {
            *self.events.entry(name.clone()).or_default() += value;
        }
        self.cpu.add(&other.cpu);
    }

    /// Per round, where it is of so many.
    pub(crate) fn show(&self, rounds: u64) -> String {
        let count = |event: &str| self.count(event) / rounds;
        let mib = |event: &str| count(event) >> 20;
        format!(
            "{} inserts of {} rows; {} parts, {} MiB; {} merges of {} rows, {} MiB; {} reads of {} rows, {} MiB",
            count("InsertQuery"),
            count("InsertedRows"),
            count("MergeTreeDataWriterBlocks"),
            mib("MergeTreeDataWriterUncompressedBytes"),
            count("Merge"),
            count("MergedRows"),
            mib("MergedUncompressedBytes"),
            count("SelectQuery"),
            count("SelectedRows"),
            mib("SelectedBytes"),
        )
    }

    fn count(&self, event: &str) -> u64 {
        self.events.get(event).copied().unwrap_or_default()
    }
}

/// Waits until what was inserted is merged.
pub(crate) async fn merged(system: &System) {
    const MERGES: &str =
        "SELECT (SELECT count() FROM system.merges), sumIf(value, event = 'Merge') FROM system.events";
    let (mut quiet, mut last) = (Duration::ZERO, String::new());
    while quiet < QUIET {
        sleep(POLL).await;
        let merges = system.sql(MERGES).await;
        let is_quiet = merges == last && merges.starts_with("0\t");
        quiet = if is_quiet { quiet + POLL } else { Duration::ZERO };
        last = merges;
    }
}
