//! The task that shares the shards out: takes leases, has an intake work for each, and gives back what is more than its part.
//!
//! Nobody decides for others. Each process holds the lease of a place among the members, counts the places that are taken, and
//! holds at most its part of the shards, rounded up. What nobody holds is taken by whoever looks next and has less.

use std::collections::BTreeMap;
use std::convert::Infallible;

use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use weir_event::bus::SHARDS;
use weir_service::lifecycle::Shutdown;
use weir_service::readiness::ReadinessCheck;
use weir_service::telemetry::chain;

use super::intake::{Ended, Intake, IntakeParts, Windows};
use crate::lease::{Lease, LeaseError, Leases, Standing};
use crate::shared_fold::{HeldShard, HeldShards, now};

/// What the shards say about themselves at `/readyz`.
#[derive(Clone, Debug)]
pub struct ShardChecks {
    /// This process has its part of the shards.
    pub shards: ReadinessCheck,
    /// Messages of them can be pulled.
    pub stream: ReadinessCheck,
    /// Their windows hold the past.
    pub warm_up: ReadinessCheck,
}

/// Owns the shards of this process.
#[derive(Debug)]
pub struct ShardsTask {
    /// Where shards are taken.
    pub leases: Leases,
    /// What intakes need.
    pub parts: IntakeParts,
    /// What is held, for those who serve it.
    pub held: HeldShards,
    /// Cancelled when everything that was touched is written.
    pub flushed: CancellationToken,
    /// What is said at `/readyz`.
    pub checks: ShardChecks,
}

/// The task while it runs.
struct Running {
    leases: Leases,
    parts: IntakeParts,
    held: HeldShards,
    checks: ShardChecks,
    place: Option<Lease>,
    working: BTreeMap<u16, Working>,
    /// Windows of shards whose lease was lost, with its epoch: they go on where they were if nobody else had it meanwhile.
    left: BTreeMap<u16, (u64, Windows)>,
}

/// A shard that an intake works for.
struct Working {
    held: HeldShard,
    epoch: u64,
    stop: CancellationToken,
    intake: JoinHandle<Ended>,
}

impl ShardsTask {
    /// Works until the soft stop. Then intakes end, what they touched is written, and the shards are given back.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Infallible> {
        let Self { leases, parts, held, flushed, checks } = self;
        checks.shards.fail("not looked for yet");
        checks.warm_up.fail("the past is not read yet");
        let (place, working, left) = (None, BTreeMap::new(), BTreeMap::new());
        let mut running = Running { leases, parts, held, checks, place, working, left };
        tokio::select! {
            () = running.run() => {}
            () = shutdown.soft_stop().cancelled() => {}
        }
        let Running { leases, parts, place, working, held, .. } = running;
        // Others may take more than their part from here on.
        if let Some(place) = place {
            place.give_back().await;
        }
        let mut ended = Vec::new();
        for (shard, working) in working {
            ended.push(working.end().await);
            held.remove(shard);
        }
        // The last sender: the rollups write what is left, and end.
        drop(parts);
        tokio::select! {
            () = flushed.cancelled() => {}
            // What is not written is not acknowledged either, and is for whoever is next.
            () = sleep(leases.timeout()) => tracing::warn!("shards are given back with what is not written"),
            () = shutdown.hard_stop().cancelled() => {}
        }
        join_all(ended.into_iter().map(|ended| ended.lease.give_back())).await;
        Ok(())
    }
}

impl Running {
    async fn run(&mut self) {
        loop {
            self.collect().await;
            match self.balance().await {
                Ok(part) => self.show(part),
                Err(error) => {
                    tracing::warn!(error = chain(&error), "shards cannot be looked for");
                    self.checks.shards.fail(error.to_string());
                }
            }
            sleep(self.leases.look_interval()).await;
        }
    }

    /// Takes back the windows of shards whose lease was lost.
    async fn collect(&mut self) {
        let is_lost = |working: &Working| !working.held.is_held();
        let lost: Vec<u16> =
            self.working.iter().filter(|(_, working)| is_lost(working)).map(|(shard, _)| *shard).collect();
        for shard in lost {
            self.held.remove(shard);
            let Some(working) = self.working.remove(&shard) else { continue };
            let epoch = working.epoch;
            self.left.insert(shard, (epoch, working.end().await.windows));
        }
        self.show_shards();
    }

    /// Gives back what is more than the part of this process, and takes what it lacks. Gives how many shards it is sure to get,
    /// whatever the others do.
    async fn balance(&mut self) -> Result<usize, LeaseError> {
        self.watch().await;
        let others = self.take_place().await?;
        let members = others + usize::from(self.place.is_some());
        let shards = usize::from(SHARDS);
        let most = if self.place.is_some() { shards.div_ceil(members) } else { 0 };
        while self.working.len() > most {
            let Some((shard, working)) = self.working.pop_last() else { break };
            self.held.remove(shard);
            working.end().await.lease.give_back().await;
        }
        self.take_shards(most).await?;
        self.show_shards();
        // Who comes when all places are taken stands by.
        Ok(if others < shards { shards.saturating_sub(others * most) } else { 0 })
    }

