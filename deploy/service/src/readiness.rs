//! Whether this process should be sent work.
//!
//! Each part registers one [`ReadinessCheck`] and sets it as its dependency comes and goes. The process is ready
//! when every check passes and it is not draining.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// The set of checks of one process. Clones share it.
#[derive(Clone, Debug)]
pub struct Readiness {
    checks: Arc<Mutex<BTreeMap<&'static str, Option<String>>>>,
    draining: CancellationToken,
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
        self.lock().entry(name).or_insert_with(|| Some("starting".to_owned()));
        ReadinessCheck { name, readiness: self.clone() }
    }

    /// How things stand now.
    #[must_use]
    pub fn report(&self) -> ReadinessReport {
        let draining = self.draining.is_cancelled();
        let checks = self.lock();
        let failing: BTreeMap<_, _> =
            checks.iter().filter_map(|(name, reason)| Some((*name, reason.clone()?))).collect();
        let passing = checks.iter().filter(|(_, reason)| reason.is_none()).map(|(name, _)| *name).collect();
        ReadinessReport { ready: failing.is_empty() && !draining, draining, failing, passing }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Option<String>>> {
        // The map is whole at every unlock, so a panic elsewhere does not spoil it.
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadinessCheck {
    /// The part can do its work.
    pub fn pass(&self) {
        self.readiness.lock().insert(self.name, None);
    }

    /// The part cannot do its work, because of `reason` (a short lowercase fragment; never a secret).
    pub fn fail(&self, reason: impl Into<String>) {
        self.readiness.lock().insert(self.name, Some(reason.into()));
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
