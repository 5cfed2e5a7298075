//! What windows and rollups have to be: every event is kept, and all are added up.

use std::collections::BTreeMap;

use clickhouse::Row;
use serde::Deserialize;
use weir_event::bus::{LiveRow, LiveSnapshot, LiveWindow, SHARDS, UsageEntry};
use weir_event::{Scope, Timestamp, Usd};
use weir_store::ScaledUsd;

/// The windows, with the widths of the buckets that sums, and times, are read from, in milliseconds.
const WINDOWS_MS: [(i64, i64, i64); 4] = [
    (60_000, 1_000, 1_000),
    (300_000, 1_000, 1_000),
    (3_600_000, 60_000, 60_000),
    (86_400_000, 60_000, 3_600_000),
];

/// A row of `usage_1m`, without its account and version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Row, Deserialize)]
pub(super) struct Rollup {
    pub(super) gateway_id: String,
    pub(super) minute: u32,
    pub(super) provider: String,
    pub(super) model: String,
    pub(super) token: String,
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) cached: u64,
    pub(super) unpriced: u64,
    pub(super) tokens_in: u64,
    pub(super) tokens_out: u64,
    pub(super) cost: ScaledUsd,
}

/// The snapshot of `scope` at `as_of`, if these are all the events that there are.
pub(super) fn snapshot(entries: &[UsageEntry], scope: &Scope, as_of: Timestamp) -> LiveSnapshot {
    let mut rows: BTreeMap<_, Vec<LiveWindow>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.scope == *scope) {
        let windows = rows.entry((&entry.token, &entry.model)).or_insert_with(no_windows);
        for (window, (length_ms, sums_ms, times_ms)) in windows.iter_mut().zip(WINDOWS_MS) {
            let is_in = |width_ms: i64| {
                let start = entry.created_at.millis() / width_ms * width_ms;
                as_of.millis() - length_ms < start && start <= as_of.millis()
            };
            if is_in(sums_ms) {
                add(window, entry);
            }
            if is_in(times_ms) {
                add_times(window, entry);
            }
        }
    }
    rows.retain(|_, windows| windows.iter().any(|window| window.requests > 0));
    let row = |((token, model), windows): ((&String, &String), _)| LiveRow {
        token: Some(token.clone()),
        model: Some(model.clone()),
        windows,
        ..LiveRow::default()
    };
    LiveSnapshot {
        as_of,
        complete_through: None,
        complete: true,
        shards: (0..SHARDS).collect(),
        late: 0,
        rows: rows.into_iter().map(row).collect(),
    }
}

/// The rollups of these events.
pub(super) fn rollups(entries: &[UsageEntry]) -> Vec<Rollup> {
    let mut rollups: BTreeMap<_, Rollup> = BTreeMap::new();
    for entry in entries {
        let empty = empty_rollup(entry);
        let key = (empty.gateway_id.clone(), empty.minute, empty.provider.clone(), empty.model.clone());
        let rollup = rollups.entry((key, empty.token.clone())).or_insert(empty);
        rollup.requests += 1;
        rollup.errors += u64::from(!entry.success);
        rollup.cached += u64::from(entry.cached);
        rollup.unpriced += u64::from(entry.cost.is_none());
        rollup.tokens_in += entry.tokens_in.unwrap_or(0);
        rollup.tokens_out += entry.tokens_out.unwrap_or(0);
        rollup.cost = rollup.cost.saturating_add(entry.cost.unwrap_or(Usd::ZERO).into());
    }
    rollups.into_values().collect()
}

/// What the rollup of an event becomes when the event is gone.
pub(super) fn empty_rollup(entry: &UsageEntry) -> Rollup {
    Rollup {
        gateway_id: entry.scope.gateway_id.to_string(),
        minute: u32::try_from(entry.created_at.minute().millis() / 1_000).unwrap(),
        provider: entry.provider.clone(),
        model: entry.model.clone(),
        token: entry.token.clone(),
        requests: 0,
        errors: 0,
        cached: 0,
        unpriced: 0,
        tokens_in: 0,
        tokens_out: 0,
        cost: ScaledUsd::ZERO,
    }
}

fn no_windows() -> Vec<LiveWindow> {
    let window = |(length_ms, ..): (i64, i64, i64)| LiveWindow {
        window_s: length_ms.unsigned_abs() / 1_000,
        ..LiveWindow::default()
    };
    WINDOWS_MS.map(window).to_vec()
}

fn add(window: &mut LiveWindow, entry: &UsageEntry) {
    window.requests += 1;
    window.errors += u64::from(!entry.success);
    window.cached += u64::from(entry.cached);
    window.unpriced += u64::from(entry.cost.is_none());
    window.tokens_in += entry.tokens_in.unwrap_or(0);
    window.tokens_out += entry.tokens_out.unwrap_or(0);
    window.tokens_cache_read += entry.tokens_cache_read.unwrap_or(0);
    window.tokens_cache_write += entry.tokens_cache_write.unwrap_or(0);
    window.tokens_reasoning += entry.tokens_reasoning.unwrap_or(0);
    window.cost = window.cost.checked_add(entry.cost.unwrap_or(Usd::ZERO)).unwrap();
}

fn add_times(window: &mut LiveWindow, entry: &UsageEntry) {
    for (histogram, value) in [
        (&mut window.duration, entry.duration_ms),
        (&mut window.time_to_first_token, entry.time_to_first_token_ms),
    ] {
        if let Some(value) = value {
            histogram.add(value, 1);
        }
    }
}
