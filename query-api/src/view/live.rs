//! The live windows as JSON.

use serde::Serialize;
use serde_json::value::RawValue;
use weir_event::Timestamp;
use weir_event::bus::{LiveRow, LiveSnapshot, LiveWindow};

use super::number::exact;

/// What `GET /v1/live` answers.
#[derive(Debug, Serialize)]
pub struct LiveView {
    /// The time that the windows end at: with several aggregators, the earliest of theirs.
    pub as_of: Timestamp,
    /// False while an aggregator has not yet read the past 24 hours back.
    pub complete: bool,
    /// One row per API token and model.
    pub rows: Vec<LiveRowView>,
}

/// The windows of one API token and model.
#[derive(Debug, Serialize)]
pub struct LiveRowView {
    /// The API token, `""` where it is unknown.
    pub token: String,
    /// The model, `""` where it is unknown.
    pub model: String,
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
    pub tokens_in: u64,
    pub tokens_out: u64,
    /// US dollars, exact.
    pub cost: Box<RawValue>,
}

impl LiveView {
    /// Puts the aggregators' snapshots together; `None` where there is none. An API token's usage is with one
    /// aggregator, so the rows are put side by side and nothing is added up.
    #[must_use]
    pub fn from_snapshots(snapshots: Vec<LiveSnapshot>) -> Option<Self> {
        let as_of = snapshots.iter().map(|snapshot| snapshot.as_of).min()?;
        let complete = snapshots.iter().all(|snapshot| snapshot.complete);
        let mut rows: Vec<_> = snapshots.into_iter().flat_map(|snapshot| snapshot.rows).collect();
        rows.sort_by(|a, b| (&a.token, &a.model).cmp(&(&b.token, &b.model)));
        Some(Self { as_of, complete, rows: rows.into_iter().map(LiveRowView::from).collect() })
    }
}

impl From<LiveRow> for LiveRowView {
    fn from(row: LiveRow) -> Self {
        let windows = row.windows.into_iter().map(LiveWindowView::from).collect();
        Self { token: row.token, model: row.model, windows }
    }
}

impl From<LiveWindow> for LiveWindowView {
    fn from(window: LiveWindow) -> Self {
        Self {
            window_s: window.window_s,
            requests: window.requests,
            errors: window.errors,
            cached: window.cached,
            unpriced: window.unpriced,
            tokens_in: window.tokens_in,
            tokens_out: window.tokens_out,
            cost: exact(window.cost),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(as_of: &str, complete: bool, tokens: &[&str]) -> LiveSnapshot {
        let window = LiveWindow {
            window_s: 60,
            requests: 2,
            errors: 1,
            cached: 0,
            unpriced: 1,
            tokens_in: 15,
            tokens_out: 354,
            cost: "0.005385".parse().unwrap(),
        };
        let row = |token: &&str| LiveRow {
            token: (*token).to_owned(),
            model: "gpt-4o".to_owned(),
            windows: vec![window.clone()],
        };
        LiveSnapshot { as_of: as_of.parse().unwrap(), complete, rows: tokens.iter().map(row).collect() }
    }

    #[test]
    fn cost_is_an_exact_number() {
        let view =
            LiveView::from_snapshots(vec![snapshot("2024-09-30T09:45:41.328Z", true, &["a"])]).unwrap();
        assert_eq!(
            serde_json::to_string(&view).unwrap(),
            r#"{"as_of":"2024-09-30T09:45:41.328Z","complete":true,"rows":[{"token":"a","model":"gpt-4o","#
                .to_owned()
                + r#""windows":[{"window_s":60,"requests":2,"errors":1,"cached":0,"unpriced":1,"#
                + r#""tokens_in":15,"tokens_out":354,"cost":0.005385}]}]}"#
        );
    }

    #[test]
    fn several_snapshots_are_one_list_that_claims_no_more_than_the_least_of_them() {
        let view = LiveView::from_snapshots(vec![
            snapshot("2024-09-30T09:45:42.000Z", true, &["b", "d"]),
            snapshot("2024-09-30T09:45:41.000Z", false, &["a", "c"]),
        ])
        .unwrap();
        let tokens: Vec<_> = view.rows.iter().map(|row| row.token.as_str()).collect();
        assert_eq!(tokens, ["a", "b", "c", "d"]);
        assert_eq!((view.as_of.to_string().as_str(), view.complete), ("2024-09-30T09:45:41.000Z", false));
        assert!(LiveView::from_snapshots(Vec::new()).is_none());
    }
}