    /// Looks at the shards of others, also while there is nothing to take: that a lease is not renewed any more is known only
    /// a timeout after it was seen first.
    async fn watch(&self) {
        let (working, leases) = (&self.working, &self.leases);
        let looks = (0..SHARDS).filter(|shard| !working.contains_key(shard)).map(|shard| async move {
            // What cannot be looked at is said where it is to be taken.
            let _ = leases.look(&format!("shard.{shard}")).await;
        });
        join_all(looks).await;
    }

    /// Takes a place among the members if this process has none. Gives how many others have one.
    async fn take_place(&mut self) -> Result<usize, LeaseError> {
        if self.place.as_ref().is_some_and(|place| !place.holding().is_held()) {
            self.place = None;
        }
        let leases = &self.leases;
        let looks = (0..SHARDS).map(|place| async move {
            let name = format!("member.{place}");
            Ok::<_, LeaseError>((leases.look(&name).await?, name))
        });
        let looks: Vec<_> = join_all(looks).await.into_iter().collect::<Result<_, _>>()?;
        if self.place.is_none() {
            for (_, name) in looks.iter().filter(|(standing, _)| *standing == Standing::Free) {
                self.place = self.leases.take(name).await?;
                if self.place.is_some() {
                    break;
                }
            }
        }
        Ok(looks.iter().filter(|(standing, _)| *standing == Standing::Others).count())
    }

    /// Takes shards that nobody has, until there are `most`.
    async fn take_shards(&mut self, most: usize) -> Result<(), LeaseError> {
        let mut candidates =
            (0..SHARDS).filter(|shard| !self.working.contains_key(shard)).collect::<Vec<_>>();
        while self.working.len() < most && !candidates.is_empty() {
            let rest = candidates.split_off(candidates.len().min(most - self.working.len()));
            let leases = &self.leases;
            let takes = candidates
                .iter()
                .map(|&shard| async move { (shard, leases.take(&format!("shard.{shard}")).await) });
            let mut failed = None;
            for (shard, taken) in join_all(takes).await {
                match taken {
                    Ok(Some(lease)) => self.work(shard, lease),
                    // Somebody else has it, so what we had of it does not go on.
                    Ok(None) => _ = self.left.remove(&shard),
                    Err(error) => failed = Some(error),
                }
            }
            failed.map_or(Ok(()), Err)?;
            candidates = rest;
        }
        Ok(())
    }

    fn work(&mut self, shard: u16, lease: Lease) {
        let is_next = |(epoch, _): &(u64, Windows)| lease.previous_epoch() == Some(*epoch);
        let left = self.left.remove(&shard).filter(is_next);
        let windows = left.map_or_else(|| Windows::cold(&self.parts), |(_, windows)| windows);
        let (holding, stop) = (lease.holding(), CancellationToken::new());
        let epoch = holding.epoch();
        let held = HeldShard::new(windows.fold.clone(), holding);
        self.held.put(shard, held.clone());
        let intake = Intake::new(self.parts.clone(), (shard, lease), held.clone(), windows);
        let intake = tokio::spawn(intake.run(stop.clone()));
        self.working.insert(shard, Working { held, epoch, stop, intake });
    }

    fn show_shards(&self) {
        let count = i64::try_from(self.working.len()).unwrap_or(i64::MAX);
        self.parts.metrics.shards_held.set(count);
    }

    /// Says how the shards do, where this process is to have at least `part` of them.
    fn show(&self, part: usize) {
        let held = self.held.held();
        let now = now(&self.parts.clock);
        let remembered: usize = held.values().map(|shard| shard.fold.lock().ids_not_held()).sum();
        // Of what is too much each shard lets go of its part.
        let ids_max = self.parts.limits.ids_max;
        let part_of = |ids: usize| if remembered > ids_max { ids * ids_max / remembered } else { ids };
        let (mut keys, mut ids, mut pending, mut is_warm, mut trouble) = (0, 0, 0_u64, true, None);
        for shard in held.values() {
            let state = shard.state();
            pending += state.pending;
            trouble = trouble.or(state.trouble);
            let mut fold = shard.fold.lock();
            let most = part_of(fold.ids_not_held());
            fold.keep_ids(most);
            is_warm &= !fold.needs_warm_up(now);
            keys += fold.keys();
            ids += fold.ids();
        }
        let metrics = &self.parts.metrics;
        metrics.keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
        metrics.ids.set(i64::try_from(ids).unwrap_or(i64::MAX));
        metrics.messages_pending.set(i64::try_from(pending).unwrap_or(i64::MAX));
        metrics.warm.set(i64::from(is_warm));
        say(&self.checks.shards, held.len() >= part, "shards are held by others that are gone, or by nobody");
        say(&self.checks.warm_up, is_warm && held.len() >= part, "the past is not read yet");
        match trouble {
            Some(why) => self.checks.stream.fail(why),
            None => self.checks.stream.pass(),
        }
    }
}

impl Working {
    /// Ends the intake. One that panicked takes us along.
    async fn end(self) -> Ended {
        self.stop.cancel();
        match self.intake.await {
            Ok(ended) => ended,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

fn say(check: &ReadinessCheck, passes: bool, otherwise: &str) {
    if passes {
        check.pass();
    } else {
        check.fail(otherwise);
    }
}
