//! What a bucket, or a window, holds: sums, and how long calls took.

use weir_event::Histogram;
use weir_event::bus::{LiveWindow, UsageEntry};

use super::sums::Sums;

/// Additive figures of any number of calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Counts and amounts.
    pub sums: Sums,
    /// How long calls took, in milliseconds, where known.
    pub duration: Histogram,
    /// Milliseconds to the first token, where known.
    pub time_to_first_token: Histogram,
}

/// The figures of one call, or of several.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    /// One.
    Entry(&'a UsageEntry),
    /// Several.
    Figures(&'a Figures),
}

/// Which figures a kind of bucket has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of them.
    All,
    /// Counts and amounts.
    Sums,
    /// How long calls took.
    Times,
}

impl Figures {
    /// Adds a part of what `source` has.
    pub(super) fn add(&mut self, source: Source<'_>, part: Part) {
        if part != Part::Times {
            self.sums.add(&source.sums());
        }
        if part == Part::Sums {
            return;
        }
        match source {
            Source::Entry(entry) => {
                let times = [&mut self.duration, &mut self.time_to_first_token];
                for (histogram, value) in
                    times.into_iter().zip([entry.duration_ms, entry.time_to_first_token_ms])
                {
                    if let Some(value) = value {
                        histogram.add(value, 1);
                    }
                }
            }
            Source::Figures(figures) => {
                self.duration.merge(&figures.duration);
                self.time_to_first_token.merge(&figures.time_to_first_token);
            }
        }
    }

    /// As a window is served.
    pub(super) fn to_live(&self, window_s: u64) -> LiveWindow {
        LiveWindow {
            duration: self.duration.clone(),
            time_to_first_token: self.time_to_first_token.clone(),
            ..self.sums.to_live(window_s)
        }
    }
}

impl Source<'_> {
    fn sums(&self) -> Sums {
        match self {
            Self::Entry(entry) => Sums::of(entry),
            Self::Figures(figures) => figures.sums,
        }
    }

    /// How many calls.
    pub(super) fn requests(&self) -> u64 {
        match self {
            Self::Entry(_) => 1,
            Self::Figures(figures) => figures.sums.requests,
        }
    }
}
