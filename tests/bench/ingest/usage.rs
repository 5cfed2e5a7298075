//! What the processes of a run used: CPU, and the most memory of ingest.

use std::fs;
use std::time::Duration;

use harness::System;
use weir_local::Service;

/// A clock tick of `/proc`.
const TICK_MS: u64 = 10;

/// CPU by process, in ticks: user and system.
#[derive(Clone, Default)]
pub(crate) struct Cpu(Vec<(String, u64)>);

impl Cpu {
    /// Since the processes began.
    pub(crate) fn now(system: &System) -> Self {
        let services = system.weir.services();
        Self(services.iter().map(|service| (service.name().to_owned(), ticks(service))).collect())
    }

    /// What was used since `before`.
    pub(crate) fn since(mut self, before: &Self) -> Self {
        for ((_, ticks), (_, ticks_before)) in self.0.iter_mut().zip(&before.0) {
            *ticks -= ticks_before;
        }
        self
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.0.resize(other.0.len(), <_>::default());
        for (sum, (name, ticks)) in self.0.iter_mut().zip(&other.0) {
            *sum = (name.clone(), sum.1 + ticks);
        }
    }

    /// What one process used.
    #[expect(clippy::cast_precision_loss, reason = "it becomes a ratio")]
    pub(crate) fn of(&self, name: &str) -> f64 {
        self.0.iter().find(|(service, _)| service == name).unwrap().1 as f64
    }

    /// The same as a time.
    pub(crate) fn time_of(&self, name: &str) -> Duration {
        let (_, ticks) = self.0.iter().find(|(service, _)| service == name).unwrap();
        Duration::from_millis(ticks * TICK_MS)
    }

    /// What all of them used.
    #[expect(clippy::cast_precision_loss, reason = "it becomes a ratio")]
    pub(crate) fn all(&self) -> f64 {
        self.0.iter().map(|(_, ticks)| ticks).sum::<u64>() as f64
    }

    /// What each used that used any.
    pub(crate) fn show(&self) -> String {
        let used = self.0.iter().filter(|(_, ticks)| *ticks > 0);
        used.map(|(name, ticks)| format!("{name} {} ms", ticks * TICK_MS)).collect::<Vec<_>>().join(", ")
    }
}

/// CPU that a process has used since it began, in ticks.
fn ticks(service: &Service) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", service.pid().unwrap())).unwrap();
    // The name is in parentheses and may hold anything; user and system time are the 14th and 15th field.
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// CPU that this thread has used since it began.
pub(crate) fn cpu_of_thread() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split_whitespace().next().unwrap().parse().unwrap())
}

/// The most memory that a process had resident, in MiB.
pub(crate) fn peak_mib(service: &Service) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", service.pid().unwrap())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
