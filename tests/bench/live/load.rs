//! Events that come all the time, as Logpush would bring them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harness::System;
use harness::traffic::{now_ms, record};
use reqwest::StatusCode;
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep};

/// Pushes at a time, each of so many of a second's events.
const SENDERS: u64 = 4;
const SECOND: Duration = Duration::from_secs(1);

/// Numbers of the records, so that no two are the same.
static RECORDS: AtomicU64 = AtomicU64::new(1);

/// A push that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Push {
    /// The number of its first record; the others follow.
    pub(crate) first: u64,
    pub(crate) records: u64,
    pub(crate) begun: Instant,
    pub(crate) acked: Instant,
}

/// Events on their way.
pub(crate) struct Load {
    begun: Instant,
    is_over: Arc<AtomicBool>,
    senders: Vec<JoinHandle<Vec<Push>>>,
}

impl Load {
    /// Pushes so many events a second, or as many as are taken, to the paths that the turns give.
    pub(crate) fn start(system: &Arc<System>, rate: u64, path: fn(u64) -> String) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let senders = if rate == 0 { 0 } else { SENDERS };
        let send = |sender| {
            let (system, is_over) = (Arc::clone(system), Arc::clone(&is_over));
            tokio::spawn(async move {
                sleep(SECOND / u32::try_from(SENDERS).unwrap() * u32::try_from(sender).unwrap()).await;
                let (mut pushes, mut ticks) = (Vec::new(), interval(SECOND));
                while !is_over.load(Ordering::Relaxed) {
                    ticks.tick().await;
                    let turn = u64::try_from(pushes.len()).unwrap() * SENDERS + sender;
                    pushes.push(push(&system, &path(turn), rate / SENDERS).await);
                }
                pushes
            })
        };
        Self { begun: Instant::now(), senders: (0..senders).map(send).collect(), is_over }
    }

    /// Ends it. Gives what was pushed, and how many events a second that was.
    pub(crate) async fn stop(self) -> (Vec<Push>, f64) {
        self.is_over.store(true, Ordering::Relaxed);
        let mut pushes = Vec::new();
        for sender in self.senders {
            pushes.extend(sender.await.unwrap());
        }
        let records: u64 = pushes.iter().map(|push| push.records).sum();
        let rate = f64::from(u32::try_from(records).unwrap()) / self.begun.elapsed().as_secs_f64();
        (pushes, rate)
    }
}

/// Pushes so many events that end now, again for as long as they are turned away.
pub(crate) async fn push(system: &System, path: &str, records: u64) -> Push {
    let first = RECORDS.fetch_add(records, Ordering::Relaxed);
    let now = now_ms();
    let lines: Vec<String> = (first..first + records).map(|number| record(number, now)).collect();
    let begun = Instant::now();
    let mut answer = system.push_to(path, &lines.join("\n")).await;
    while answer.status == StatusCode::SERVICE_UNAVAILABLE {
        sleep(SECOND / 10).await;
        answer = system.push_to(path, &lines.join("\n")).await;
    }
    let acked = Instant::now();
    assert_eq!(answer.json()["stored"], records, "{}", answer.text);
    Push { first, records, begun, acked }
}
