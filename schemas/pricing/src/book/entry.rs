//! Entries of the price book: what a model costs, when, in which service tier, and from which size of the request on.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use weir_event::Timestamp;

use crate::book::pattern::Pattern;
use crate::charge::Charge;
use crate::rate::Rate;

/// A model as one price file has it.
#[derive(Debug)]
pub(crate) struct Model {
    /// Unique in its file.
    pub(crate) id: String,
    /// The file, for receipts: `weir/openai.toml`.
    pub(crate) file: Arc<str>,
    pub(crate) matches: Vec<Pattern>,
    pub(crate) except: Vec<Pattern>,
    pub(crate) entries: Vec<Entry>,
}

/// One price of a model: what its charges cost while it is in force.
#[derive(Debug)]
pub(crate) struct Entry {
    /// What a computed cost names it by: `provider/model@from+tier`.
    pub(crate) id: Arc<str>,
    pub(crate) window: Window,
    /// In lower case; `None` is standard.
    pub(crate) service_tier: Option<Box<str>>,
    pub(crate) base: Rates,
    /// The highest bound last.
    pub(crate) tiers: Vec<ContextTier>,
    /// What a request is billed for at least, of charges that it has at all.
    pub(crate) minimums: Arc<[(Charge, u64)]>,
}

/// When an entry is in force.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// Inclusive: the first millisecond of a UTC day.
    pub(crate) from: Option<Timestamp>,
    /// Exclusive: the first millisecond of a UTC day.
    pub(crate) until: Option<Timestamp>,
    /// Times of day, UTC. Empty is all day.
    pub(crate) hours: Vec<DaySpan>,
    /// One bit per UTC weekday, Monday the lowest. 0 is every day.
    pub(crate) weekdays: u8,
}

/// A span of the day in minutes after midnight UTC, `[start, end)`. It wraps midnight where its end is not after its
/// start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DaySpan {
    pub(crate) start: u16,
    pub(crate) end: u16,
}

/// Prices that replace the base prices, for all of the request, once it is large enough.
#[derive(Debug)]
pub(crate) struct ContextTier {
    pub(crate) bound: ContextBound,
    pub(crate) rates: Rates,
}

/// The size of a request, in input tokens of all buckets, from which on a price applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextBound {
    /// Strictly more than this many.
    Over(u64),
    /// This many or more.
    AtLeast(u64),
}

/// The prices of the charges that have one. A handful: a scan is the fastest lookup.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rates(pub(crate) Vec<(Charge, Rate)>);

impl Model {
    /// Whether the model is for a name in lower case.
    pub(crate) fn excludes(&self, name: &str) -> bool {
        self.except.iter().any(|pattern| pattern.matches(name))
    }

    /// The service tiers that it has prices for, as often as it has some; `None` is standard.
    pub(crate) fn tiers(&self) -> impl Iterator<Item = Option<&str>> {
        self.entries.iter().map(|entry| entry.service_tier.as_deref())
    }

    /// The entry in force: of those of the service tier, the last in the file.
    pub(crate) fn entry(&self, time: Timestamp, tier: Option<&str>) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.is_for(tier) && entry.window.holds(time))
    }
}

