//! Answers requests for live windows on [`LIVE_SUBJECT`].

use std::collections::BTreeMap;
use std::convert::Infallible;

use async_nats::{Client, HeaderMap, Message, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use weir_event::Histogram;
use weir_event::bus::{
    LIVE_REFUSAL, LIVE_REFUSAL_CODE, LIVE_REFUSED, LIVE_SUBJECT, LiveRequest, LiveRow, LiveSnapshot,
};
use weir_service::clock::SharedClock;
use weir_service::lifecycle::Shutdown;
use weir_service::telemetry::chain;

use crate::backoff::Backoff;
use crate::fold::{Question, QuestionError};
use crate::metrics::AggregatorMetrics;
use crate::shared_fold::{HeldShard, HeldShards, now};

/// Left free in a message below the server's limit, for headers and subjects.
const MESSAGE_HEADROOM_BYTES: usize = 1_024;

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    /// It is none of ours, or of another version.
    #[error("the request is not understood")]
    Json(#[source] serde_json::Error),
    /// It asks for what there is not.
    #[error("{0}")]
    Question(QuestionError),
}

/// Serves snapshots over NATS request and reply.
#[derive(Clone, Debug)]
pub struct LiveResponder {
    /// The connection.
    pub client: Client,
    /// The windows.
    pub shards: HeldShards,
    /// When the windows end.
    pub clock: SharedClock,
    /// Counts.
    pub metrics: AggregatorMetrics,
}

impl LiveResponder {
    /// Answers until the soft stop.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Infallible> {
        tokio::select! {
            () = self.serve() => {}
            () = shutdown.soft_stop().cancelled() => {}
        }
        Ok(())
    }

    async fn serve(&self) {
        let mut backoff = Backoff::new();
        loop {
            match self.client.subscribe(LIVE_SUBJECT).await {
                // It ends only with the client; the client subscribes again by itself when it reconnects.
                Ok(requests) => self.answer_all(requests).await,
                Err(error) => tracing::warn!(error = chain(&error), "cannot listen for live requests"),
            }
            tokio::time::sleep(backoff.next_wait()).await;
        }
    }

    async fn answer_all(&self, mut requests: Subscriber) {
        while let Some(request) = requests.next().await {
            self.metrics.live_requests.inc();
            let Message { reply: Some(reply), payload, .. } = request else {
                continue;
            };
            let sent = match self.answer(&payload) {
                Ok(snapshot) => self.client.publish(reply, snapshot).await,
                Err(error) => self.client.publish_with_headers(reply, refusal(&error), Bytes::new()).await,
            };
            if let Err(error) = sent {
                tracing::warn!(error = chain(&error), "live answer is not sent");
            }
        }
    }

    fn answer(&self, request: &[u8]) -> Result<Bytes, RequestError> {
        let request: LiveRequest = serde_json::from_slice(request).map_err(RequestError::Json)?;
        let question = Question::try_from(request).map_err(RequestError::Question)?;
        let limit = self.client.server_info().max_payload.saturating_sub(MESSAGE_HEADROOM_BYTES);
        loop {
            let held = self.shards.held();
            let (answer, rows_cut) =
                fit(self.snapshot(&question, &held), limit).map_err(RequestError::Json)?;
            // A process that was frozen meanwhile says nothing of what it has lost.
            if !held.values().all(HeldShard::is_held) {
                continue;
            }
            if rows_cut > 0 {
                self.metrics.live_rows_cut.inc_by(rows_cut as u64);
                tracing::warn!(rows_cut, limit_bytes = limit, "a live answer does not fit into a message");
            }
            return Ok(answer);
        }
    }

    /// What the shards say that are held.
    fn snapshot(&self, question: &Question, held: &BTreeMap<u16, HeldShard>) -> LiveSnapshot {
        let now = now(&self.clock);
        let none = LiveSnapshot {
            as_of: now,
            complete_through: None,
            complete: true,
            shards: Vec::new(),
            late: 0,
            rows: Vec::new(),
        };
        let of_shard = |(shard, held): (&u16, &HeldShard)| {
            let snapshot = held.fold.lock().snapshot(question, now);
            let live = LiveSnapshot { shards: vec![*shard], ..snapshot.live };
            (live, snapshot.beyond_range)
        };
        let (parts, beyond_range): (Vec<_>, Vec<u64>) = held.iter().map(of_shard).unzip();
        let beyond_range: u64 = beyond_range.iter().sum();
        if beyond_range > 0 {
            self.metrics.live_costs_held.inc_by(beyond_range);
            tracing::warn!(windows = beyond_range, "costs are beyond the range and held at its end");
        }
        let mut merged = LiveSnapshot::merge(parts).unwrap_or(none);
        if let Some(top) = question.top_of_parts() {
            merged.keep_top(top);
        }
        merged
    }
}

/// The snapshot as JSON of at most `limit` bytes. What does not fit is told with times that are less exact. If that is not
/// enough, the rows with the fewest requests lose their times, then themselves, and the snapshot is not complete. Gives how many
/// rows were left out.
fn fit(mut snapshot: LiveSnapshot, limit: usize) -> Result<(Bytes, usize), serde_json::Error> {
    let (mut cut, mut coarse, mut timeless) = (0, false, false);
    loop {
        let json = serde_json::to_vec(&snapshot)?;
        let rows = snapshot.rows.len();
        if json.len() <= limit || rows == 0 {
            return Ok((json.into(), cut));
        }
        if !std::mem::replace(&mut coarse, true) {
            for window in snapshot.rows.iter_mut().flat_map(|row| &mut row.windows) {
                window.duration.coarsen();
                window.time_to_first_token.coarsen();
            }
            continue;
        }
        snapshot.complete = false;
        if !std::mem::replace(&mut timeless, true) {
            // It is a byte longer where it is not complete.
            drop_times(&mut snapshot, json.len() + 1 - limit)?;
            continue;
        }
        // In proportion, and a little less, so that this ends after few rounds.
        let keep = rows.saturating_mul(limit) / json.len() * 95 / 100;
        cut += rows - keep;
        keep_busiest(&mut snapshot, keep);
    }
}

