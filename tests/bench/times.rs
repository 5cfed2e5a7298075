//! How long requests took on either side of a benchmark, and what to say of it.

use std::time::Duration;

/// The times of one side.
#[derive(Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(crate) fn extend(&mut self, times: impl IntoIterator<Item = Vec<Duration>>) {
        self.0.extend(times.into_iter().flatten());
    }

    /// Both sides, which have these names, as medians and 99th percentiles, and the medians' ratio.
    pub(crate) fn beside(mut self, [name, other_name]: [&str; 2], other: &Self) -> String {
        let mut other = Self(other.0.clone());
        let ((p50, p99), (other_p50, other_p99)) = (self.percentiles(), other.percentiles());
        let ratio = p50 / other_p50;
        format!(
            "{name} {p50:.1} / {p99:.1} ms, {other_name} {other_p50:.1} / {other_p99:.1} ms (p50 / p99), ratio of p50 {ratio:.2}"
        )
    }

    /// In milliseconds.
    fn percentiles(&mut self) -> (f64, f64) {
        self.0.sort();
        let at =
            |percent: usize| self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)].as_secs_f64() * 1e3;
        (at(50), at(99))
    }
}
