//! Answers requests for live windows on [`LIVE_SUBJECT`].

use std::convert::Infallible;

use async_nats::{Client, HeaderMap, Message, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use weir_event::Dimension;
use weir_event::bus::{LIVE_SUBJECT, LiveRequest, LiveRow, LiveSnapshot, SHARDS};
use weir_service::clock::SharedClock;
use weir_service::lifecycle::Shutdown;
use weir_service::telemetry::chain;

use crate::backoff::Backoff;
use crate::metrics::AggregatorMetrics;
use crate::shared_fold::{SharedFold, now};

/// Left free in a message below the server's limit, for headers and subjects.
const MESSAGE_HEADROOM_BYTES: usize = 1_024;

/// Serves snapshots over NATS request and reply.
#[derive(Clone, Debug)]
pub struct LiveResponder {
    /// The connection.
    pub client: Client,
    /// The windows.
    pub fold: SharedFold,
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

    fn answer(&self, request: &[u8]) -> Result<Bytes, serde_json::Error> {
        let request: LiveRequest = serde_json::from_slice(request)?;
        let now = now(&self.clock);
        let snapshot = self.fold.lock().snapshot(&request.scope, now);
        if snapshot.beyond_range > 0 {
            self.metrics.live_costs_held.inc_by(snapshot.beyond_range);
            tracing::warn!(windows = snapshot.beyond_range, "costs are beyond the range and held at its end");
        }
        let limit = self.client.server_info().max_payload.saturating_sub(MESSAGE_HEADROOM_BYTES);
        let mut live = grouped(snapshot.live, &request);
        live.shards = (0..SHARDS).collect();
        let (answer, rows_cut) = fit(live, limit)?;
        if rows_cut > 0 {
            self.metrics.live_rows_cut.inc_by(rows_cut as u64);
            tracing::warn!(rows_cut, limit_bytes = limit, "a live answer does not fit into a message");
        }
        Ok(answer)
    }
}

/// The rows by what was asked for, as far as they have it: windows are kept by API token and model.
fn grouped(mut snapshot: LiveSnapshot, request: &LiveRequest) -> LiveSnapshot {
    for row in &mut snapshot.rows {
        for dimension in Dimension::ALL.iter().filter(|dimension| !request.group_by.contains(dimension)) {
            *row.name_mut(*dimension) = None;
        }
    }
    let mut grouped = LiveSnapshot::merge([snapshot]).expect("one is given");
    if let Some(top) = request.top {
        grouped.keep_top(top);
    }
    grouped
}

/// The snapshot as JSON of at most `limit` bytes. Of what does not fit, the rows with the most requests stay, and the
/// snapshot is not complete. Gives how many rows were left out.
fn fit(mut snapshot: LiveSnapshot, limit: usize) -> Result<(Bytes, usize), serde_json::Error> {
    let mut cut = 0;
    loop {
        let json = serde_json::to_vec(&snapshot)?;
        let rows = snapshot.rows.len();
        if json.len() <= limit || rows == 0 {
            return Ok((json.into(), cut));
        }
        // In proportion, and a little less, so that this ends after few rounds.
        let keep = rows.saturating_mul(limit) / json.len() * 95 / 100;
        cut += rows - keep;
        snapshot.complete = false;
        keep_busiest(&mut snapshot, keep);
    }
}

fn keep_busiest(snapshot: &mut LiveSnapshot, keep: usize) {
    let rows = &mut snapshot.rows;
    rows.sort_by_key(|row| std::cmp::Reverse(row.windows.last().map_or(0, |longest| longest.requests)));
    rows.truncate(keep);
    rows.sort_by_cached_key(LiveRow::group);
}

/// An empty answer with NATS's headers for a failed request, so that the caller need not wait for its timeout.
fn refusal(error: &serde_json::Error) -> HeaderMap {
    tracing::debug!(error = %error, "live request is not understood");
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Service-Error", "the request is not understood");
    headers.insert("Nats-Service-Error-Code", "400");
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
            model: None,
            provider: None,
            user: None,
            channel: None,
            rest: false,
            exact_since: None,
            windows: vec![window(n % 100)],
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
