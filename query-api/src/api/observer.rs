//! One span, one id and one count for each request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tracing::Instrument;
use tracing::field::Empty;
use warp::http::{HeaderName, HeaderValue};
use warp::reply::Response;

use crate::metrics::{QueryMetrics, Route};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Watches requests.
#[derive(Debug)]
pub struct Observer {
    metrics: QueryMetrics,
    seed: u64,
    count: AtomicU64,
}

impl Observer {
    /// `seed` tells the request ids of this process from those of others.
    #[must_use]
    pub fn new(metrics: QueryMetrics, seed: u64) -> Self {
        Self { metrics, seed, count: AtomicU64::new(0) }
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
