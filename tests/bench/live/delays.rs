//! How long something took, many times.

use std::time::Duration;

/// Some times.
#[derive(Default)]
pub(crate) struct Delays(Vec<Duration>);

impl Delays {
    pub(crate) fn push(&mut self, delay: Duration) {
        self.0.push(delay);
    }

    /// Their median, 99th percentile and maximum.
    pub(crate) fn told(mut self) -> String {
        self.0.sort();
        let count = self.0.len();
        let at = |percent: usize| self.0[(count * percent / 100).min(count - 1)].as_secs_f64() * 1e3;
        format!("{:.1} / {:.1} / {:.1} ms (p50 / p99 / max of {count})", at(50), at(99), at(100))
    }
}

impl Extend<Duration> for Delays {
    fn extend<I: IntoIterator<Item = Duration>>(&mut self, delays: I) {
        self.0.extend(delays);
    }
}
