//! The model: it keeps every event and adds them all up at each read.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use weir_event::bus::{LiveRow, LiveSnapshot, LiveWindow, UsageEntry};
use weir_event::{CostSource, Dimension, EventId, Histogram, Scope, Timestamp};

use crate::fold::figures::{Part, Source};
use crate::fold::windows::{HOUR_MS, MINUTE_MS, SECOND_MS};
use crate::fold::*;

pub(super) const START_MS: i64 = 1_795_176_000_000;

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

pub(super) fn scope(gateway: &str) -> Scope {
    Scope { account_id: "acc".parse().unwrap(), gateway_id: gateway.parse().unwrap() }
}

/// An event that is told apart by `seed`, which also decides its figures.
pub(super) fn entry(seed: u32, created_ms: i64) -> UsageEntry {
    let priced = !seed.is_multiple_of(5);
    UsageEntry {
        id: EventId::derive(at(START_MS), &[&seed.to_le_bytes()]),
        scope: scope(["gw-a", "gw-b"][seed as usize % 2]),
        created_at: at(created_ms),
        provider: ["openai", "azure"][seed as usize / 2 % 2].to_owned(),
        model: format!("model-{}", seed % 3),
        token: format!("token-{}", seed % 4),
        user: format!("user-{}", seed / 4 % 2),
        channel: String::new(),
        success: !seed.is_multiple_of(3),
        cached: seed.is_multiple_of(7),
        tokens_in: (!seed.is_multiple_of(4)).then_some(u64::from(seed)),
        tokens_out: Some(1),
        tokens_cache_read: seed.is_multiple_of(3).then_some(u64::from(seed / 3)),
        tokens_cache_write: seed.is_multiple_of(6).then_some(2),
        tokens_reasoning: seed.is_multiple_of(2).then_some(1),
        duration_ms: (!seed.is_multiple_of(9)).then_some(u64::from(seed) * 117),
        time_to_first_token_ms: seed.is_multiple_of(2).then_some(u64::from(seed) * 11),
        cost: priced.then(|| format!("0.{seed:018}").parse().unwrap()),
        cost_source: if priced { CostSource::Computed } else { CostSource::Unpriced },
        duplicate: false,
    }
}

pub(super) fn name(entry: &UsageEntry, dimension: Dimension) -> &str {
    match dimension {
        Dimension::Token => &entry.token,
        Dimension::Model => &entry.model,
        Dimension::Provider => &entry.provider,
        Dimension::User => &entry.user,
        Dimension::Channel => &entry.channel,
    }
}

/// Every event, in the order of arrival, and whether it came late.
#[derive(Default)]
pub(super) struct Model {
    pub(super) events: Vec<(UsageEntry, bool)>,
    pub(super) lengths: WindowLengths,
}

impl Model {
    pub(super) fn of(events: impl IntoIterator<Item = UsageEntry>) -> Self {
        let events = events.into_iter().map(|event| (event, false)).collect();
        Self { events, lengths: WindowLengths::default() }
    }

    /// The windows over the events that `is_meant`.
    pub(super) fn windows(&self, now_ms: i64, is_meant: impl Fn(&UsageEntry) -> bool) -> Vec<LiveWindow> {
        let meant: Vec<_> =
            self.events.iter().map(|(event, _)| event).filter(|event| is_meant(event)).collect();
        let window = |length_ms: &i64| {
            let (sums_width, times_width) = match length_ms {
                ..=900_000 => (SECOND_MS, SECOND_MS),
                ..=7_200_000 => (MINUTE_MS, MINUTE_MS),
                _ => (MINUTE_MS, HOUR_MS),
            };
            let mut figures = Figures::default();
            for event in &meant {
                let is_in = |width: i64| {
                    let start = event.created_at.millis() / width * width;
                    now_ms - length_ms < start && start <= now_ms
                };
                let parts = [(sums_width, Part::Sums), (times_width, Part::Times)];
                for (_, part) in parts.into_iter().filter(|(width, _)| is_in(*width)) {
                    figures.add(Source::Entry(event), part);
                }
            }
            figures.to_live(length_ms.unsigned_abs() / 1_000)
        };
        self.lengths.all().iter().map(window).collect()
    }

    /// What is answered if everything has a place.
    pub(super) fn snapshot(&self, scope: &Scope, group_by: &[Dimension], now_ms: i64) -> LiveSnapshot {
        let mine = || self.events.iter().filter(|(event, _)| event.scope == *scope);
        let names_of = |event: &UsageEntry| -> Vec<String> {
            group_by.iter().map(|dimension| name(event, *dimension).to_owned()).collect()
        };
        let groups: BTreeSet<_> = mine().map(|(event, _)| names_of(event)).collect();
        let row = |names: &Vec<String>| {
            let windows = self.windows(now_ms, |event| event.scope == *scope && names_of(event) == *names);
            let mut row = no_row(windows);
            for (dimension, name) in group_by.iter().zip(names) {
                *row.name_mut(*dimension) = Some(name.clone());
            }
            row.windows.iter().any(|window| window.requests > 0).then_some(row)
        };
        let mut rows: Vec<_> = groups.iter().filter_map(row).collect();
        rows.sort_by_cached_key(LiveRow::group);
        let is_late = |event: &UsageEntry, late: bool| {
            let minute_ms = event.created_at.minute().millis();
            late && now_ms - self.lengths.longest_ms() < minute_ms && minute_ms <= now_ms
        };
        let late = mine().filter(|(event, late)| is_late(event, *late)).count() as u64;
        LiveSnapshot {
            as_of: at(now_ms),
            complete_through: None,
            complete: true,
            shards: Vec::new(),
            late,
            rows,
        }
    }

    /// What ClickHouse would answer: this is all that it has stored.
    pub(super) fn past(&self, now_ms: i64, recent: &HashSet<EventId>) -> Vec<PastBucket> {
        let past = Past::needed_at(at(now_ms), &self.lengths);
        let mut buckets: BTreeMap<_, PastBucket> = BTreeMap::new();
        for (entry, late) in &self.events {
            let created_ms = entry.created_at.millis();
            if created_ms < past.from_ms || created_ms > past.until_ms {
                continue;
            }
            let width = if created_ms >= past.by_second_from_ms { SECOND_MS } else { MINUTE_MS };
            let start = at(created_ms / width * width);
            let names: Vec<_> =
                Dimension::ALL.iter().map(|dimension| name(entry, *dimension).to_owned()).collect();
            let bucket = buckets.entry((entry.scope.clone(), names, start)).or_insert_with(|| PastBucket {
                scope: entry.scope.clone(),
                token: entry.token.clone(),
                model: entry.model.clone(),
                provider: entry.provider.clone(),
                user: entry.user.clone(),
                channel: entry.channel.clone(),
                start,
                figures: Figures::default(),
                late: 0,
                recent_ids: Vec::new(),
            });
            bucket.figures.add(Source::Entry(entry), Part::All);
            for time in [&mut bucket.figures.duration, &mut bucket.figures.time_to_first_token] {
                *time = of_first_values(time);
            }
            bucket.late += u64::from(*late);
            bucket.recent_ids.extend(recent.contains(&entry.id).then_some(entry.id));
        }
        buckets.into_values().collect()
    }
}

/// As ClickHouse counts: it gives the first value of each bin.
fn of_first_values(histogram: &Histogram) -> Histogram {
    let mut again = Histogram::new();
    for (bin, count) in histogram.bins() {
        again.add(Histogram::range_of(bin).0, count);
    }
    again
}

pub(super) fn no_row(windows: Vec<LiveWindow>) -> LiveRow {
    LiveRow { windows, ..LiveRow::default() }
}
