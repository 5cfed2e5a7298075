//! What goes wrong: processes are killed, frozen and started again, the way to ClickHouse is slow or closed, and the disk of
//! NATS is full.

#![expect(clippy::print_stdout, reason = "the order of the faults is what a run is understood by")]

use std::fmt;
use std::time::Duration;

use harness::SmallDisk;
use tokio::time::{Instant, sleep};
use weir_local::{Kafka, Service, Weir};

use super::way::Manner;
use super::world::World;

/// How long something stays broken.
const BROKEN_MS: std::ops::Range<u64> = 200..3_000;
/// How long everything works in between.
const WHOLE_MS: std::ops::Range<u64> = 300..2_500;

/// One thing that goes wrong, for a while.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill(Victim),
    Freeze(Victim),
    Way(Manner),
    FullDisk,
}

#[derive(Clone, Copy, Debug)]
enum Victim {
    Ingest,
    OtherIngest,
    Aggregator,
    OtherAggregator,
    ClickHouse,
    Nats,
    Kafka,
}

impl Victim {
    const ALL: [Self; 7] = [
        Self::Ingest,
        Self::OtherIngest,
        Self::Aggregator,
        Self::OtherAggregator,
        Self::ClickHouse,
        Self::Nats,
        Self::Kafka,
    ];

    fn service(self, world: &World) -> Option<&Service> {
        let weir = &world.system.weir;
        match self {
            Self::Ingest => Some(&weir.ingest),
            Self::OtherIngest => Some(&world.other_ingest),
            Self::Aggregator => Some(&weir.aggregator),
            Self::OtherAggregator => Some(&world.other_aggregator),
            Self::ClickHouse => Some(&weir.clickhouse.service),
            Self::Nats => Some(&weir.nats.service),
            Self::Kafka => world.kafka.as_ref().map(|kafka| &kafka.service),
        }
    }
}

impl Fault {
    fn draw(rng: &mut fastrand::Rng) -> Self {
        let victim = Victim::ALL[rng.usize(..Victim::ALL.len())];
        match rng.u8(..11) {
            0..5 => Self::Kill(victim),
            5..8 => Self::Freeze(victim),
            8 => Self::Way(Manner::Refuse),
            9 => Self::Way(Manner::Slow),
            _ => Self::FullDisk,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Breaks one thing after another, or two at once, until `end`; mends each. Gives how many there were.
pub(super) async fn inject(world: &World, rng: &mut fastrand::Rng, end: Instant) -> u64 {
    let mut count = 0;
    while Instant::now() < end {
        let mut faults: Vec<_> = (0..=u8::from(rng.u8(..3) == 0)).map(|_| Fault::draw(rng)).collect();
        if faults.iter().any(|fault| matches!(fault, Fault::FullDisk)) && rng.bool() {
            // What comes in has nowhere to go then.
            faults.push(Fault::Kill(Victim::ClickHouse));
        }
        let broken = Duration::from_millis(rng.u64(BROKEN_MS));
        println!("{:>6} ms: {faults:?} for {broken:?}", world.begun.elapsed().as_millis());
        for fault in &faults {
            begin(world, *fault);
        }
        sleep(broken).await;
        for fault in &faults {
            mend(world, *fault).await;
        }
        count += faults.len() as u64;
        sleep(Duration::from_millis(rng.u64(WHOLE_MS))).await;
    }
    count
}

fn begin(world: &World, fault: Fault) {
    match fault {
        Fault::Kill(victim) => {
            victim.service(world).into_iter().for_each(|service| service.kill_hard().unwrap());
        }
        // It may have been killed by the other fault.
        Fault::Freeze(victim) => {
            victim.service(world).into_iter().for_each(|service| drop(service.suspend()));
        }
        Fault::Way(manner) => world.way.set(manner),
        Fault::FullDisk => world.disk.iter().for_each(SmallDisk::fill),
    }
}

async fn mend(world: &World, fault: Fault) {
    match fault {
        Fault::Kill(victim) => start_again(victim.service(world)).await,
        Fault::Freeze(victim) => victim.service(world).into_iter().for_each(|service| drop(service.resume())),
        Fault::Way(_) => world.way.set(Manner::Open),
        Fault::FullDisk => make_room(world).await,
    }
}

/// What an operator does: NATS takes nothing for a stream whose disk was full until it is started again.
async fn make_room(world: &World) {
    let Some(disk) = &world.disk else { return };
    disk.empty();
    let nats = &world.system.weir.nats.service;
    // The other fault may have been to freeze or to kill it.
    let _ = nats.resume();
    let _ = nats.stop(Weir::STOP_LIMIT).await;
    start_again(Some(nats)).await;
}

/// Starts what does not run. It is not waited for: it may need what is still broken.
async fn start_again(service: Option<&Service>) {
    let Some(service) = service.filter(|service| !service.is_running()) else { return };
    // It is there or not ready yet; which of the two shows at the end.
    let _ = service.restart(Duration::from_millis(50)).await;
}

/// Sees that everything runs, and waits until it is ready.
pub(super) async fn mend_all(world: &World) {
    world.way.set(Manner::Open);
    for victim in Victim::ALL {
        let Some(service) = victim.service(world) else { continue };
        let _ = service.resume();
        start_again(Some(service)).await;
        service.wait_until_ready(Weir::START_LIMIT.max(Kafka::START_LIMIT)).await.unwrap();
    }
}
