//! The live windows as JSON.

use serde::Serialize;
use serde_json::value::RawValue;
use weir_event::bus::{LiveRow, LiveSnapshot, LiveWindow};
use weir_event::{Histogram, Timestamp};

use super::number::{exact, ratio};

/// What `GET /v1/live` answers.
#[derive(Debug, Serialize)]
pub struct LiveView {
    /// The time that the windows end at: with several aggregators, the earliest of theirs.
    pub as_of: Timestamp,
    /// All calls that were announced before this are in the figures.
    pub complete_through: Option<Timestamp>,
    /// False while an aggregator has not yet read the past back.
    pub complete: bool,
    /// Calls in the longest window that were told of more than a minute after they had ended.
    pub late: u64,
    /// One row per group.
    pub rows: Vec<LiveRowView>,
}

/// The windows of one group.
#[derive(Debug, Serialize)]
pub struct LiveRowView {
    /// The API token, `""` where it is unknown. A name is left out where rows are not grouped by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Who ran the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The user's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The upstream channel's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Whether this is what was counted without names.
    pub rest: bool,
    /// A window that begins at this time or later has all of the group; `null` if all have.
    pub exact_since: Option<Timestamp>,
    /// The windows, shortest first.
    pub windows: Vec<LiveWindowView>,
}

/// What happened in one sliding window.
#[derive(Debug, Serialize)]
pub struct LiveWindowView {
    pub window_s: u64,
    pub requests: u64,
    pub errors: u64,
    pub cached: u64,
    pub unpriced: u64,
    /// The share of requests that have a cost, rounded down to four decimals; `null` without requests.
    pub priced: Option<Box<RawValue>>,
    pub tokens_in: u64,
    pub tokens_out: u64,
    pub tokens_cache_read: u64,
    pub tokens_cache_write: u64,
    pub tokens_reasoning: u64,
    /// US dollars, exact.
    pub cost: Box<RawValue>,
    /// Requests a minute, rounded down to three decimals.
    pub rpm: Option<Box<RawValue>>,
    /// Tokens a minute, input and output, rounded down to three decimals.
    pub tpm: Option<Box<RawValue>>,
    pub duration_ms: QuantilesView,
    pub time_to_first_token_ms: QuantilesView,
}

/// Quantiles of what is known of the requests in a window, each up to 0.8 % too high; `null` where nothing is.
#[derive(Debug, Serialize)]
pub struct QuantilesView {
    /// Of how many requests it is known.
    pub count: u64,
    pub p50: Option<u64>,
    pub p90: Option<u64>,
    pub p95: Option<u64>,
    pub p99: Option<u64>,
}

impl LiveView {
    /// Puts the aggregators' snapshots together; `None` where there is none.
    #[must_use]
    pub fn from_snapshots(snapshots: Vec<LiveSnapshot>) -> Option<Self> {
        LiveSnapshot::merge(snapshots).map(Self::from)
    }
}

impl From<LiveSnapshot> for LiveView {
    fn from(snapshot: LiveSnapshot) -> Self {
        let LiveSnapshot { as_of, complete_through, complete, shards: _, late, rows } = snapshot;
        let rows = rows.into_iter().map(LiveRowView::from).collect();
        Self { as_of, complete_through, complete, late, rows }
    }
}

impl From<LiveRow> for LiveRowView {
    fn from(row: LiveRow) -> Self {
        let LiveRow { token, model, provider, user, channel, rest, exact_since, windows } = row;
        let windows = windows.into_iter().map(LiveWindowView::from).collect();
        Self { token, model, provider, user, channel, rest, exact_since, windows }
    }
}

