//! What the processes of a run used: shares of their CPU, and the most memory of ingest.

use std::fs;

use weir_local::Service;

use harness::System;

/// CPU that a process has used since it began, in clock ticks: user and system.
fn cpu_ticks(service: &Service) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", service.pid().unwrap())).unwrap();
    // The name is in parentheses and may hold anything; user and system time are the 14th and 15th field.
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// CPU by process, in ticks.
pub(crate) struct Cpu(Vec<(String, u64)>);

impl Cpu {
    pub(crate) fn now(system: &System) -> Self {
        Self(
            system
                .weir
                .services()
                .iter()
                .map(|service| (service.name().to_owned(), cpu_ticks(service)))
                .collect(),
        )
    }

    /// Adds what was used since `before`.
    pub(crate) fn add_since(&mut self, before: &Self, now: &Self) {
        self.0.resize(now.0.len(), (String::new(), 0));
        for ((sum, before), now) in self.0.iter_mut().zip(&before.0).zip(&now.0) {
            *sum = (now.0.clone(), sum.1 + now.1 - before.1);
        }
    }

    /// What one process used, against what it used in another time.
    #[expect(clippy::cast_precision_loss, reason = "a ratio of ticks")]
    pub(crate) fn ratio(&self, other: &Self, name: &str) -> f64 {
        let of = |cpu: &Self| cpu.0.iter().find(|(service, _)| service == name).unwrap().1 as f64;
        of(self) / of(other)
    }

    pub(crate) const fn none() -> Self {
        Self(Vec::new())
    }

    /// The share of each process, in percent of all.
    pub(crate) fn shares(&self) -> String {
        let all: u64 = self.0.iter().map(|(_, ticks)| ticks).sum::<u64>().max(1);
        self.0
            .iter()
            .map(|(name, ticks)| format!("{name} {} %", ticks * 100 / all))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// The most memory that ingest had resident, in MiB.
pub(crate) fn ingest_peak_mib(system: &System) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", system.weir.ingest.pid().unwrap())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
