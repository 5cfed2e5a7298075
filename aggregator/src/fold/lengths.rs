//! How long the windows are, and what has to be kept for them.

use std::time::Duration;

use super::windows::{HOUR_MS, MINUTE_MS, SECOND_MS};

/// Windows up to this are read from buckets of a second, longer ones from buckets of a minute.
const SHORT_MAX_MS: i64 = 15 * MINUTE_MS;
/// Above this, how long calls took is kept by the hour.
const MEDIUM_MAX_MS: i64 = 2 * HOUR_MS;
/// The longest.
const LENGTH_MAX_MS: i64 = 24 * HOUR_MS;
/// How many windows there may be.
const LENGTHS_MAX: usize = 8;

/// The lengths of the windows, shortest first, each once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowLengths {
    lengths_ms: [i64; LENGTHS_MAX],
    count: usize,
}

/// What windows cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowLengthsError {
    /// None, or too many.
    #[error("are not 1 to {LENGTHS_MAX} windows")]
    Count,
    /// One is too short, too long, or not in whole seconds.
    #[error("have one that is not 1s to 24h in whole seconds")]
    Length,
    /// Two are the same.
    #[error("have one twice")]
    Twice,
}

impl WindowLengths {
    /// Takes 1 to 8 lengths of 1 second to 24 hours, in whole seconds, in any order.
    pub fn new(lengths: &[Duration]) -> Result<Self, WindowLengthsError> {
        if lengths.is_empty() || lengths.len() > LENGTHS_MAX {
            return Err(WindowLengthsError::Count);
        }
        let mut lengths_ms = [0; LENGTHS_MAX];
        for (place, length) in lengths_ms.iter_mut().zip(lengths) {
            *place = i64::try_from(length.as_millis()).map_err(|_| WindowLengthsError::Length)?;
            let whole = length.subsec_nanos() == 0;
            if !whole || !(SECOND_MS..=LENGTH_MAX_MS).contains(place) {
                return Err(WindowLengthsError::Length);
            }
        }
        let count = lengths.len();
        lengths_ms[..count].sort_unstable();
        if lengths_ms[..count].windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(WindowLengthsError::Twice);
        }
        Ok(Self { lengths_ms, count })
    }

    /// In milliseconds, shortest first.
    pub(super) fn all(&self) -> &[i64] {
        &self.lengths_ms[..self.count]
    }

    /// How many of them are read from buckets of a second.
    pub(super) fn short(&self) -> usize {
        self.all().partition_point(|length| *length <= SHORT_MAX_MS)
    }

    /// How many of them have what calls took by the minute, or by the second.
    pub(super) fn medium(&self) -> usize {
        self.all().partition_point(|length| *length <= MEDIUM_MAX_MS)
    }

    /// The longest, in milliseconds.
    #[must_use]
    pub fn longest_ms(&self) -> i64 {
        self.all().last().copied().unwrap_or(LENGTH_MAX_MS)
    }

    /// The longest that is read from buckets of a second, 0 if there is none.
    pub(super) fn longest_short_ms(&self) -> i64 {
        self.all()[..self.short()].last().copied().unwrap_or(0)
    }

    /// The longest that has what calls took by the minute, 0 if there is none.
    pub(super) fn longest_medium_ms(&self) -> i64 {
        self.all()[self.short()..self.medium()].last().copied().unwrap_or(0)
    }

    /// The width of the buckets that the longest is read from, in milliseconds.
    pub(super) fn widest_ms(&self) -> i64 {
        if self.short() == self.count { SECOND_MS } else { MINUTE_MS }
    }
}

/// 60 seconds, 5 minutes, 1 hour and 24 hours.
impl Default for WindowLengths {
    fn default() -> Self {
        let mut lengths_ms = [0; LENGTHS_MAX];
        lengths_ms[..4].copy_from_slice(&[MINUTE_MS, 5 * MINUTE_MS, HOUR_MS, 24 * HOUR_MS]);
        Self { lengths_ms, count: 4 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_held_within_bounds_and_sorted() {
        let of = |seconds: &[u64]| {
            WindowLengths::new(&seconds.iter().map(|s| Duration::from_secs(*s)).collect::<Vec<_>>())
        };
        assert_eq!(of(&[3_600, 60, 86_400, 300]), Ok(WindowLengths::default()));
        assert_eq!(of(&[]), Err(WindowLengthsError::Count));
        assert_eq!(of(&[1, 2, 3, 4, 5, 6, 7, 8, 9]), Err(WindowLengthsError::Count));
        assert_eq!(of(&[0]), Err(WindowLengthsError::Length));
        assert_eq!(of(&[86_401]), Err(WindowLengthsError::Length));
        assert_eq!(of(&[60, 1, 60]), Err(WindowLengthsError::Twice));
        assert_eq!(WindowLengths::new(&[Duration::from_millis(1_500)]), Err(WindowLengthsError::Length));
        let lengths = of(&[7_200, 900, 901, 7_201]).unwrap();
        assert_eq!((lengths.short(), lengths.medium(), lengths.widest_ms()), (1, 3, MINUTE_MS));
        assert_eq!(lengths.longest_ms(), 7_201_000);
        assert_eq!((lengths.longest_short_ms(), lengths.longest_medium_ms()), (900_000, 7_200_000));
        let short = of(&[5]).unwrap();
        assert_eq!((short.longest_medium_ms(), short.widest_ms()), (0, SECOND_MS));
    }
}