impl Entry {
    fn is_for(&self, tier: Option<&str>) -> bool {
        match (&self.service_tier, tier) {
            (None, None) => true,
            (Some(own), Some(wanted)) => own.eq_ignore_ascii_case(wanted),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    /// How many are billed where so many were counted.
    pub(crate) fn billed(&self, charge: Charge, count: u64) -> u64 {
        let minimum = self.minimums.iter().find(|(own, _)| *own == charge);
        minimum.map_or(count, |(_, minimum)| count.max(*minimum))
    }

    /// The tier that a request of this size falls in; `None` is the base price.
    pub(crate) fn context_tier(&self, input_tokens: u64) -> Option<&ContextTier> {
        self.tiers.iter().rev().find(|tier| tier.bound.is_passed_by(input_tokens))
    }
}

impl Window {
    const MINUTES_PER_DAY: i64 = 1_440;
    const MS_PER_MINUTE: i64 = 60_000;
    /// 1970-01-01 was a Thursday.
    const EPOCH_WEEKDAY: i64 = 3;

    pub(crate) fn holds(&self, time: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= time)
            && self.until.is_none_or(|until| time < until)
            && (self.hours.is_empty() || self.hours.iter().any(|span| span.holds(time)))
            && (self.weekdays == 0 || self.weekdays & Self::weekday_bit(time) != 0)
    }

    fn weekday_bit(time: Timestamp) -> u8 {
        let day = time.millis() / (Self::MS_PER_MINUTE * Self::MINUTES_PER_DAY);
        1 << ((day + Self::EPOCH_WEEKDAY) % 7)
    }
}

impl DaySpan {
    fn holds(self, time: Timestamp) -> bool {
        let minute = (time.millis() / Window::MS_PER_MINUTE) % Window::MINUTES_PER_DAY;
        let (start, end) = (i64::from(self.start), i64::from(self.end));
        if start < end { start <= minute && minute < end } else { start <= minute || minute < end }
    }
}

impl ContextBound {
    /// Whether a request with so many input tokens is beyond it.
    #[must_use]
    pub const fn is_passed_by(self, input_tokens: u64) -> bool {
        match self {
            Self::Over(bound) => input_tokens > bound,
            Self::AtLeast(bound) => input_tokens >= bound,
        }
    }

    /// The fewest input tokens that are beyond it.
    pub(crate) const fn first(self) -> u64 {
        match self {
            Self::Over(bound) => bound.saturating_add(1),
            Self::AtLeast(bound) => bound,
        }
    }
}

/// `over 200000` or `at least 200000`.
impl fmt::Display for ContextBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Over(bound) => write!(f, "over {bound}"),
            Self::AtLeast(bound) => write!(f, "at least {bound}"),
        }
    }
}

/// As it prints.
impl Serialize for ContextBound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Rates {
    pub(crate) fn get(&self, charge: Charge) -> Option<Rate> {
        self.0.iter().find(|(own, _)| *own == charge).map(|(_, rate)| *rate)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn hours_hold_at_their_edges_and_wrap_midnight() {
        let check = |span: (u16, u16), time: &str, expected: bool| {
            let window = Window { hours: vec![DaySpan { start: span.0, end: span.1 }], ..Window::default() };
            assert_eq!(window.holds(at(&format!("2026-03-02T{time}Z"))), expected, "{span:?} {time}");
        };
        // 00:30-16:30
        check((30, 990), "00:29:59.999", false);
        check((30, 990), "00:30:00.000", true);
        check((30, 990), "16:29:59.999", true);
        check((30, 990), "16:30:00.000", false);
        // 16:30-00:30
        check((990, 30), "16:29:59.999", false);
        check((990, 30), "16:30:00.000", true);
        check((990, 30), "23:59:59.999", true);
        check((990, 30), "00:00:00.000", true);
        check((990, 30), "00:30:00.000", false);
        // 12:00-24:00
        check((720, 1_440), "23:59:59.999", true);
        check((720, 1_440), "00:00:00.000", false);
    }

    #[test]
    fn weekdays_are_those_of_utc() {
        let check = |weekdays: u8, day: &str, expected: bool| {
            let window = Window { weekdays, ..Window::default() };
            assert_eq!(window.holds(at(day)), expected, "{weekdays:#b} {day}");
        };
        // 2026-03-02 is a Monday, 2026-03-01 a Sunday.
        check(0b000_0001, "2026-03-02T00:00:00.000Z", true);
        check(0b000_0001, "2026-03-01T23:59:59.999Z", false);
        check(0b100_0000, "2026-03-01T23:59:59.999Z", true);
        check(0b100_0000, "2026-03-02T00:00:00.000Z", false);
        check(0b001_1111, "2026-03-06T12:00:00.000Z", true);
        check(0b001_1111, "2026-03-07T12:00:00.000Z", false);
    }
}
