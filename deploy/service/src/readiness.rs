//! Whether this process should be sent work.
//!
//! Each part registers one [`ReadinessCheck`] and sets it as its dependency comes and goes. The process is ready
//! when every check passes and it is not draining. A check may stand in for others: while it passes, their failing is told
//! and does no harm, and its own failing does none while they pass.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// The set of checks of one process. Clones share it.
#[derive(Clone, Debug)]
pub struct Readiness {
    checks: Arc<Mutex<Checks>>,
    draining: CancellationToken,
}

#[derive(Debug, Default)]
struct Checks {
    /// Why each fails.
    reasons: BTreeMap<&'static str, Option<String>>,
    /// Those that stand in, and for which others.
    stand_ins: BTreeMap<&'static str, &'static [&'static str]>,
}

/// One part's say in readiness. It fails with "starting" until it is set.
#[derive(Clone, Debug)]
pub struct ReadinessCheck {
    name: &'static str,
    readiness: Readiness,
}

/// What `/readyz` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReadinessReport {
    /// Whether work should be sent here.
    pub ready: bool,
    /// Whether the process is on its way out.
    pub draining: bool,
    /// Each failing check with its reason.
    pub failing: BTreeMap<&'static str, String>,
    /// Those that fail and do no harm, since another one stands in or is not needed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub degraded: BTreeMap<&'static str, String>,
    /// The checks that pass.
    pub passing: Vec<&'static str>,
}

impl Readiness {
    /// No checks yet; draining once `soft_stop` is cancelled.
    #[must_use]
    pub fn new(soft_stop: CancellationToken) -> Self {
        Self { checks: Arc::default(), draining: soft_stop }
    }

    /// Registers a check; it fails with "starting" until it is set. A name used twice is the same check.
    #[must_use]
    pub fn register(&self, name: &'static str) -> ReadinessCheck {
        self.lock().reasons.entry(name).or_insert_with(|| Some("starting".to_owned()));
        ReadinessCheck { name, readiness: self.clone() }
    }

    /// Registers a check that stands in for others: work can be done as long as it passes or all of them do.
    #[must_use]
    pub fn register_stand_in(&self, name: &'static str, others: &'static [&'static str]) -> ReadinessCheck {
        self.lock().stand_ins.insert(name, others);
        self.register(name)
    }

    /// How things stand now.
    #[must_use]
    pub fn report(&self) -> ReadinessReport {
        let draining = self.draining.is_cancelled();
        let checks = self.lock();
        let passes = |name: &str| checks.reasons.get(name).is_some_and(Option::is_none);
        let is_harmless = |name: &str| match checks.stand_ins.get(name) {
            Some(others) => others.iter().all(|other| passes(other)),
            None => checks.stand_ins.iter().any(|(other, names)| names.contains(&name) && passes(other)),
        };
        let failing = checks.reasons.iter().filter_map(|(name, reason)| Some((*name, reason.clone()?)));
        let (degraded, failing): (BTreeMap<_, _>, BTreeMap<_, _>) =
            failing.partition(|(name, _)| is_harmless(name));
        let passing = checks.reasons.keys().copied().filter(|name| passes(name)).collect();
        ReadinessReport { ready: failing.is_empty() && !draining, draining, failing, degraded, passing }
    }

    fn lock(&self) -> MutexGuard<'_, Checks> {
        // The map is whole at every unlock, so a panic elsewhere does not spoil it.
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadinessCheck {
    /// The part can do its work.
    pub fn pass(&self) {
        self.readiness.lock().reasons.insert(self.name, None);
    }

    /// The part cannot do its work, because of `reason` (a short lowercase fragment; never a secret).
    pub fn fail(&self, reason: impl Into<String>) {
        self.readiness.lock().reasons.insert(self.name, Some(reason.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_that_every_check_passes() {
        let readiness = Readiness::new(CancellationToken::new());
        let store = readiness.register("clickhouse");
        let bus = readiness.register("nats");
        assert_eq!(readiness.report().failing["nats"], "starting");
        store.pass();
        assert!(!readiness.report().ready);
        bus.pass();
        assert!(readiness.report().ready);
        store.fail("connection refused");
        let report = readiness.report();
        assert!(!report.ready);
        assert_eq!(report.failing["clickhouse"], "connection refused");
        assert_eq!(report.passing, ["nats"]);
    }

    #[test]
    fn a_check_that_stands_in_is_enough_and_not_needed() {
        let readiness = Readiness::new(CancellationToken::new());
        let (store, bus) = (readiness.register("clickhouse"), readiness.register("nats"));
        let spool = readiness.register_stand_in("spool", &["clickhouse"]);
        let check = |ready: bool, failing: &[&str], degraded: &[&str]| {
            let report = readiness.report();
            let names = |checks: &BTreeMap<&'static str, String>| checks.keys().copied().collect::<Vec<_>>();
            assert_eq!(
                (report.ready, names(&report.failing), names(&report.degraded)),
                (ready, failing.to_vec(), degraded.to_vec())
            );
        };
        bus.pass();
        check(false, &["clickhouse", "spool"], &[]);
        store.pass();
        check(true, &[], &["spool"]);
        spool.pass();
        store.fail("connection refused");
        check(true, &[], &["clickhouse"]);
        bus.fail("disconnected");
        check(false, &["nats"], &["clickhouse"]);
        spool.fail("full");
        check(false, &["clickhouse", "nats", "spool"], &[]);
    }

    #[test]
    fn draining_is_not_ready() {
        let soft_stop = CancellationToken::new();
        let readiness = Readiness::new(soft_stop.clone());
        assert!(readiness.report().ready);
        soft_stop.cancel();
        let report = readiness.report();
        assert!(!report.ready && report.draining && report.failing.is_empty());
    }

    #[test]
    fn registering_a_name_again_does_not_forget_that_it_passes() {
        let readiness = Readiness::new(CancellationToken::new());
        readiness.register("nats").pass();
        let _again = readiness.register("nats");
        assert!(readiness.report().ready);
    }
}