impl From<LiveWindow> for LiveWindowView {
    fn from(window: LiveWindow) -> Self {
        let LiveWindow { requests, unpriced, tokens_in, tokens_out, .. } = window;
        let a_minute = |count: u128| ratio(count * 60, window.window_s.into(), 3);
        Self {
            window_s: window.window_s,
            requests,
            errors: window.errors,
            cached: window.cached,
            unpriced,
            priced: ratio(requests.saturating_sub(unpriced).into(), requests.into(), 4),
            tokens_in,
            tokens_out,
            tokens_cache_read: window.tokens_cache_read,
            tokens_cache_write: window.tokens_cache_write,
            tokens_reasoning: window.tokens_reasoning,
            cost: exact(window.cost),
            rpm: a_minute(requests.into()),
            tpm: a_minute(u128::from(tokens_in) + u128::from(tokens_out)),
            duration_ms: QuantilesView::from(&window.duration),
            time_to_first_token_ms: QuantilesView::from(&window.time_to_first_token),
        }
    }
}

impl From<&Histogram> for QuantilesView {
    fn from(histogram: &Histogram) -> Self {
        Self {
            count: histogram.count(),
            p50: histogram.quantile(500),
            p90: histogram.quantile(900),
            p95: histogram.quantile(950),
            p99: histogram.quantile(990),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(as_of: &str, complete: bool, tokens: &[&str]) -> LiveSnapshot {
        let mut duration = Histogram::new();
        duration.add(1_250, 2);
        let window = LiveWindow {
            window_s: 60,
            requests: 3,
            errors: 1,
            unpriced: 1,
            tokens_in: 15,
            tokens_out: 354,
            tokens_reasoning: 40,
            cost: "0.005385".parse().unwrap(),
            duration,
            ..LiveWindow::default()
        };
        let row = |token: &&str| LiveRow {
            token: Some((*token).to_owned()),
            model: Some("gpt-4o".to_owned()),
            windows: vec![window.clone()],
            ..LiveRow::default()
        };
        LiveSnapshot {
            as_of: as_of.parse().unwrap(),
            complete_through: Some(as_of.parse().unwrap()),
            complete,
            shards: Vec::new(),
            late: 2,
            rows: tokens.iter().map(row).collect(),
        }
    }

    #[test]
    fn figures_are_exact_numbers() {
        let view =
            LiveView::from_snapshots(vec![snapshot("2024-09-30T09:45:41.328Z", true, &["a"])]).unwrap();
        assert_eq!(
            serde_json::to_string(&view).unwrap(),
            r#"{"as_of":"2024-09-30T09:45:41.328Z","complete_through":"2024-09-30T09:45:41.328Z","complete":true,"late":2,"#
                .to_owned()
                + r#""rows":[{"token":"a","model":"gpt-4o","rest":false,"exact_since":null,"#
                + r#""windows":[{"window_s":60,"requests":3,"errors":1,"cached":0,"unpriced":1,"priced":0.6666,"#
                + r#""tokens_in":15,"tokens_out":354,"tokens_cache_read":0,"tokens_cache_write":0,"#
                + r#""tokens_reasoning":40,"cost":0.005385,"rpm":3.000,"tpm":369.000,"#
                + r#""duration_ms":{"count":2,"p50":1255,"p90":1255,"p95":1255,"p99":1255},"#
                + r#""time_to_first_token_ms":{"count":0,"p50":null,"p90":null,"p95":null,"p99":null}}]}]}"#
        );
    }

    #[test]
    fn several_snapshots_are_one_list_that_claims_no_more_than_the_least_of_them() {
        let view = LiveView::from_snapshots(vec![
            snapshot("2024-09-30T09:45:42.000Z", true, &["b", "d"]),
            snapshot("2024-09-30T09:45:41.000Z", false, &["a", "c"]),
        ])
        .unwrap();
        let tokens: Vec<_> = view.rows.iter().filter_map(|row| row.token.as_deref()).collect();
        assert_eq!(tokens, ["a", "b", "c", "d"]);
        assert_eq!((view.as_of.to_string().as_str(), view.complete), ("2024-09-30T09:45:41.000Z", false));
        assert!(LiveView::from_snapshots(Vec::new()).is_none());
    }
}