/// Takes their times from the rows with the fewest requests, until there are `excess` bytes less.
fn drop_times(snapshot: &mut LiveSnapshot, mut excess: usize) -> Result<(), serde_json::Error> {
    let mut rows: Vec<&mut LiveRow> = snapshot.rows.iter_mut().collect();
    rows.sort_by_key(|row| (row.rest, requests(row)));
    for row in rows {
        if excess == 0 {
            break;
        }
        let before = serde_json::to_vec(row)?.len();
        for window in &mut row.windows {
            window.duration = Histogram::default();
            window.time_to_first_token = Histogram::default();
        }
        let dropped = before.saturating_sub(serde_json::to_vec(row)?.len());
        excess = excess.saturating_sub(dropped);
    }
    Ok(())
}

fn requests(row: &LiveRow) -> u64 {
    row.windows.last().map_or(0, |longest| longest.requests)
}

fn keep_busiest(snapshot: &mut LiveSnapshot, keep: usize) {
    let rows = &mut snapshot.rows;
    rows.sort_by_key(|row| (!row.rest, std::cmp::Reverse(requests(row))));
    rows.truncate(keep);
    rows.sort_by_cached_key(LiveRow::group);
}

/// An empty answer with NATS's headers for a failed request, so that the caller need not wait for its timeout.
fn refusal(error: &RequestError) -> HeaderMap {
    tracing::debug!(error = chain(error), "live request is not answered");
    let (reason, code) = match error {
        RequestError::Json(_) => (error.to_string(), "400"),
        RequestError::Question(question) => (chain(question), LIVE_REFUSED),
    };
    let mut headers = HeaderMap::new();
    // A header is one line.
    headers.insert(LIVE_REFUSAL, reason.replace(char::is_control, " ").as_str());
    headers.insert(LIVE_REFUSAL_CODE, code);
    headers
}

#[cfg(test)]
mod tests {
    use weir_event::Timestamp;
    use weir_event::bus::LiveWindow;

    use super::*;

    fn snapshot(rows: u64) -> LiveSnapshot {
        let window = |requests| LiveWindow { window_s: 60, requests, ..LiveWindow::default() };
        let row = |n| LiveRow {
            token: Some(format!("{n:04}")),
            windows: vec![window(n % 100)],
            ..LiveRow::default()
        };
        LiveSnapshot {
            as_of: Timestamp::MIN,
            complete_through: None,
            complete: true,
            shards: Vec::new(),
            late: 0,
            rows: (0..rows).map(row).collect(),
        }
    }

    #[test]
    fn what_fits_is_not_touched() {
        let (json, cut) = fit(snapshot(10), 10_000).unwrap();
        assert_eq!(cut, 0);
        assert_eq!(serde_json::from_slice::<LiveSnapshot>(&json).unwrap(), snapshot(10));
    }

    #[test]
    fn what_does_not_fit_is_told_with_coarser_times_first() {
        let mut live = snapshot(20);
        for (row, first) in live.rows.iter_mut().zip(0..) {
            for value in 0..2_000 {
                row.windows[0].duration.add(first + value * 3, 1);
            }
        }
        let fine = live.rows[7].windows[0].duration.clone();
        let (json, cut) = fit(live, 40_000).unwrap();
        let live: LiveSnapshot = serde_json::from_slice(&json).unwrap();
        let coarse = &live.rows[7].windows[0].duration;
        assert_eq!((cut, live.complete, live.rows.len()), (0, true, 20));
        assert!(coarse.count() == fine.count() && coarse.bins().len() < fine.bins().len() / 8);
    }

    #[test]
    fn sums_that_fit_without_times_are_not_lost() {
        let mut live = snapshot(50);
        for row in &mut live.rows {
            for value in 0..2_000 {
                row.windows[0].duration.add(value * 3, 1);
            }
        }
        let (json, cut) = fit(live, 20_000).unwrap();
        assert!(json.len() <= 20_000, "{}", json.len());
        let live: LiveSnapshot = serde_json::from_slice(&json).unwrap();
        assert_eq!((cut, live.complete, live.rows.len()), (0, false, 50));
        let timed: Vec<_> = live.rows.iter().map(|row| row.windows[0].duration.count() > 0).collect();
        assert!(timed.is_sorted() && timed[49] && !timed[0], "the busiest keep them: {timed:?}");
    }

    #[test]
    fn of_what_does_not_fit_the_busiest_rows_stay_in_order() {
        let (json, cut) = fit(snapshot(1_000), 10_000).unwrap();
        assert!(json.len() <= 10_000 && json.len() > 8_000, "{}", json.len());
        let live: LiveSnapshot = serde_json::from_slice(&json).unwrap();
        assert_eq!(live.rows.len() + cut, 1_000);
        assert!(!live.complete);
        assert!(live.rows.is_sorted_by(|a, b| a.token < b.token));
        let least = live.rows.iter().map(|row| row.windows[0].requests).min();
        assert!(least >= Some(90), "{least:?}");
    }
}
