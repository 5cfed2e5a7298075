//! Lets few of many lines into the log. While ClickHouse is away every request fails, and clients can send as many as
//! they like.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_secs(1);

/// One line a second, and a count of those that were left out.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    left_out: u64,
}

impl Throttle {
    /// Whether a line may be written at `now`: if so, how many were left out since the last one.
    pub(super) fn admit(&self, now: Instant) -> Option<u64> {
        // The state is whole at every unlock, so a panic elsewhere does not spoil it.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            state.left_out += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_tells_of_the_others() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let admitted = [0, 1, 999, 1_000, 1_500, 5_000]
            .map(|millis| throttle.admit(start + Duration::from_millis(millis)));
        assert_eq!(admitted, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
