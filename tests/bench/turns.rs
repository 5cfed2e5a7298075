//! Asks two sides in turns, so that a machine that slows down slows both sides down.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::times::Times;

/// Turns with one client, as far as there is time for them.
const TURNS: u64 = 100;
const TIME_OF_A_CASE: Duration = Duration::from_secs(15);
/// How many ask at once, where many do.
pub(crate) const CLIENTS: u64 = 16;

/// How much is asked for at least.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turns {
    /// Turns with one client, whatever time they take.
    pub(crate) least: u64,
    /// Turns with many clients.
    pub(crate) crowded: u64,
    /// Requests of one client in such a turn.
    pub(crate) requests: u64,
}

impl Turns {
    /// One client, which asks one thing after another; each side is told the turn.
    pub(crate) async fn alone(
        self,
        ours: impl AsyncFn(u64) -> Duration,
        theirs: impl AsyncFn(u64) -> Duration,
    ) -> [Times; 2] {
        let (mut our_times, mut their_times) = (Times::default(), Times::default());
        let begun = Instant::now();
        for turn in 0..=TURNS {
            let (their_time, our_time) = (theirs(turn).await, ours(turn).await);
            // What is asked for the first time warms everything up.
            if turn > 0 {
                their_times.push(their_time);
                our_times.push(our_time);
            }
            if turn >= self.least && begun.elapsed() > TIME_OF_A_CASE {
                break;
            }
        }
        [our_times, their_times]
    }

    /// Many clients at once; each side is told the client, and a number that no other request has.
    pub(crate) async fn crowded(
        self,
        ours: impl AsyncFn(u64, u64) -> Duration,
        theirs: impl AsyncFn(u64, u64) -> Duration,
    ) -> [Times; 2] {
        let (mut our_times, mut their_times) = (Times::default(), Times::default());
        let begun = Instant::now();
        for turn in 0..self.crowded {
            if turn > 0 && begun.elapsed() > TIME_OF_A_CASE {
                break;
            }
            their_times.extend(self.crowd(turn, &theirs).await);
            our_times.extend(self.crowd(turn, &ours).await);
        }
        [our_times, their_times]
    }

    /// What each client asks for, one thing after another.
    async fn crowd(self, turn: u64, ask: &impl AsyncFn(u64, u64) -> Duration) -> Vec<Vec<Duration>> {
        join_all((0..CLIENTS).map(|client| async move {
            let mut times = Vec::new();
            for request in 0..self.requests {
                times.push(ask(client, (turn * CLIENTS + client) * self.requests + request).await);
            }
            times
        }))
        .await
    }
}
