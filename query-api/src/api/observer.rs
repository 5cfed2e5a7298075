//! One span, one id and one count for each request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tracing::Instrument;
use tracing::field::Empty;
use warp::http::{HeaderName, HeaderValue};
use warp::reply::Response;
use weir_service::telemetry::chain;

use super::app::{Blame, Failure};
use super::throttle::Throttle;
use crate::metrics::{QueryMetrics, Route};

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Watches requests.
#[derive(Debug)]
pub struct Observer {
    metrics: QueryMetrics,
    outages: Throttle,
    mistakes: Throttle,
    seed: u64,
    count: AtomicU64,
}

impl Observer {
    /// `seed` tells the request ids of this process from those of others.
    #[must_use]
    pub fn new(metrics: QueryMetrics, seed: u64) -> Self {
        Self {
            metrics,
            outages: Throttle::default(),
            mistakes: Throttle::default(),
            seed,
            count: AtomicU64::new(0),
        }
    }

    /// Counts an error that is not the client's, and logs it, in the span of its request, if that is worth a line.
    pub(super) fn failed(&self, error: &impl Failure) {
        let now = Instant::now();
        if error.blame() != Blame::Client {
            self.metrics.failed();
        }
        match error.blame() {
            Blame::Client => tracing::debug!(error = chain(error), "request refused"),
            Blame::Surroundings => {
                if let Some(left_out) = self.outages.admit(now) {
                    tracing::warn!(error = chain(error), left_out, "request cannot be answered now");
                }
            }
            Blame::Program => {
                if let Some(left_out) = self.mistakes.admit(now) {
                    tracing::error!(error = chain(error), left_out, "request failed");
                }
            }
        }
    }

    /// Runs `answer` in a span of its own, and puts the request's id, which the span has too, on the response.
    pub(super) async fn observe(&self, route: Route, answer: impl Future<Output = Response>) -> Response {
        let id = format!("{:016x}-{:x}", self.seed, self.count.fetch_add(1, Ordering::Relaxed));
        let span = tracing::info_span!("request", id, ?route, caller = Empty, status = Empty);
        let in_flight = self.metrics.begin(route);
        let started = Instant::now();
        let mut response = answer.instrument(span.clone()).await;
        let (status, elapsed) = (response.status(), started.elapsed());
        in_flight.answered(status, elapsed);
        span.record("status", status.as_u16());
        tracing::debug!(parent: &span, elapsed_us = elapsed.as_micros(), "answered");
        let id = HeaderValue::try_from(id).expect("hexadecimal digits and a dash can stand in a header");
        response.headers_mut().insert(REQUEST_ID, id);
        response
    }
}
