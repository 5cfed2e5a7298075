//! The ops listener of every binary: `/healthz`, `/readyz`, `/metrics`.
//!
//! It has a socket of its own, so that a load balancer never reaches it and a full intake never blocks a probe.
//! It answers until the hard stop: a process that drains is alive, and says that it is not ready.

use std::convert::Infallible;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use warp::http::StatusCode;
use warp::http::header::CONTENT_TYPE;
use warp::reply::{Response, json, with_header, with_status};
use warp::{Filter, Rejection, Reply};

use crate::http::Listener;
use crate::lifecycle::Lifecycle;
use crate::metrics::{self, MetricName, Metrics};
use crate::readiness::Readiness;
use crate::readiness_metrics::ReadinessCollector;

/// The metrics of this module; the pattern that each part follows.
#[derive(Clone, Copy, Debug)]
enum OpsMetric {
    Requests,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Probe {
    Healthz,
    Readyz,
    Metrics,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OpsLabels {
    probe: Probe,
}

/// Serves the ops endpoints as a background task of `lifecycle`, until the hard stop.
pub fn spawn(lifecycle: &Lifecycle, listener: Listener, metrics: Metrics, readiness: Readiness) {
    let shutdown = lifecycle.shutdown();
    tracing::info!(listen = %listener.local_addr(), "ops listener is up");
    lifecycle.spawn_background("ops", async move {
        let hard_stop = shutdown.hard_stop().clone();
        tokio::select! {
            () = listener.serve_until(routes(metrics, readiness), hard_stop.clone()) => {}
            () = hard_stop.cancelled() => {}
        }
        Ok::<_, Infallible>(())
    });
}

impl MetricName for OpsMetric {
    fn name(self) -> &'static str {
        match self {
            Self::Requests => "ops_requests",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Requests => "requests to the ops listener, by probe",
        }
    }
}

fn routes(
    mut metrics: Metrics,
    readiness: Readiness,
) -> impl Filter<Extract = (impl Reply,), Error = Infallible> + Clone + Send + Sync + 'static {
    let requests: Family<OpsLabels, Counter> = metrics.register(OpsMetric::Requests, Family::default());
    metrics.registry_mut().register_collector(Box::new(ReadinessCollector(readiness.clone())));
    let metrics = Arc::new(metrics);
    let count = move |probe| {
        requests.get_or_create(&OpsLabels { probe }).inc();
    };
    let healthz = warp::path!("healthz").map({
        let count = count.clone();
        move || {
            count(Probe::Healthz);
            "ok\n".into_response()
        }
    });
    let readyz = warp::path!("readyz").map({
        let count = count.clone();
        move || {
            count(Probe::Readyz);
            readyz_response(&readiness)
        }
    });
    let scrape = warp::path!("metrics").map(move || {
        count(Probe::Metrics);
        with_header(metrics.encode(), CONTENT_TYPE, metrics::CONTENT_TYPE).into_response()
    });
    warp::get().and(healthz.or(readyz).unify().or(scrape).unify()).recover(not_found)
}

fn readyz_response(readiness: &Readiness) -> Response {
    let report = readiness.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    with_status(json(&report), status).into_response()
}

async fn not_found(_: Rejection) -> Result<Response, Infallible> {
    Ok(with_status("there are /healthz, /readyz and /metrics\n", StatusCode::NOT_FOUND).into_response())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio_util::sync::CancellationToken;
    use warp::test::request;

    use super::*;

    fn test_metrics() -> Metrics {
        Metrics::new("test", "0.0.0")
    }

    #[tokio::test]
    async fn readyz_names_the_failing_checks() {
        let readiness = Readiness::new(CancellationToken::new());
        let store = readiness.register("clickhouse");
        readiness.register("nats").pass();
        let routes = routes(test_metrics(), readiness);
        store.fail("connection refused");
        let response = request().path("/readyz").reply(&routes).await;
        assert_eq!(response.status(), 503);
        let expected = concat!(
            r#"{"ready":false,"draining":false,"#,
            r#""failing":{"clickhouse":"connection refused"},"passing":["nats"]}"#
        );
        assert_eq!(response.body(), expected);
        store.pass();
        assert_eq!(request().path("/readyz").reply(&routes).await.status(), 200);
    }

    #[tokio::test]
    async fn metrics_are_openmetrics_text_and_count_the_probes() {
        let routes = routes(test_metrics(), Readiness::new(CancellationToken::new()));
        request().path("/healthz").reply(&routes).await;
        let response = request().path("/metrics").reply(&routes).await;
        assert_eq!(response.headers()["content-type"], metrics::CONTENT_TYPE);
        let text = String::from_utf8(response.body().to_vec()).unwrap();
        assert!(text.contains(r#"weir_ops_requests_total{probe="Healthz"} 1"#), "{text}");
    }

    #[tokio::test]
    async fn other_paths_and_methods_are_not_found() {
        let routes = routes(test_metrics(), Readiness::new(CancellationToken::new()));
        assert_eq!(request().path("/").reply(&routes).await.status(), 404);
        assert_eq!(request().path("/healthz/x").reply(&routes).await.status(), 404);
        assert_eq!(request().method("POST").path("/healthz").reply(&routes).await.status(), 404);
    }

    async fn get(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    }

    #[tokio::test]
    async fn a_draining_process_is_alive_and_not_ready() {
        let lifecycle = Lifecycle::new(Duration::from_secs(5)).unwrap();
        let shutdown = lifecycle.shutdown();
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr();
        let readiness = Readiness::new(shutdown.soft_stop().clone());
        spawn(&lifecycle, listener, test_metrics(), readiness);
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        let soft_stop = shutdown.soft_stop().clone();
        lifecycle.spawn("drains", async move {
            soft_stop.cancelled().await;
            assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 503"));
            assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
            Ok::<_, Infallible>(())
        });
        shutdown.stop();
        lifecycle.run().await;
        assert!(!shutdown.has_failed());
        assert!(TcpStream::connect(address).await.is_err(), "the listener is closed after the hard stop");
    }
}
